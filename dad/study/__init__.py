"""What runs: a study's configuration, the cells of each table, the paper's printed numbers. No heavy imports here."""
