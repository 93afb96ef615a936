"""The models a study file (`config/*.yaml`) is read into; those of a cell come from `dad.study.cell`."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dad.study.base import Frozen, as_text
from dad.study.cell import (
    ArchitectureName,
    AssistantConfig,
    Cell,
    Count,
    CropConfig,
    FolderPhotos,
    LabelConfig,
    LabelPlan,
    LossConfig,
    NoiseConfig,
    OptimConfig,
    Positive,
    Rate,
    SceneKind,
    ScenePhotos,
    SceneStyle,
    StudentConfig,
    Weight,
    distinct,
)
from dad.study.table import Changes, Table

__all__ = [
    "Architecture",
    "ArchitectureName",
    "AssistantConfig",
    "BenchmarkConfig",
    "Cell",
    "CostRates",
    "Count",
    "FolderPhotos",
    "LabelConfig",
    "LabelPlan",
    "LossConfig",
    "NoiseConfig",
    "OptimConfig",
    "Positive",
    "SceneKind",
    "ScenePhotos",
    "SceneStyle",
    "StudentConfig",
    "StudyConfig",
    "Weight",
    "distinct",
]


class BenchmarkConfig(Frozen):
    """A labelled evaluation set."""

    dataset: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
    """`scenes-indoor`, `scenes-outdoor`, `scenes-driving` (rendered here) or `samples` (RGB-D pairs, CSV manifest)."""
    root: str | None = None
    """Folder of the data, or a .tar of it; scenes are rendered where this is null."""
    list: str | None = None
    """Published benchmarks: file that names the images, one per line; null: all that are there."""
    count: Positive | None = None
    """Rendered scenes only: how many."""
    seed: Count | None = None
    """Rendered scenes only: seed of the first."""
    height: Positive | None = None
    width: Positive | None = None
    style: SceneStyle = "plain"
    """Rendered scenes only: `foreign` for students of `rich` photos, so that zero-shot means it."""
    stands_for: str | None = None
    """The paper's benchmark in whose column this stand-in is shown; null: shown as an extra column."""

    @model_validator(mode="after")
    def _rendered_or_read(self) -> "BenchmarkConfig":
        recipe = {"count": self.count, "seed": self.seed, "height": self.height, "width": self.width}
        if self.root is None:
            if not self.dataset.startswith("scenes-"):
                raise ValueError(f"{self.dataset} is not rendered here: give root, the folder of the data")
            absent = [key for key, value in recipe.items() if value is None]
            if absent:
                raise ValueError(f"{self.dataset} is rendered (root is null) and needs {', '.join(absent)}")
        elif any(value is not None for value in recipe.values()) or self.style != "plain":
            raise ValueError(f"{self.dataset} is read from root: count, seed, height, width and style do not apply")
        if self.root is None and self.list is not None:
            raise ValueError(f"{self.dataset} is rendered (root is null): list does not apply")
        return self


class EvaluationConfig(Frozen):
    """How subjects predict the benchmarks."""

    precision: Literal["no", "bf16"] = "no"
    """Of networks of this package, see `LabelConfig.precision`; models that run as their makers' code runs them stay in
    float32. Part of what scores are: another one scores again.
    """


class Architecture(Frozen):
    """What one of the paper's networks (`da-l`, `da-s`, `midas-l`, `midas-s`) is at this scale, in Tables 3 and 5."""

    model: str
    """As teacher: the model; as student: what it starts from."""
    init: Literal["full", "encoder", "none"] = "encoder"
    size: Positive | None = None
    """`crop.size` where this is the student, if the network cannot take the study's."""
    feature: bool = True
    """Whether feature alignment applies; it compares DINOv2's tokens, which MiDaS's encoders do not have."""
    encoder_rate: Rate | None = None
    """As student; null: the study's."""
    head_rate: Rate | None = None


class CostRates(Frozen):
    """Assumed or measured speeds, from which `dad matrix` estimates the cost of a study before anything runs."""

    device: str
    """What the rates are of, and where they come from."""
    train: dict[str, Annotated[float, Field(gt=0)]]
    """Crops per second through a training step, by student model; `default` for all others."""
    label: dict[str, Annotated[float, Field(gt=0)]]
    """Crops per second through a teacher, by model; `default` for all others."""

    @model_validator(mode="after")
    def _has_default(self) -> "CostRates":
        if "default" not in self.train or "default" not in self.label:
            raise ValueError("train and label each need an entry `default`")
        return self


