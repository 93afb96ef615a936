"""The models a study file (`config/*.yaml`) is read into, and the fully resolved config of one cell."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from dad.study.base import Frozen

Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]

Mode = Literal["baseline", "shared", "local-global", "cross"]
Normalization = Literal["global", "hybrid", "local", "none"]
SceneKind = Literal["indoor", "outdoor", "driving"]


class ScenePhotos(Frozen):
    """Training photos rendered for the purpose; their depth is never read by training."""

    source: Literal["scenes"]
    kinds: tuple[SceneKind, ...]
    """Which kinds of scene, mixed in equal parts."""
    count: Positive
    """Photos in all; must be a multiple of the number of kinds."""
    seed: Count
    """Seed of the first scene of each kind; keep it away from the zoo's and the benchmarks' seeds."""
    height: Positive
    width: Positive

    @model_validator(mode="after")
    def _whole(self) -> "ScenePhotos":
        if self.count % len(self.kinds):
            raise ValueError(f"count ({self.count}) must be a multiple of the number of kinds ({len(self.kinds)})")
        return self


class FolderPhotos(Frozen):
    """The user's own photos: a folder (searched recursively) or SA-1B tar shards."""

    source: Literal["folder"]
    root: str
    """Folder with images or .tar shards."""
    count: Positive | None = None
    """Use the first `count` photos of the seeded order (nested subsets); null: all."""
    seed: Count = 0
    """Seed of that order."""


class CropConfig(Frozen):
    """What is cut from a photo (paper section 4.1)."""

    size: Positive
    """Side in pixels of what the networks see; must suit the patch of student and teacher."""
    min_crop: Positive
    """Smallest side of the random square, in pixels of the photo; photos with a smaller short side are left out."""
    patches: Positive
    """N of eq. 8: local patches per photo in the local-global and cross modes."""
    flip: bool = False
    """Mirror half of the draws."""


class LabelConfig(Frozen):
    """Where pseudo-labels come from."""

    mode: Literal["cached", "online"] = "cached"
    """`cached`: computed once per teacher and crop plan and read by all cells; `online`: computed in the training loop."""
    dtype: Literal["float16", "float32"] = "float16"
    """How a label is stored; `online` rounds to it too, so that both modes train on the same numbers."""


class LossConfig(Frozen):
    """The losses of section 3 and their weights."""

    groups: Literal["range", "percentile", "spatial"] = "range"
    """How hybrid and local normalization divide a map; `range` is the paper's wording."""
    variant: Literal["hdn", "paper"] = "hdn"
    """`hdn`: the arithmetic of the code the authors point to; `paper`: the printed equations."""
    local_global: Weight = 0.5
    """lambda_1 of eq. 9."""
    feature: Weight = 1.0
    """lambda_2 of eq. 9: cosine alignment of the student's tokens to the frozen encoder."""
    gradient: Weight = 2.0
    """lambda_3 of eq. 9."""
    gradient_scales: Positive = 4
    """Strides 1, 2, 4, ... of gradient matching."""
    feature_margin: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Tokens already more similar than this are left out (Depth Anything v1)."""


class OptimConfig(Frozen):
    """Optimisation: AdamW with one rate for the encoder and one for the rest, warm-up, polynomial decay, clipping."""

    steps: Positive
    batch: Positive
    """Images per step over all processes."""
    encoder_rate: Rate
    head_rate: Rate
    weight_decay: Weight = 0.01
    warmup: Count = 0
    """Steps of linear warm-up."""
    power: Weight = 0.9
    """Exponent of the polynomial decay to zero; 0 keeps the rate constant."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient over all parameters."""
    precision: Literal["no", "bf16", "fp16"] = "no"
    """Mixed precision of the forward pass; losses are always float32."""
    checkpoint_every: Positive = 500
    """Steps between resumable checkpoints in the work folder."""


class StudentConfig(Frozen):
    """Which network is trained and what it starts from."""

    model: str
    """A model name (`zoo/vit-small`, `depth-anything-v2-large`) or a checkpoint file."""
    init: Literal["full", "encoder", "none"]
    """`encoder`: the model's encoder with a random head (paper C.1); `full`: all its weights; `none`: random."""


