"""MLflow as a view over files: results are brought in from their files, and a training may also be watched live.

Nothing reads MLflow to compute anything, so a store can be removed and rebuilt from the files at any time. Importing
this package does not import MLflow (seconds); the functions do when they are called.
"""

from dad.tracking.importing import Imported, import_results
from dad.tracking.live import LiveTracker
from dad.tracking.places import tables_by_cell
from dad.tracking.store import connect

__all__ = ["Imported", "LiveTracker", "connect", "import_results", "tables_by_cell"]
