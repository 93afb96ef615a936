"""What a table's scores say: they are read, checked to be comparable, and become statistics, one frame a table, and
verdicts.
"""