class LabelPlan(Frozen):
    """Everything that decides pseudo-labels; cells with equal plans read the same label cache."""

    teacher: str
    photos: ScenePhotos | FolderPhotos = Field(discriminator="source")
    crop: CropConfig
    context: Literal["square", "center"]
    """A random square, or the largest central one (the baseline mode's)."""
    dtype: Literal["float16", "float32"]
    seed: Count
    samples: Positive
    """Stream positions to label: steps x batch."""
    batch: Positive
    """Crops per forward pass of the teacher: the training's batch, since a batch's composition can change a network's last bits."""


class Cell(Frozen):
    """One student to train: everything its training depends on, and nothing else."""

    mode: Mode
    normalization: Normalization
    teacher: str
    student: StudentConfig
    photos: ScenePhotos | FolderPhotos = Field(discriminator="source")
    crop: CropConfig
    labels: LabelConfig = LabelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig
    seed: Count
    """Seed of the student's random head, the order of the photos and the crops."""

    @property
    def label_plan(self) -> LabelPlan:
        """The pseudo-labels this cell trains on."""
        return LabelPlan(
            teacher=self.teacher,
            photos=self.photos,
            crop=self.crop,
            context="center" if self.mode == "baseline" else "square",
            dtype=self.labels.dtype,
            seed=self.seed,
            samples=self.optim.steps * self.optim.batch,
            batch=self.optim.batch,
        )


class BenchmarkConfig(Frozen):
    """A labelled evaluation set."""

    dataset: str
    """`scenes-indoor`, `scenes-outdoor`, `scenes-driving` (rendered here) or `samples` (a CSV manifest of RGB-D pairs)."""
    root: str | None = None
    """Folder of the data; scenes are rendered where this is null."""
    count: Positive | None = None
    """Rendered scenes only: how many."""
    seed: Count | None = None
    """Rendered scenes only: seed of the first."""
    height: Positive | None = None
    width: Positive | None = None
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
        elif any(value is not None for value in recipe.values()):
            raise ValueError(f"{self.dataset} is read from root: count, seed, height and width do not apply")
        return self


class StudyConfig(Frozen):
    """A study at one scale. Tables are expanded from these values by `dad.study.cells`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    """Folder name under `results/`."""
    description: str
    """One line on the scale, printed with every table."""
    seeds: Annotated[tuple[Count, ...], Field(min_length=1)]
    """Every cell is trained once per seed."""
    teacher: str
    """A model name or a checkpoint file: whose maps are the pseudo-labels."""
    student: StudentConfig
    photos: ScenePhotos | FolderPhotos = Field(discriminator="source")
    """What to train on; a plain string is the folder of the user's own photos."""
    crop: CropConfig
    labels: LabelConfig = LabelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig
    benchmarks: Annotated[tuple[BenchmarkConfig, ...], Field(min_length=1)]
    samples: str | None = None
    """Folder of real RGB-D pairs with a `manifest.csv`, scored beside the benchmarks as a first look; null: none."""
    protocols: Annotated[tuple[str, ...], Field(min_length=1)] = ("marigold",)
    """Evaluation protocols; tables print the first."""
    tracking_uri: str = "sqlite:///mlflow.db"
    """MLflow store that finished runs are imported into."""
    live_tracking: bool = False
    """Log to MLflow while training runs, too; otherwise finished runs are imported before the table is made."""

    @field_validator("photos", mode="before")
    @classmethod
    def _folder(cls, value: Any) -> Any:
        return {"source": "folder", "root": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _distinct(self) -> "StudyConfig":
        names = [benchmark.dataset for benchmark in self.benchmarks]
        if len(set(names)) != len(names):
            raise ValueError(f"benchmarks must be different data sets, got {', '.join(names)}")
        return self

    @property
    def scored(self) -> tuple[BenchmarkConfig, ...]:
        """All evaluation sets: the benchmarks, and the samples where their folder is given."""
        extra = (BenchmarkConfig(dataset="samples", root=self.samples),) if self.samples else ()
        return self.benchmarks + extra
