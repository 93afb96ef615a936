"""Versions of the stages, for the workflow: raise one when a change of code makes that stage's existing results stale.

Snakemake does not see edits of imported code. These numbers are parameters of the rules, so raising one re-runs that
stage and what depends on it; hashing the whole package instead would retrain everything for a comment.
"""

STAGE_VERSION = {"scenes": 1, "manifest": 1, "label": 2, "train": 2, "evaluate": 1, "table": 3, "figure": 2, "page": 3}
