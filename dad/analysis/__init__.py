"""What scores say: read and checked to be comparable, they become statistics, one frame a table, and verdicts."""
