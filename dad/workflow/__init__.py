"""Running the workflow for people: Snakemake started quietly, its progress followed, its outcome shown.

events     what Snakemake says, line by line, as a state: jobs done and running, what failed
progress   that state as one display on a terminal, or as plain lines elsewhere
outcome    the table that was made, where it lies and what can be done next
"""
