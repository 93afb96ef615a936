"""The fully resolved config of one cell, and the parts of it that a study file has, too."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from dad.study.base import AddedLater, Frozen, SameResult, one_of
from dad.study.modes import MODES
from dad.study.normalizations import NORMALIZATIONS

Positive = Annotated[int, Field(gt=0, lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]


def _distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if twice := [value for index, value in enumerate(values) if value in values[:index]]:
        raise ValueError(f"{twice[0]} is given twice: name each once")
    return values


distinct = AfterValidator(_distinct)
"""Refuses a list that names something twice."""

Mode = Annotated[str, one_of(MODES)]
Normalization = Annotated[str, one_of(NORMALIZATIONS)]
ArchitectureName = Literal["da-l", "da-s", "midas-l", "midas-s"]
"""What the paper's Table 3 calls its networks."""
Supervision = Literal["teacher", "average", "select"]
SceneKind = Literal["indoor", "outdoor", "driving"]
SceneStyle = Literal["plain", "rich", "foreign"]


class ScenePhotos(Frozen):
    """Training photos rendered for the purpose; their depth is never read by training."""

    source: Literal["scenes"]
    kinds: Annotated[tuple[SceneKind, ...], Field(min_length=1), distinct]
    """Which kinds of scene, in turn: photo i is of kind i modulo their number."""
    count: Positive
    """Photos in all; the first n of a larger set are the set of n."""
    seed: Count
    """Seed of the first scene of each kind; keep it away from the zoo's and the benchmarks' seeds."""
    height: Positive
    width: Positive
    style: Annotated[SceneStyle, AddedLater] = "plain"
    """`plain`: simple bodies; `rich`: things with parts, real lenses and light; `foreign`: rich, of another family."""

    @model_validator(mode="after")
    def _every_kind(self) -> "ScenePhotos":
        if self.count < len(self.kinds):
            raise ValueError(f"count ({self.count}) must be at least the number of kinds ({len(self.kinds)})")
        return self


class FolderPhotos(Frozen):
    """The user's own photos: a folder (searched recursively) or SA-1B tar shards."""

    source: Literal["folder"]
    root: str
    """Folder with images or .tar shards, or a URL of one (`dad.data.remote`)."""
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


class NoiseConfig(Frozen):
    """How labels are spoiled on purpose (`dad.distill.noise`), a pure function of the crop. Not in the paper."""

    kind: Literal["region", "blur", "frame"]
    """`region`: a rectangle of wrong scale; `blur`: lost edges; `frame`: another scale and shift of the whole map."""
    strength: Annotated[float, Field(gt=0, le=1)]
    """`region`: the rectangle's share of the map; `blur`: standard deviation in tenths of the map's side; `frame`:
    standard deviation of the logarithm of the scale, and of the shift in mean absolute deviations of the map.
    """


class LabelConfig(Frozen):
    """Where pseudo-labels come from."""

    mode: Literal["cached", "online", "shared"] = "cached"
    """`cached`: computed once per teacher and crop plan and read by all cells; `online`: computed in the training loop;
    `shared`: cached where two or more jobs read them, else online (`dad.study.storage`).
    """
    dtype: Literal["float16", "float32"] = "float16"
    """How a label is stored; in the training loop it is rounded to it too, so all modes train on the same numbers."""
    precision: Annotated[Literal["no", "bf16"], AddedLater] = "no"
    """Of the networks that are only read: teacher, assistant and the frozen encoder. `bf16`: torch's autocast, with the
    map's last convolution in float32; `no`: float32 throughout.
    """
    chunk: Annotated[Positive | None, AddedLater] = None
    """Crops that go through the teacher at once; null: all of a batch, with all their patches."""
    noise: Annotated[NoiseConfig | None, AddedLater] = None
    """What is done to the labels after they are read, so that one cache serves all strengths; null: nothing."""


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
    gradient_normalization: Annotated[Literal["global", "own"], AddedLater] = "global"
    """On which maps gradients are matched: globally normalised ones, or normalised as the cell's own loss does."""
    feature_encoder: Annotated[str | None, AddedLater] = None
    """The frozen encoder of feature alignment, of the student's width and patch: `dinov2` (the paper's, of the
    student's size; with `@FOLDER` its official files), `timm:NAME` (with `@FILE`), or a model's name or file. null: the
    student's own as it starts.
    """
    feature_margin: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Tokens already more similar than this are left out (Depth Anything v1)."""
    allow_raw_assistant: bool = False
    """Whether labels drawn from an assistant may be compared without normalization."""


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
    micro_batch: Annotated[Positive | None, AddedLater] = None
    """Images that a process runs through the student at once; their activations are computed again in the backward
    pass. The loss is the whole batch's, to the rounding of sums. null: the batch.
    """
    compile: Annotated[Literal["inductor", "aot_eager"] | None, AddedLater] = None
    """torch's compiler for student passes: `inductor`; `aot_eager` only shows that they compile. Equal to rounding."""
    activation_checkpointing: Annotated[bool, SameResult] = False
    """Whether the student's blocks keep only what goes into them and are computed again in the backward pass."""


