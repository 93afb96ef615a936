"""What stops a study on this machine, for the workflow; everything is in `dad.study.check`."""

from dad.study.check import hub_repository, missing, missing_data, missing_photos, missing_weights

__all__ = ["hub_repository", "missing", "missing_data", "missing_photos", "missing_weights"]
