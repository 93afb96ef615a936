"""Which figures of the paper there are, and what each needs of a study: weights, models, scores, pictures, or the reason why not.

Figures 1 and 3 are a teaser and a diagram: nothing in them is computed. The pictures of a figure are drawn from the cells of the
study's first seed, its numbers from those of all seeds.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dad.errors import UserError
from dad.study.cells import Row, dataset_group, model_id, study_groups, table_rows
from dad.study.config import StudyConfig
from dad.study.photos import manifest_name
from dad.study.tables import ABLATION


@dataclass(frozen=True)
class FigureText:
    """What the paper calls a figure and says about it, shortened, and the tables that its cells are rows of."""

    number: int
    title: str
    caption: str
    tables: tuple[str, ...]


FIGURES: dict[str, FigureText] = {
    "fig2": FigureText(
        2,
        "Issue with global normalization",
        "Two alignments of the central w/2, h/2 region: least squares over the whole image before the region is cut out, and over "
        "the region alone. Metrics are computed on the region.",
        ("table2", "table4", "table5"),
    ),
    "fig4": FigureText(
        4,
        "Normalization strategies",
        "Global, hybrid, local and no normalization: the pixels that a marked pixel is normalized with (its norm. area), and the "
        "map that results.",
        (),
    ),
    "fig5": FigureText(
        5,
        "Different inputs lead to different pseudo-labels",
        "Global depth: the teacher sees the whole image, and the region is cut out of its map. Local depth: the teacher sees the "
        "region.",
        (),
    ),
    "fig6": FigureText(
        6,
        "Qualitative comparison of relative depth estimations",
        "Maps of our student beside those of other methods.",
        ("table4", "table5"),
    ),
    "fig7": FigureText(
        7,
        "Comparison of data scaling",
        "AbsRel, averaged over the benchmarks, against the number of training photos: our method and the SSI baseline.",
        ("scaling",),
    ),
    "fig8": FigureText(
        8,
        "Distilled generative models",
        "A student of the diffusion model beside a student of the encoder-decoder teacher.",
        ("table4",),
    ),
    "fig9": FigureText(
        9,
        "Qualitative comparison with baseline distillation",
        "Maps, and predicted against true depth, of the baseline (global normalization alone) and of our method; on the red "
        "diagonal the prediction is the truth.",
        ("table2",),
    ),
    "fig10": FigureText(
        10, "3D reconstruction", "Point clouds of our student's maps, brought to true depth and unprojected.", ("table4", "table5")
    ),
    "fig11": FigureText(
        11,
        "Additional results on depth estimation in the wild",
        "More maps of our student, and of other methods, on unlabelled photos.",
        ("table4", "table5"),
    ),
}
"""By the name of the target: `reports/fig7.png`."""


@dataclass(frozen=True)
class Method:
    """One method of a figure: a student (its cells, one per seed) or a model as it is, or the reason why there is neither.

    role: what it is to the figure (`ours`, `base`, `teacher`, `assistant`, `midas`, `marigold`, `ssi`). row: its table's row.
    """

    role: str
    table: str
    row: str
    cells: tuple[str, ...] = ()
    model: str | None = None
    reason: str | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of its score files."""
        return (model_id(self.model),) if self.model else self.cells


@dataclass(frozen=True)
class Needs:
    """Everything a figure is made from; with a `reason` it can not be made in this study, and nothing is needed.

    cells: ids of cells whose weights are loaded. models: names or paths of models that are loaded. scores: (group, subject) of
    score files. datasets: benchmarks of which images are shown. manifest: file name of the photos' manifest under the study's
    results.
    """

    methods: tuple[Method, ...] = ()
    cells: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    scores: tuple[tuple[str, str], ...] = ()
    datasets: tuple[str, ...] = ()
    manifest: str | None = None
    reason: str | None = None

    def method(self, role: str) -> Method | None:
        """The method with this role, if the study has it."""
        return next((method for method in self.methods if method.role == role), None)


def figure_text(figure: str) -> FigureText:
    """A figure's title and caption. Raises UserError for an unknown name."""
    if figure not in FIGURES:
        raise UserError(f"unknown figure {figure!r}; known: {', '.join(FIGURES)}, and contact-sheet")
    return FIGURES[figure]


def figure_subjects(study: StudyConfig, figure: str) -> Needs:
    """What a figure needs in this study, or why it can not be made. Raises UserError for an unknown figure."""
    figure_text(figure)
    return _NEEDS[figure](study)