class StudentConfig(Frozen):
    """Which network is trained and what it starts from."""

    model: str
    """A model name (`zoo/vit-small`, `depth-anything-v2-large`) or a checkpoint file."""
    init: Literal["full", "encoder", "none"]
    """`encoder`: the model's encoder with a random head (paper C.1); `full`: all its weights; `none`: random."""


class AssistantConfig(Frozen):
    """The second teacher of assistant-guided distillation (paper section 3.2)."""

    model: str
    """A model name or a checkpoint file; its maps may be bounded per image, as a diffusion model's are."""
    share: Rate = 0.3
    """`select`: the probability that an iteration's labels are the assistant's (paper: 7:3)."""
    agreement: Annotated[float, Field(gt=0)] | None = 1.0
    """`average`: a distance of the two normalised maps in mean absolute deviations. With `averaging: cut` pixels
    farther apart are left out (null: none is); with `weights` it is the distance at which a pixel's weight has fallen
    to 1/e.
    """
    averaging: Annotated[Literal["cut", "weights"], AddedLater] = "cut"
    """`average`: how agreement counts. `weights`: as the paper says, "greater weight to pixels where the two teachers
    exhibit high agreement" (it prints no formula); `cut`: all or nothing.
    """

    @model_validator(mode="after")
    def _weights_need_a_distance(self) -> "AssistantConfig":
        if self.averaging == "weights" and self.agreement is None:
            raise ValueError(
                "averaging: weights needs agreement, the distance at which a pixel's weight has fallen to 1/e"
            )
        return self


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
    """Crops in a teacher's forward pass: the training's batch, as its composition can change a network's last bits."""
    precision: Annotated[Literal["no", "bf16"], AddedLater] = "no"
    """See `LabelConfig`."""
    chunk: Annotated[Positive | None, AddedLater] = None
    """See `LabelConfig`."""


class Cell(Frozen):
    """One student to train: everything its training depends on, and nothing else."""

    mode: Mode
    normalization: Normalization
    teacher: str
    assistant: AssistantConfig | None = None
    """Set where `supervision` needs it, and only there."""
    supervision: Supervision = "teacher"
    """Whose maps are labels: the teacher's, the mean of both (`average`), or of one drawn per iteration (`select`)."""
    student: StudentConfig
    photos: ScenePhotos | FolderPhotos = Field(discriminator="source")
    crop: CropConfig
    labels: LabelConfig = LabelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig
    seed: Count
    """Seed of the student's random head, the order of the photos and the crops."""

    @model_validator(mode="after")
    def _assistant_where_needed(self) -> "Cell":
        if (self.supervision == "teacher") != (self.assistant is None):
            raise ValueError(f"supervision {self.supervision} {'has no' if self.assistant else 'needs an'} assistant")
        return self

    @property
    def label_plans(self) -> dict[str, LabelPlan]:
        """The pseudo-labels this cell trains on, by role: `teacher` and, where there is one, `assistant`."""
        plans = {"teacher": self._label_plan(self.teacher)}
        return plans if self.assistant is None else plans | {"assistant": self._label_plan(self.assistant.model)}

    def _label_plan(self, teacher: str) -> LabelPlan:
        return LabelPlan(
            teacher=teacher,
            photos=self.photos,
            crop=self.crop,
            context=MODES[self.mode].context,
            dtype=self.labels.dtype,
            seed=self.seed,
            samples=self.optim.steps * self.optim.batch,
            batch=self.optim.batch,
            precision=self.labels.precision,
            chunk=self.labels.chunk,
        )
