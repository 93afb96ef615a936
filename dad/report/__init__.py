"""From per-image scores to what is read: statistics, tables beside the paper's, findings, figures. Built from files only."""
