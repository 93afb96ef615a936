"""Score files: where a table's are, how they are read, and whether they can be compared."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dad.errors import UserError
from dad.evaluation import load_protocol
from dad.identity import RECORD, read_record, require_of_weights
from dad.study.cells import Row, beside_rows, dataset_group, study_groups, table_rows
from dad.study.config import StudyConfig
from dad.study.layout import Layout
from dad.study.paper import paper

if TYPE_CHECKING:
    import pandas as pd

    from dad.analysis.columns import Column

METRICS = tuple(paper().metrics)
"""What tables report."""


def score_paths(study: StudyConfig, table: str, results: Path) -> dict[tuple[str, str], Path]:
    """(group, subject) -> where its per-image scores are written: every group the table reports, every cell and model
    in its rows, and the models above its rows. A summary of the same name with the suffix .json lies beside each.
    """
    subjects = dict.fromkeys(
        name for row in (*beside_rows(study, table), *table_rows(study, table)) for name in row.subjects
    )
    layout = Layout(study, results)
    return {(group, name): layout.scores(group, name) for group in study_groups(study, table) for name in subjects}


def table_scores(
    study: StudyConfig, table: str, results: Path, columns: "Sequence[Column]", protocol: str, metrics: Sequence[str]
) -> "tuple[tuple[Row, ...], pd.DataFrame]":
    """The models above a table's rows that have been scored, and all lines of these and of the rows on the data sets of
    `columns`, with the columns row, subject and seed (none: -1).

    Raises UserError where a row's file is missing, and where what was scored cannot be compared.
    """
    import pandas as pd

    layout = Layout(study, results)
    datasets: dict[str, list[str]] = {}
    for column in columns:
        if not column.over:
            datasets.setdefault(dataset_group(study, column.dataset), []).append(column.dataset)
    beside = tuple(
        row
        for row in beside_rows(study, table)
        if all(layout.scores(group, subject).is_file() for group in datasets for subject in row.subjects)
    )
    parts = [
        read_scores(subject, layout.scores(group, subject), protocol, names, metrics).assign(
            row=row.name, subject=subject, seed=row.cells[subject].seed if row.cells else -1
        )
        for row in (*beside, *table_rows(study, table))
        for subject in row.subjects
        for group, names in datasets.items()
    ]
    named = ["row", "subject", "seed", "dataset", "protocol_hash", "image", "scene", "n", *metrics]
    scores = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=named)
    check_comparable(table, protocol, scores)
    return beside, scores


def read_csv(path: Path, what: str, cure: str = "", **options: Any) -> "pd.DataFrame":
    """A CSV file as `pandas.read_csv` reads it. Raises UserError where it is no `what`."""
    import pandas as pd

    try:
        return pd.read_csv(path, **options)
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not {what}: {' '.join(str(error).split())}{cure}") from None


def read_scores(
    subject: str, path: Path, protocol: str, datasets: Sequence[str], metrics: Sequence[str] = METRICS
) -> "pd.DataFrame":
    """One subject's lines under one protocol, data sets in the given order."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"there are no scores of {subject} at {path}; evaluate it first")
    _require_own(path, subject)
    names = ("model", "dataset", "protocol", "protocol_hash", "image", "scene")
    types = dict.fromkeys(names, str) | {"n": "int64"} | dict.fromkeys(metrics, "float64")
    # of texts "NA" and "null" are names like others; of numbers empty and nan are "none"
    form = {
        "usecols": list(types),
        "dtype": types,
        "keep_default_na": False,
        "na_values": {one: ["", "nan"] for one in metrics},
    }
    frame = read_csv(path, "a table of scores", float_precision="round_trip", **form)
    if strange := sorted(set(frame["model"]) - {subject}):
        raise UserError(f"{path} holds the scores of {strange[0]}, not of {subject}")
    parts = []
    for dataset in datasets:
        part = frame[(frame["dataset"] == dataset) & (frame["protocol"] == protocol)]
        if part.empty:
            raise UserError(f"{path} has no scores on {dataset} under {protocol}; evaluate {subject} again")
        if part["image"].duplicated().any():
            raise UserError(
                f"{path} has two lines for {part['image'][part['image'].duplicated()].iloc[0]} on {dataset}"
            )
        if (part["n"] < 0).any():
            raise UserError(f"{path}: an image on {dataset} has less than no pixels; evaluate {subject} again")
        for metric in metrics:
            # NaN is what an image without this metric has; no error is negative or infinite
            wrong = part[(part["n"] > 0) & ((part[metric] < 0) | (part[metric].abs() == math.inf))]
            if not wrong.empty:
                image, value = wrong["image"].iloc[0], wrong[metric].iloc[0]
                raise UserError(
                    f"{path}: {metric} of {image} on {dataset} is {value}, which no sound score is; evaluate {subject} "
                    "again"
                )
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _require_own(path: Path, subject: str) -> None:
    """Scores must be what their summary knows, and of the weights that the student has now."""
    summary, run = path.with_suffix(".json"), path.parents[2] / "runs" / subject / RECORD
    if not summary.is_file():
        raise UserError(
            f"{path} has no summary beside it ({summary.name}), which says of what it is: evaluate {subject} again"
        )
    about = read_record(summary, files=(path.name,), cure=f"evaluate {subject} again")
    if run.is_file():
        require_of_weights(about, read_record(run), path, subject)


def subject_values(
    study: StudyConfig, layout: Layout, subjects: Sequence[str], dataset: str, metrics: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Metric -> (subjects, images) on a data set under the study's first protocol; images sorted by name.

    Images without a scored pixel are left out. Raises UserError as `read_scores` does, and where the subjects were
    scored on different images.
    """
    group, protocol = dataset_group(study, dataset), load_protocol(study.protocols[0]).id
    frames = []
    for subject in subjects:
        frame = read_scores(subject, layout.scores(group, subject), protocol, [dataset], metrics)
        frames.append(frame[frame["n"] > 0].dropna(subset=list(metrics)).set_index("image").sort_index())
        if not frames[-1].index.equals(frames[0].index):
            raise UserError(
                f"{subject} was not scored on the same images of {dataset} as {subjects[0]}; evaluate both again"
            )
    return {metric: np.stack([frame[metric].to_numpy(np.float64) for frame in frames]) for metric in metrics}


def check_comparable(table: str, protocol: str, scores: "pd.DataFrame") -> None:
    """Rows are compared image by image: everything must be scored under the same rules, on the same pixels of the same
    images.

    Raises UserError otherwise, and where a data set has no scored pixel at all.
    """
    hashes = sorted(set(scores["protocol_hash"]))
    if len(hashes) > 1:
        raise UserError(
            f"{table} mixes scores under different rules of {protocol} ({', '.join(hashes)}); evaluate all again"
        )
    for dataset, lines in scores.drop_duplicates(["subject", "dataset", "image"]).groupby("dataset", sort=False):
        counts = lines.pivot(index="image", columns="subject", values="n")
        different = counts[counts.nunique(axis=1, dropna=False) > 1]
        if not different.empty:
            raise UserError(
                f"{table} was not scored on the same pixels of {dataset} (image {different.index[0]}); evaluate all "
                "again"
            )
        if not (lines["n"] > 0).any():
            raise UserError(f"no image of {dataset} has a scored pixel")
