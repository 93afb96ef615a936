"""Where every result of a study lies. The workflow, the report and the tracking all ask here.

A study's results are in results/STUDY, its tables, figures and page in reports/STUDY; those of the default study,
`mini`, are directly in reports/.
"""

from pathlib import Path

from dad.study.config import FolderPhotos, ScenePhotos, StudyConfig
from dad.study.photos import manifest_name

DEFAULT_STUDY = "mini"


class Layout:
    """The paths of one study's results, relative to the folders `results` and `reports`.

    root: everything that was computed for the study. reports: its tables, figures and page. A cell, subject (cell or
    model), group of benchmarks, label cache, view or data set is given by its id; a wildcard of the workflow (`{cell}`)
    is as good as an id.
    """

    def __init__(self, study: StudyConfig, results: Path | str = "results", reports: Path | str = "reports") -> None:
        self.study = study
        self.root = Path(results) / study.name
        self.reports = Path(reports) if study.name == DEFAULT_STUDY else Path(reports) / study.name

    def run(self, cell: str) -> Path:
        """Folder of a trained student: config.json, model.safetensors, metrics.csv, provenance.json."""
        return self.root / "runs" / cell

    def weights(self, cell: str) -> Path:
        """A trained student's weights."""
        return self.run(cell) / "model.safetensors"

    def run_files(self, cell: str) -> list[Path]:
        """The files of a trained student; the last one is written last."""
        return [
            self.run(cell) / name for name in ("config.json", "model.safetensors", "metrics.csv", "provenance.json")
        ]

    def work(self, cell: str) -> Path:
        """Folder of a training's checkpoints, which outlives an interrupted job."""
        return self.root / "work" / cell

    def scores(self, group: str, subject: str) -> Path:
        """One row per image and protocol of a group of benchmarks."""
        return self.root / "scores" / group / f"{subject}.csv"

    def summary(self, group: str, subject: str) -> Path:
        """The means of `scores`."""
        return self.scores(group, subject).with_suffix(".json")

    def labels(self, labels: str, view: str | None = None) -> Path:
        """Folder of a label cache, or of one of its views."""
        folder = self.root / "labels" / labels
        return folder / view if view else folder

    def manifest(self, photos: ScenePhotos | FolderPhotos) -> Path:
        """The list of the photos to train on, with their hashes."""
        return self.root / manifest_name(photos)

    def photos(self, kind: str) -> Path:
        """Folder of the rendered photos of a kind."""
        return self.root / "photos" / kind

    def benchmark(self, dataset: str) -> Path:
        """Folder of one of the study's data sets: the user's, or where it is rendered."""
        root = next((one.root for one in self.study.scored if one.dataset == dataset), None)
        return Path(root) if root is not None else self.root / "benchmarks" / dataset

    def report(self, name: str, suffix: str) -> Path:
        """A table's or figure's file, for example `report("table1", "csv")`."""
        return self.reports / f"{name}.{suffix}"

    @property
    def premises(self) -> Path:
        """Folder of the study's premises: of the reports they lie with the results, for tables to say if they hold."""
        return self.root / "premises"

    def outside(self, name: str) -> Path:
        """The record of something that lies outside the results (`dad.study.outside`)."""
        return self.root / "inputs" / f"{name}.json"

    @property
    def study_file(self) -> Path:
        """The study itself, complete and validated: what the workflow hands to every verb."""
        return self.root / "study.json"

    def timed_files(self) -> list[Path]:
        """The existing results whose times decide what the workflow makes again."""
        found = [path for pattern in _TIMED for path in self.root.glob(pattern)] + list(self.reports.glob("*"))
        return sorted(path for path in found if path.is_file())

    def relative(self, path: Path) -> str:
        """A name of one of the study's files that stays when results and reports are copied elsewhere."""
        if path.is_relative_to(self.root):
            return f"results/{path.relative_to(self.root).as_posix()}"
        return f"reports/{path.relative_to(self.reports).as_posix()}"


_TIMED = (
    "study.json",
    "tracked",
    "inputs/*",
    "photos*.jsonl",
    "photos/*/upto-*.json",
    "benchmarks/*/scenes.json",
    "labels/*/*/index.json",
    "runs/*/*",
    "scores/*/*",
)
