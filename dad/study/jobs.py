"""What each job of the workflow reads, as the files that Snakemake watches.

These are the results of other jobs, and records of what lies outside the results.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from dad.data.photos import SUFFIXES
from dad.data.remote import is_remote
from dad.models.locate import WEIGHTS, locate, stands_for
from dad.study.cells import (
    all_cells,
    beside_rows,
    dataset_group,
    label_id,
    label_views,
    model_id,
    study_groups,
    table_rows,
)
from dad.study.config import BenchmarkConfig, Cell, FolderPhotos, LabelPlan, ScenePhotos, StudyConfig
from dad.study.layout import Layout
from dad.study.needs import JobNeeds, label_needs, score_needs, train_needs, training_gib
from dad.study.outside import record
from dad.study.paper import paper
from dad.study.photos import manifest_name, of_kind, rendered_counts
from dad.study.storage import LabelStorage
from dad.study.tables import known_tables, library, table_names
from dad.study.together import Lanes
from dad.study.trainings import Company, Trainings

Paths = list[str]


class FigureNeeds(Protocol):
    """What a figure says that it is made from (`dad.study.figures.Needs`)."""

    @property
    def cells(self) -> tuple[str, ...]:
        """Ids of cells whose weights are loaded."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names or paths of models that are loaded."""

    @property
    def scores(self) -> tuple[tuple[str, str], ...]:
        """(group, subject) of score files."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """Benchmarks of which images are shown."""

    @property
    def manifest(self) -> str | None:
        """File name of the photos' manifest."""

    @property
    def reason(self) -> str | None:
        """Why the study cannot make it."""


def label_plans(study: StudyConfig) -> dict[str, LabelPlan]:
    """Every label cache of a study by id, those of the library's tables included."""
    return _plans(all_cells(study, known_tables(study)).values())


def _plans(cells: Iterable[Cell]) -> dict[str, LabelPlan]:
    return {label_id(plan): plan for cell in cells for plan in cell.label_plans.values()}


def _most(needs: list[JobNeeds]) -> JobNeeds:
    """Enough for each of them; a plain job's for none."""
    plain = JobNeeds(3000, 60, 0)
    return JobNeeds(*(max(getattr(one, name) for one in [*needs, plain]) for name in ("mem_mb", "runtime", "gpu")))