class StudyConfig(Frozen):
    """A study at one scale. Its tables' rows become cells of these values (`dad.study.cells`)."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,100}$")]
    """Folder name under `results/`."""
    description: str
    """One line on the scale, printed with every table."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1), distinct]
    """Every cell is trained once per seed."""
    teacher: str
    """A model name or a checkpoint file: whose maps are the pseudo-labels."""
    assistant: AssistantConfig | None = None
    """The diffusion model of Table 4; null: its rows are left out, with the reason."""
    student: StudentConfig
    architectures: dict[ArchitectureName, Architecture] = Field(default_factory=dict)
    """The networks of Tables 3 and 5; rows that need one which is not given are left out, with the reason."""
    estimators: dict[str, str | None] = Field(default_factory=dict)
    """Further methods of Table 5 that are scored as is: level of `method` -> model; null leaves the row out."""
    weights: dict[str, str] = Field(default_factory=dict)
    """Where the weights of models lie on this machine, by the model's name anywhere in the study. A cell's id holds the
    name, not the place; its results belong to the file's contents.
    """
    photos: ScenePhotos | FolderPhotos = Field(discriminator="source")
    """What students of Tables 1 to 4 train on (the paper's 50K); a plain string is the folder of the user's photos."""
    scaling: tuple[Positive, ...] = ()
    """Sizes of the nested photo sets of Fig. 7; Table 5's students train on the largest."""
    crop: CropConfig
    labels: LabelConfig = LabelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig
    benchmarks: Annotated[tuple[BenchmarkConfig, ...], Field(min_length=1)]
    samples: str | None = None
    """Folder of real RGB-D pairs with a `manifest.csv`, scored beside the benchmarks as a first look; null: none."""
    protocols: Annotated[tuple[str, ...], Field(min_length=1), distinct] = ("marigold",)
    """Evaluation protocols; tables print the first."""
    evaluation: EvaluationConfig = EvaluationConfig()
    tracking_uri: str = "sqlite:///mlflow.db"
    """MLflow store that finished runs are imported into."""
    live_tracking: bool = False
    """Log to MLflow while training runs, too; otherwise finished runs are imported after the table is made."""
    students_per_job: Positive = 1
    """Students that one process trains together where they read the same labels: the teacher runs once for all of them,
    and each needs its own weights, gradients and moments in memory.
    """
    rates: CostRates | None = None
    """For the estimate of cost; null: only steps, crops and label storage are estimated."""
    table_seeds: dict[str, Annotated[tuple[Count, ...], Field(min_length=1), distinct]] = Field(default_factory=dict)
    """Seeds of single tables, by name, instead of `seeds`: more for those that the argument rests on."""
    changes: dict[str, Changes] = Field(default_factory=dict)
    """What the students of a table differ in from the study's, by the table's name: dotted field of a cell -> value, as
    in a table's `base`; a row's own changes go over it.
    """
    tables: dict[str, Table] = Field(default_factory=dict)
    """Tables of one's own, by the name of their files: made, scored and rendered like the paper's."""
    library: str | None = None
    """Folder of further tables (NAME.yaml), which are made when asked for; null: `tables` beside the study's file."""

    @field_validator("photos", mode="before")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        root = as_text(value)
        return {"source": "folder", "root": root} if isinstance(root, str) else value

    @field_validator("tables", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {name: {**table, "key": name} if isinstance(table, dict) else table for name, table in value.items()}

    @model_validator(mode="after")
    def _distinct(self) -> "StudyConfig":
        names = [benchmark.dataset for benchmark in self.benchmarks]
        if len(set(names)) != len(names):
            raise ValueError(f"benchmarks must be different data sets, got {', '.join(names)}")
        if list(self.scaling) != sorted(set(self.scaling)):
            raise ValueError(f"scaling must be increasing sizes, got {', '.join(map(str, self.scaling))}")
        return self

    @property
    def scored(self) -> tuple[BenchmarkConfig, ...]:
        """All evaluation sets: the benchmarks, and the samples where their folder is given."""
        extra = (BenchmarkConfig(dataset="samples", root=self.samples),) if self.samples else ()
        return self.benchmarks + extra
