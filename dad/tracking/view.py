"""How a table's experiment is shown at first: its factors and metrics as columns, its curves, and nothing else, as
charts.

MLflow's pages keep a view of an experiment that somebody shares in a tag, and show it again for a link that names it:
the one way to choose columns and charts from outside. Measured with MLflow 3.17, whose pages ignore a view that they do
not understand.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence

from dad.study.paper import paper
from dad.study.table import Table
from dad.tracking.content import CONFIG, RunContent

VIEW = "dad"
"""The name by which a link asks for the view."""

VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

CURVES = "curves"

WIDTH, LETTER = 50, 7
"""Pixels of a column around its longest text, and of a letter."""


def table_view(layout: Table, runs: Sequence[RunContent], parent: RunContent) -> str:
    """The value of `VIEW_TAG` for a table with these runs below `parent`.

    Columns are the factors, the seed, and the table's metrics on every data set. Sorted by the first of these the runs
    stand in one list, whereas MLflow's own order hides them below the table's run. MLflow draws a bar chart for every
    metric without steps, of which there are more than a hundred; here they are columns only.
    """
    factors = list(dict.fromkeys(name for run in runs for name in run.params if not name.startswith(CONFIG)))
    scores = Counter(key for run in runs for key, *_ in run.points if "/" in key)
    # other tables ask some of the runs for data sets that are not this one's
    everywhere = [key for key, count in scores.items() if count == max(scores.values())]
    shown = [key for metric in layout.metrics for key in everywhere if key.startswith(f"{metric}/")]
    longest = {name: max([name, *(run.params.get(name, "") for run in runs)], key=len) for name in factors}
    columns = {f"params.`{name}`": text for name, text in longest.items()} | {f"metrics.`{key}`": key for key in shown}
    without_steps = [*scores, *(key for key, *_ in parent.points)]
    chart = {"type": "BAR", "metricSectionId": CURVES, "deleted": True, "isGenerated": True, "runsCountToCompare": 10}
    view = {
        "selectedColumns": list(columns),
        "columnOrder": list(columns),
        "columnWidths": {column: WIDTH + LETTER * len(text) for column, text in columns.items()},
        "compareRunCharts": [chart | {"uuid": str(i), "metricKey": key} for i, key in enumerate(without_steps)],
        "compareRunSections": [{"uuid": CURVES, "name": "Model metrics", "display": True, "isReordered": False}],
    }
    if shown:
        view |= {
            "orderByKey": f"metrics.`{shown[0]}`",
            "orderByAsc": paper().metrics[layout.metrics[0]].better == "lower",
        }
    return _packed(view)


def _packed(view: Mapping[str, object]) -> str:
    """JSON text as MLflow's pages compress it: a tag of an experiment holds 5000 characters."""
    return "deflate;" + base64.b64encode(zlib.compress(json.dumps(view, sort_keys=True).encode(), 9)).decode()
