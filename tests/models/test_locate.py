"""What a model's name stands for: paths, links, hub names and classes of other packages, without asking anybody."""

import sys
import threading
import time

import pytest
import torch

from dad.errors import UserError
from dad.models import hub, load, plugins
from dad.models.checkpoints import load_network
from dad.models.locate import locate
from dad.models.registry import build

PLUGIN = '''
import torch

class Bright:
    """The mean of the channels as disparity."""
    kind, patch = "disparity", 1
    def __init__(self, device="cpu"):
        self.name, self.device = "bright", device
    def __call__(self, rgb):
        return rgb.mean(1, keepdim=True)

class Flat(Bright):
    def __call__(self, rgb):
        return rgb[0, 0]

class Unsaid:
    kind, patch = "distance", 1
    name = "unsaid"

def broken():
    raise RuntimeError("no such weights\\nand more")

class Raises(Bright):
    def __call__(self, rgb):
        raise KeyError("tokens\\nof nothing")

class Full(Bright):
    def __call__(self, rgb):
        raise RuntimeError("CUDA out of memory")

def leaves():
    raise SystemExit(0)

class Patchless(Bright):
    patch = 0

class Worded(Bright):
    patch = "14"
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A module of somebody else's in the current folder."""
    (tmp_path / "bright_teachers.py").write_text(PLUGIN)
    (tmp_path / "a_script.py").write_text("import sys\nsys.exit(0)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    yield tmp_path
    sys.modules.pop("bright_teachers", None)


def _installed(folder, monkeypatch):
    """What `pip install` leaves of a package that registers a teacher."""
    info = folder / "bright-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[dad.teachers]\nbright-teacher = bright_teachers:Bright\n")
    monkeypatch.syspath_prepend(str(folder))


def test_a_class_of_another_package_is_a_model(package):
    estimator = load("bright_teachers:Bright")
    rgb = torch.rand(2, 3, 20, 30)
    torch.testing.assert_close(estimator(rgb), rgb.mean(1, keepdim=True))
    assert (estimator.name, estimator.kind, estimator.patch, estimator.device) == ("bright", "disparity", 1, "cpu")
    assert estimator(rgb[0].permute(1, 2, 0).numpy()).shape == (20, 30)
    found = locate("bright_teachers:Bright")
    assert (found.how, found.problem, found.path.name) == ("plugin", "", "bright_teachers.py")
    assert load("bright_teachers:Bright", device="cuda:3").device == "cuda:3", "the device is handed on"


def test_a_registered_name_is_a_model(package, monkeypatch):
    assert locate("bright-teacher").how == "unknown"
    _installed(package, monkeypatch)
    assert locate("bright-teacher").how == "plugin"
    assert locate("bright-teacher").problem == ""
    assert load("bright-teacher", short_side=48).name == "bright"
    assert "did you mean 'bright-teacher'?" in locate("bright-techer").problem


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bright_teachers:Brigt", "cannot be imported: AttributeError"),
        ("no_such_package.teachers:Bright", "cannot be imported: ModuleNotFoundError"),
        ("bright_teachers:Unsaid", r"has no kind \(disparity or depth\)"),
        ("bright_teachers:broken", "cannot be made: RuntimeError: no such weights"),
        ("bright_teachers:PLUGIN_IS_NO_CLASS", "AttributeError"),
        ("bright_teachers:leaves", "cannot be made: SystemExit: 0"),
        ("bright_teachers:Patchless", "has the patch 0: a whole number of pixels"),
        ("bright_teachers:Worded", "has the patch '14': a whole number of pixels"),
        ("a_script:Teacher", "cannot be imported: SystemExit: 0"),
    ],
)
def test_a_class_that_is_no_estimator_is_refused_in_one_line(package, name, said):
    with pytest.raises(UserError, match=said) as caught:
        load(name)
    assert "\n" not in str(caught.value)


def test_what_another_package_can_not_do_is_refused(package):
    with pytest.raises(UserError, match="takes no square"):
        load("bright_teachers:Bright", square=True)
    with pytest.raises(UserError, match=r"gives \(16, 16\) for RGB \(1, 3, 16, 16\)"):
        load("bright_teachers:Flat")(torch.rand(1, 3, 16, 16))
    with pytest.raises(UserError, match="^the model bright raised KeyError: 'tokens.*of nothing'$"):
        load("bright_teachers:Raises")(torch.rand(1, 3, 16, 16))
    with pytest.raises(RuntimeError, match="out of memory"):
        load("bright_teachers:Full")(torch.rand(1, 3, 16, 16))
    assert "there is no module 'bright_teacher'" in locate("bright_teacher:Bright").problem


def test_a_network_before_a_colon_is_no_module():
    assert not plugins.is_class_name("genpercept:folder")
    assert locate("genpercept:folder").how == "unknown"
    assert not plugins.is_class_name("depth-anything-v1-small:weights.pth")


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """A machine without a cache; asking the hub fails the test."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: pytest.fail("the hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()


@pytest.mark.parametrize(
    "name",
    ["./runs", "~/nowhere", "/nowhere/at/all", "results/run", "results/mini/runs/cell", "runs/a", "mine/cell",
     "weights/a.pth", "deep/er/than/this", "a.safetensors"],
)  # fmt: skip
def test_a_mistyped_path_is_never_asked_of_the_hub(no_hub, name):
    with pytest.raises(UserError, match=f"no model '{name}'"):
        load(name)


def test_offline_is_respected(no_hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids asking the hub"):
        load("somebody/something")
    assert locate("somebody/something").problem.endswith("downloaded when first used")


def test_a_hub_that_does_not_answer_is_given_up(no_hub, monkeypatch):
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    held = threading.Event()
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", lambda *_, **__: held.wait(20))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    started = time.monotonic()
    with pytest.raises(UserError, match="did not answer within 0.2 seconds"):
        load("somebody/something")
    assert time.monotonic() - started < 10
    held.set()


def test_a_cached_repository_is_found_by_its_name(no_hub, tmp_path):
    folder = tmp_path / "cache" / "hub" / "models--somebody--something"
    (folder / "snapshots" / "abc").mkdir(parents=True)
    (folder / "snapshots" / "abc" / "model.safetensors").touch()
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    assert locate("somebody/something").path == folder / "snapshots" / "abc"
    assert locate("somebody/something/model.safetensors").path.name == "model.safetensors"
    assert locate("somebody/something/other.safetensors").problem


def test_links_are_followed_to_the_name_that_tells_the_version(tmp_path):
    state = build("depth-anything-v2-small").state_dict()
    torch.save(state, tmp_path / "depth_anything_vits14.pth")
    (tmp_path / "teacher.pth").symlink_to("depth_anything_vits14.pth")
    assert load_network(tmp_path / "teacher.pth")[0].config.taps == (8, 9, 10, 11)
    (tmp_path / "depth_anything_v2_vits.pth").symlink_to("depth_anything_vits14.pth")
    with pytest.raises(UserError, match="both Depth Anything v1 and v2"):
        load_network(tmp_path / "depth_anything_v2_vits.pth")
    (tmp_path / "Distill-Any-Depth").mkdir()
    torch.save(state, tmp_path / "Distill-Any-Depth" / "weights.pth")
    (tmp_path / "linked").symlink_to("Distill-Any-Depth")
    assert load_network(tmp_path / "linked" / "weights.pth")[0].config.taps == (2, 5, 8, 11)


def test_a_metric_model_is_not_taken_for_a_relative_one(tmp_path):
    torch.save(build("depth-anything-v2-small").state_dict(), tmp_path / "depth_anything_v2_metric_hypersim_vits.pth")
    with pytest.raises(UserError, match="named as a metric model"):
        load(tmp_path / "depth_anything_v2_metric_hypersim_vits.pth")


def test_step_counters_may_be_missing(tmp_path):
    network = build("midas-v2.1-small-256")
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert len(state) < len(network.state_dict())
    torch.save(state, tmp_path / "midas_v21_small_256.pt")
    again, _ = load_network(tmp_path / "midas_v21_small_256.pt")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in state.items())
    del state["pretrained.layer1.0.weight"]
    torch.save(state, tmp_path / "midas_v21_small_256.pt")
    with pytest.raises(UserError, match="1 missing: pretrained.layer1.0.weight"):
        load_network(tmp_path / "midas_v21_small_256.pt")