class Jobs:
    """The jobs of one study. What lies outside is recorded when it is first asked for; what is not there is left out,
    for the check of the study to say. How students are divided into jobs follows from what the machine has (`lanes`)
    and what is asked for.
    """

    def __init__(self, layout: Layout, *, lanes: Lanes | None = None, targets: Iterable[str] = ()) -> None:
        self.layout, self.study = layout, layout.study
        self._rows = {table: table_rows(self.study, table) for table in known_tables(self.study)}
        self._beside = {table: beside_rows(self.study, table) for table in self._rows}
        rows = [row for table in self._rows for row in (*self._rows[table], *self._beside[table])]
        self.cells: dict[str, Cell] = {name: cell for row in rows for name, cell in row.cells.items()}
        self.models: dict[str, str] = {model_id(row.model): row.model for row in rows if row.model}
        self._records: dict[str, Paths] = {}
        tables = {table: self.table_cells(table) for table in self._rows}
        lanes = lanes or Lanes()
        self.trainings = Trainings(
            layout,
            tables,
            self.cells,
            lanes=lanes,
            targets=targets,
            gpus=lambda cell: train_needs(cell).gpu if lanes.each is None else lanes.each,
            gib=training_gib,
        )
        self.storage = LabelStorage(layout, self.trainings.to_do())

    @cached_property
    def labels(self) -> dict[str, LabelPlan]:
        """The label caches by id."""
        return _plans(self.cells.values())

    @cached_property
    def _papers_cells(self) -> dict[str, Cell]:
        return all_cells(self.study, paper().tables)

    @cached_property
    def manifests(self) -> dict[str, ScenePhotos | FolderPhotos]:
        """The lists of photos by file name."""
        return {manifest_name(cell.photos): cell.photos for cell in self.cells.values()}

    @cached_property
    def rendered(self) -> dict[str, BenchmarkConfig]:
        """The benchmarks that are rendered here, by name."""
        return {benchmark.dataset: benchmark for benchmark in self.study.scored if benchmark.root is None}

    def kinds(self, photos: ScenePhotos | FolderPhotos) -> dict[str, int]:
        """How many scenes of each kind a rendered set has; empty for a folder of the user's."""
        kinds = photos.kinds if isinstance(photos, ScenePhotos) else ()
        counts = {kind: of_kind(photos, kind, photos.count) for kind in kinds}
        return {kind: count for kind, count in counts.items() if count}

    def manifest_options(self, manifest: str) -> list[str]:
        """The options of `dad data manifest` that say which photos are listed; only these are read.

        Scenes by kind, or as many photos of a folder as are drawn from.
        """
        photos = self.manifests[manifest]
        if isinstance(photos, ScenePhotos):
            return [f"--only={kind}/rgb:{count}" for kind, count in self.kinds(photos).items()]
        if photos.count is None:
            return []
        sides = [cell.crop.min_crop for cell in self.cells.values() if manifest_name(cell.photos) == manifest]
        return [f"--count={photos.count}", f"--min-side={max(sides)}"]

    def smaller_set(self, kind: str, count: int) -> Paths:
        """The set of rendered photos that is there before this one: the sets are nested, each is rendered on top of
        another.

        The paper's tables' sets are a chain, each on the next smaller. A table of one's own that takes another number
        must not come in between, or all that was trained on the larger ones would be made again: its set is part of the
        next larger one.
        """
        chain = rendered_counts(self._papers_cells.values(), kind)
        larger = [one for one in chain if one > count]
        if count not in chain and larger:
            return [self._rendered_set(kind, larger[0])]
        sets = chain if count in chain else rendered_counts(self.cells.values(), kind)
        return [self._rendered_set(kind, one) for one in sets if one < count][-1:]

    def photos(self, photos: ScenePhotos | FolderPhotos) -> Paths:
        """What says that the photos are there: the rendered sets, or the record of the user's folder. What lies behind
        a URL is not watched: its manifest holds the photos' hashes.
        """
        if isinstance(photos, FolderPhotos) and is_remote(photos.root):
            return []
        if isinstance(photos, FolderPhotos):
            return self._record("photos", {"photos": Path(photos.root)}, (*SUFFIXES, ".tar"))
        return [self._rendered_set(kind, count) for kind, count in self.kinds(photos).items()]

    def training_photos(self, cell: str) -> Paths:
        """The photos of a cell and their manifest."""
        photos = self.cells[cell].photos
        return [str(self.layout.manifest(photos)), *self.photos(photos)]

    def weights(self, *models: str) -> Paths:
        """The records of models' weights, so that others under the same name make new results; none for hub names."""
        found = {model: locate(model) for model in dict.fromkeys(models)}
        # what a hub or a cache holds under a name is what that name stands for
        here = {model: one.path for model, one in found.items() if one.path and one.how in ("zoo", "path", "plugin")}
        endings = (*WEIGHTS, ".json", ".py")
        return [
            path for model, place in here.items() for path in self._record(model_id(model), {"model": place}, endings)
        ]

    def benchmarks(self, *groups: str) -> Paths:
        """What says that the benchmarks of these groups are there."""
        return [path for one in self.group(*groups) for path in self.benchmark(one.dataset)]

    def benchmark(self, dataset: str) -> Paths:
        """The scenes that are rendered here, or the record of the user's data."""
        if dataset in self.rendered:
            return [str(self.layout.benchmark(dataset) / "scenes.json")]
        one = next(one for one in self.study.scored if one.dataset == dataset)
        sources = {"root": one.root, "list": one.list}
        return self._record(
            f"benchmark-{dataset}", {name: Path(path) for name, path in sources.items() if path is not None}
        )

    def group(self, *groups: str) -> list[BenchmarkConfig]:
        """The data sets of groups of benchmarks."""
        return [one for one in self.study.scored if dataset_group(self.study, one.dataset) in groups]

    def protocols(self) -> Paths:
        """The record of the protocols that are the user's own files."""
        files = {name: Path(name) for name in self.study.protocols if name.endswith((".yaml", ".yml"))}
        return self._record("protocols", files) if files else []

    def label_caches(self, cell: str) -> Paths:
        """The label caches that a cell of the study trains on; nothing where its teachers run beside it."""
        return self.labels_of(cell, self.cells[cell])

    def labels_of(self, name: str, cell: Cell) -> Paths:
        """The label caches of a cell that is called `name`."""
        stored = self.storage.of(name, cell).items()
        found = [self.layout.labels(label_id(cell.label_plans[role]), view) for role, views in stored for view in views]
        return [str(folder / "index.json") for folder in found]

    def label_options(self, cell: str) -> list[str]:
        """The options of `dad train` that name a cell's label caches."""
        options = {"teacher": "--labels", "assistant": "--assistant-labels"}
        plans = self.cells[cell].label_plans
        return [
            f"{options[role]}={self.layout.labels(label_id(plans[role]))}"
            for role in self.storage.of(cell, self.cells[cell])
        ]

    def trained_from(self, cell: str) -> Paths:
        """The weights that the training of a cell of the study reads."""
        return self.weights_of(cell, self.cells[cell])

    def weights_of(self, name: str, cell: Cell) -> Paths:
        """The weights a training reads: what the student starts from, and its teachers where they run beside it."""
        stored, wanted = self.storage.of(name, cell), list(label_views(cell))
        beside = [plan.teacher for role, plan in cell.label_plans.items() if stored.get(role) != wanted]
        return self.weights(cell.student.model, *beside)

    def subject(self, subject: str) -> Paths:
        """The files of what is scored: a trained student's, or the record of a model as is."""
        if subject in self.models:
            return self.weights(self.models[subject])
        return [str(self.layout.weights(subject)), str(self.layout.run(subject) / "config.json")]

    def model_of(self, subject: str) -> str:
        """What `dad evaluate --model` takes for a subject."""
        return stands_for(self.models[subject]) if subject in self.models else str(self.layout.run(subject))

    def benchmark_options(self, group: str) -> list[str]:
        """The options of `dad evaluate` that name a group's data."""
        options = []
        for one in self.group(group):
            options += [f"--dataset={one.dataset}", f"--root={self.layout.benchmark(one.dataset)}"]
            options += [f"--list={one.dataset}={one.list}"] if one.list is not None else []
        return options

    def score_options(self) -> list[str]:
        """The options of `dad evaluate` that name the protocols, and the precision where it is not float32."""
        precision = self.study.evaluation.precision
        return [f"--protocol={name}" for name in self.study.protocols] + (
            [f"--precision={precision}"] if precision != "no" else []
        )

    def table_cells(self, table: str) -> list[str]:
        """The cells of a table."""
        return list(dict.fromkeys(name for row in self._rows[table] for name in row.cells))

    def table_models(self, table: str) -> list[str]:
        """Ids of the models that a table shows beside its cells: its own rows', and those above its rows."""
        rows = [*self._rows[table], *self._beside[table]]
        return list(dict.fromkeys(model_id(row.model) for row in rows if row.model))

    def table_scores(self, table: str) -> Paths:
        """Every score file of a table, with its summary."""
        subjects = [*self.table_cells(table), *self.table_models(table)]
        groups = study_groups(self.study, table)
        found = [(group, subject) for group in groups for subject in subjects]
        return [str(place(*pair)) for pair in found for place in (self.layout.scores, self.layout.summary)]

    def every_score(self) -> Paths:
        """The score files of all tables that the study makes."""
        return list(dict.fromkeys(path for table in table_names(self.study) for path in self.table_scores(table)))

    def trained(self) -> Paths:
        """The weights of all students that the study trains."""
        cells = [cell for table in table_names(self.study) for cell in self.table_cells(table)]
        return [str(self.layout.weights(cell)) for cell in dict.fromkeys(cells)]

    def library_file(self, table: str) -> Paths:
        """The record of a table of the library; nothing for those that the package or the study hold."""
        path = library(self.study).get(table)
        return self._record(f"table-{table}", {table: path}) if path else []

    @property
    def together(self) -> dict[str, Company]:
        """The jobs that train several students, by name."""
        return self.trainings.together

    @property
    def alone(self) -> list[str]:
        """The students that have a job of their own."""
        return self.trainings.alone

    def train_needs(self, *cells: str) -> JobNeeds:
        """What training these students in one job asks the scheduler for."""
        return train_needs(*(self.cells[cell] for cell in cells), rates=self.study.rates)

    def together_reads(self, group: str) -> dict[str, Paths]:
        """What the training of a group reads: photos, labels, weights."""
        cells = self.trainings.of(self.together[group].whole)
        of = {"photos": self.photos(next(iter(cells.values())).photos)}
        for what, paths in (("labels", self.labels_of), ("weights", self.weights_of)):
            of[what] = list(dict.fromkeys(path for name, cell in cells.items() for path in paths(name, cell)))
        return of

    def together_options(self, group: str) -> list[str]:
        """The options of `dad train` that name a group's students, where they go, and their label caches."""
        cells = self.together[group].cells
        found = [f"--{option}={value}" for cell in cells for option, value in self._places(cell).items()]
        return found + list(dict.fromkeys(option for cell in cells for option in self.label_options(cell)))

    def _places(self, cell: str) -> dict[str, str]:
        return {"cell": cell, "out": str(self.layout.run(cell)), "work": str(self.layout.work(cell))}

    def label_needs(self, labels: str) -> JobNeeds:
        """What computing a label cache asks for."""
        return label_needs(self.labels[labels], self.study.rates)

    def score_needs(self, *subjects: str) -> JobNeeds:
        """What running students (by what they started from) and models, one after the other, asks for."""
        names = [self.models[name] if name in self.models else self.cells[name].student.model for name in subjects]
        return _most([score_needs(model) for model in names])

    def table_needs(self, table: str) -> JobNeeds:
        """What a table's contact sheet asks for."""
        return self.score_needs(*self.table_cells(table), *self.table_models(table))

    def figure_needs(self, needs: FigureNeeds) -> JobNeeds:
        """What a figure asks for."""
        models = [*needs.models, *(self.cells[cell].student.model for cell in needs.cells)]
        return _most([score_needs(model) for model in models])

    def figure(self, needs: FigureNeeds) -> Paths:
        """What a figure is drawn from; nothing where the study cannot make it, and the figure says why."""
        if needs.reason:
            return []
        paths = [path for cell in needs.cells for path in self.subject(cell)]
        paths += [str(self.layout.scores(group, subject)) for group, subject in needs.scores]
        paths += self.weights(*needs.models) + [path for dataset in needs.datasets for path in self.benchmark(dataset)]
        return paths + (
            [str(self.layout.root / needs.manifest), *self.photos(self.study.photos)] if needs.manifest else []
        )

    def _rendered_set(self, kind: str, count: int) -> str:
        return str(self.layout.photos(kind) / f"upto-{count}.json")

    def _record(self, name: str, sources: dict[str, Path], suffixes: tuple[str, ...] = ()) -> Paths:
        if name not in self._records:
            there = {key: path for key, path in sources.items() if path.exists()}
            self._records[name] = [str(record(self.layout.outside(name), there, suffixes))] if there else []
        return self._records[name]