def _row(study: StudyConfig, table: str, **factors: str) -> Row:
    return next(row for row in table_rows(study, table) if factors.items() <= row.factors.items())


def _method(role: str, row: Row) -> Method:
    return Method(role, row.table, row.name, tuple(row.cells), row.model, row.reason)


def _others(study: StudyConfig) -> tuple[Method, ...]:
    """The methods beside ours that the study names, in the order of the paper's Fig. 6."""
    rows = {"midas": "midas-v3.1", "teacher": "depth-anything-v2", "assistant": "genpercept", "marigold": "marigold"}
    methods = (_method(role, _row(study, "table5", method=method)) for role, method in rows.items())
    return tuple(method for method in methods if method.model)


def _ours(study: StudyConfig) -> Method:
    """The student that is shown as ours: of teacher and assistant, as the paper's; without an assistant, of Table 5 or 2."""
    rows = (
        _row(study, "table4", supervision="select"),
        _row(study, "table5", method="ours-depth-anything-v2"),
        _row(study, "table2", mode="cross"),
    )
    return _method("ours", next((row for row in rows if row.cells), rows[-1]))


def _ablation_sets(study: StudyConfig) -> tuple[str, ...]:
    return tuple(one.dataset for one in study.scored if dataset_group(study, one.dataset) == ABLATION)


def _drawn(methods: tuple[Method, ...], *, datasets: tuple[str, ...] = (), manifest: str | None = None) -> Needs:
    """The needs of a figure of maps; all its methods must be there."""
    reason = next((f"{method.row} of {method.table}: {method.reason}" for method in methods if method.reason), None)
    if reason:
        return Needs(reason=reason)
    cells = tuple(method.cells[0] for method in methods if method.cells)
    return Needs(methods, cells, tuple(method.model for method in methods if method.model), (), datasets, manifest)


def _fig2(study: StudyConfig) -> Needs:
    if not _ablation_sets(study):
        return Needs(reason="the study has no benchmark in the place of ETH3D or DIODE")
    students = (_method("base", _row(study, "table2", mode="baseline")), _method("ours", _row(study, "table2", mode="cross")))
    methods = (*_others(study), *(method for method in students if not method.reason))
    scores = tuple((ABLATION, subject) for method in methods for subject in method.subjects)
    return Needs(methods, (), (study.teacher,), scores, _ablation_sets(study))


def _labels(study: StudyConfig) -> Needs:
    teacher = Method("teacher", "table4", "teacher", model=study.teacher)
    return _drawn((teacher,), manifest=manifest_name(study.photos))


def _fig6(study: StudyConfig) -> Needs:
    return _drawn((*_others(study), _ours(study)), datasets=tuple(one.dataset for one in study.scored))


def _fig7(study: StudyConfig) -> Needs:
    if not study.scaling:
        return Needs(reason="the study names no sizes of photo sets (scaling)")
    rows = table_rows(study, "scaling")
    if reason := next((row.reason for row in rows if row.reason), None):
        return Needs(reason=reason)
    methods = tuple(_method(row.factors["method"], row) for row in rows)
    groups = study_groups(study, "scaling")
    return Needs(methods, scores=tuple((group, name) for method in methods for name in method.subjects for group in groups))


def _fig8(study: StudyConfig) -> Needs:
    methods = (
        _method("teacher-student", _row(study, "table4", supervision="teacher-student")),
        _method("assistant-student", _row(study, "table4", supervision="assistant-student")),
    )
    return _drawn(methods, datasets=_ablation_sets(study) or tuple(one.dataset for one in study.scored))


def _fig9(study: StudyConfig) -> Needs:
    methods = (_method("base", _row(study, "table2", mode="baseline")), _method("ours", _row(study, "table2", mode="cross")))
    return _drawn(methods, datasets=_ablation_sets(study) or tuple(one.dataset for one in study.scored))


def _fig10(study: StudyConfig) -> Needs:
    manifest = manifest_name(study.photos) if study.photos.source == "folder" else None
    return _drawn((_ours(study),), datasets=tuple(one.dataset for one in study.scored), manifest=manifest)


def _fig11(study: StudyConfig) -> Needs:
    return _drawn((*_others(study), _ours(study)), manifest=manifest_name(study.photos))


_NEEDS: dict[str, Callable[[StudyConfig], Needs]] = {
    "fig2": _fig2,
    "fig4": _labels,
    "fig5": _labels,
    "fig6": _fig6,
    "fig7": _fig7,
    "fig8": _fig8,
    "fig9": _fig9,
    "fig10": _fig10,
    "fig11": _fig11,
}
