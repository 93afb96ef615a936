"""What runs: the configuration of a study, the cells of each table, the paper's printed numbers. No heavy imports
here.
"""
