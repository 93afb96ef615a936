import numpy as np
import pytest
from PIL import Image

from dad.cli import main
from dad.data.benchmarks.base import Sample
from dad.errors import UserError
from dad.evaluation.evaluate import Scored, evaluate
from dad.report import score_previews
from dad.report.colour import NO_VALUE, colourise, shaded
from dad.report.score_previews import ScorePreviews, caption_of, panels_of, preview_path


class Made:
    """Images made up on demand; those in `empty` have no valid pixel."""

    name, min_depth, max_depth, align_max_res = "scenes-indoor", 1e-3, 10.0, None

    def __init__(self, count, empty=(), shape=(12, 16), valid=0.8):
        self.count, self.empty, self.shape, self.valid = count, set(empty), shape, valid

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        random = np.random.default_rng(index)
        rgb = random.integers(0, 256, (*self.shape, 3), dtype=np.uint8)
        depth = (1 / (0.1 + rgb[..., 0] / 255)).astype(np.float32)
        mask = random.random(self.shape) < (0 if index in self.empty else self.valid)
        return Sample(f"room/{index}.jpg", "room", rgb, depth, mask)


class Red:
    """A disparity estimator that is right up to noise."""

    kind, name, patch = "disparity", "red", 1

    def __call__(self, rgb):
        return rgb[:, :1] * 3 + 1 + 0.2 * rgb[:, 1:2]


@pytest.fixture
def drawn(monkeypatch):
    """The pictures that are asked for, as (dataset, index, path), without drawing them."""
    calls = []
    monkeypatch.setattr(
        score_previews, "draw_scored", lambda scored, path: calls.append((scored.dataset, scored.index, path))
    )
    return calls


@pytest.mark.parametrize(
    ("images", "empty", "count", "expected"),
    [
        (12, [], 3, [0, 4, 8]),
        (5, [], 8, [0, 1, 2, 3, 4]),
        (7, [], 7, list(range(7))),
        (10, [], 1, [0]),
        (12, [4, 5], 3, [0, 6, 8]),  # the next one that can be scored takes the place
        (4, [0, 1, 2, 3], 2, []),
    ],
)
def test_which_images_are_drawn(drawn, tmp_path, images, empty, count, expected):
    evaluate(Made(images, empty), Red(), on_scored=ScorePreviews(tmp_path, count=count))
    assert [index for _, index, _ in drawn] == expected
    assert [path for *_, path in drawn] == [tmp_path / "scenes-indoor" / "room" / f"{index}.png" for index in expected]


def test_every_data_set_has_its_own_pictures(drawn, tmp_path):
    previews = ScorePreviews(tmp_path, count=2)
    second = Made(6)
    second.label = "scenes-indoor-again"
    for benchmark in (Made(4), second):
        evaluate(benchmark, Red(), on_scored=previews)
    assert [call[:2] for call in drawn] == [
        (name, i)
        for name, i in (
            ("scenes-indoor", 0),
            ("scenes-indoor", 2),
            ("scenes-indoor-again", 0),
            ("scenes-indoor-again", 3),
        )
    ]


def test_the_first_protocol_is_shown_and_rows_do_not_change():
    seen: list[Scored] = []
    rows = evaluate(Made(3, empty=[1]), Red(), ["native", "marigold"], model="mine", on_scored=seen.append)
    assert rows == evaluate(Made(3, empty=[1]), Red(), ["native", "marigold"], model="mine")
    assert [(scored.model, scored.index, scored.total, scored.fitted.rules.name) for scored in seen] == [
        ("mine", 0, 3, "native"),
        ("mine", 2, 3, "native"),
    ]
    for scored, row in zip(seen, (rows[0], rows[4]), strict=True):
        assert row.items() >= scored.row.items()


def test_pictures_stay_inside_their_folder(tmp_path):
    assert preview_path(tmp_path, "samples", "a/b.jpg") == tmp_path / "samples" / "a" / "b.png"
    for image in ("../../photos/a.v2.jpg", "/photos/a.v2.jpg"):
        path = preview_path(tmp_path, "samples", image)
        assert path.resolve().is_relative_to(tmp_path / "samples")
        assert path.name == "a.v2.png"


@pytest.fixture
def scored():
    """Scores an image and returns what the previews are given."""

    def run(benchmark, protocol="marigold"):
        kept = []
        rows = evaluate(benchmark, Red(), [protocol], on_scored=kept.append)
        return kept[0], rows[0]

    return run


def near(pixels, expected):
    """One of 256 colours: 1/depth is in float32 there."""
    return np.abs(pixels.astype(int) - expected.astype(int)).max() <= 8


@pytest.mark.parametrize("protocol", ["marigold", "disparity"])
def test_the_panels_are_what_was_scored(scored, protocol):
    benchmark = Made(1)
    seen, row = scored(benchmark, protocol)
    sample, panels = benchmark[0], panels_of(seen)
    assert list(panels) == ["photo", "ground truth", "prediction, aligned", "absolute relative error"]
    photo, truth, prediction, error = panels.values()
    assert np.array_equal(photo, sample.rgb)
    disparity = np.where(sample.mask, 1 / sample.depth.astype(np.float64), np.nan)
    assert near(truth, colourise(disparity))
    assert (truth[~sample.mask] == NO_VALUE).all()
    rgb = sample.rgb / 255
    aligned = row["scale"] * (rgb[..., 0] * 3 + 1 + 0.2 * rgb[..., 1]) + row["shift"]
    if protocol == "marigold":
        aligned = 1 / np.clip(1 / np.maximum(aligned, 1e-3), 1e-3, 10)
    assert near(prediction, colourise(aligned, like=disparity))
    own, true = (1 / aligned, 1 / disparity) if protocol == "marigold" else (aligned, disparity)
    errors = np.abs(own - true) / true
    assert np.nanmean(errors) == pytest.approx(row["abs_rel"], rel=1e-5)
    assert near(error, shaded(errors / score_previews.WORST, "magma"))
    caption = caption_of(seen)
    for part in (
        "red",
        f"{protocol}@1",
        f"AbsRel {row['abs_rel']:.4g}",
        f"δ1 {row['delta1']:.4g}",
        f"{row['n']} pixels scored",
    ):
        assert part in caption


def test_large_and_sparse_maps_are_made_small_without_losing_points(scored):
    made = Made(1, shape=(400, 1000), valid=0.001)
    photo, truth, prediction, error = panels_of(scored(made)[0]).values()
    assert photo.shape[1] == prediction.shape[1] == score_previews.LARGEST
    assert truth.shape == error.shape == (66, 165, 3)
    rows, columns = np.nonzero(made[0].mask)
    points = np.zeros((66, 165), bool)
    points[rows * 66 // 400, columns * 165 // 1000] = True
    for pixels in (truth, error):
        assert np.array_equal((pixels != NO_VALUE).any(axis=-1), points)


def test_files_from_the_command_line_repeat(tmp_path, capsys):
    (tmp_path / "data").mkdir()
    lines = ["rgb,gt,kind,scale"]
    for index in range(3):
        random = np.random.default_rng(index)
        Image.fromarray(random.integers(0, 256, (20, 14, 3), dtype=np.uint8)).save(tmp_path / "data" / f"{index}.png")
        steps = random.integers(1000, 9000, (20, 14)).astype(np.uint16)
        Image.fromarray(steps).save(tmp_path / "data" / f"{index}_gt.png")
        np.save(tmp_path / "data" / f"{index}.npy", steps.astype(np.float32) + random.normal(0, 50, steps.shape))
        lines.append(f"{index}.png,{index}_gt.png,depth,0.001")
    (tmp_path / "data" / "manifest.csv").write_text("\n".join(lines))
    data = str(tmp_path / "data")
    call = ["evaluate", "--predictions", data, "--kind", "depth", "--dataset", "samples", "--root", data]
    call += ["--out", str(tmp_path / "scores.csv")]
    assert main([*call, "--previews-count", "2"]) == 2
    assert "--previews-count is for --previews" in capsys.readouterr().err
    assert main([*call, "--previews", str(tmp_path / "data" / "0.png")]) == 2
    assert "previews go to a folder" in capsys.readouterr().err
    for folder in ("one", "two"):
        assert main([*call, "--previews", str(tmp_path / folder), "--previews-count", "2"]) == 0
    files = sorted(path.relative_to(tmp_path / "one").as_posix() for path in (tmp_path / "one").rglob("*.*"))
    assert files == ["samples/0.png", "samples/1.png"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
        with Image.open(tmp_path / "one" / name) as image:
            assert image.size[0] > 1200
    with pytest.raises(UserError, match="is a file"):
        ScorePreviews(tmp_path / "scores.csv")


def test_letters_without_a_sign_in_the_font_are_escaped_not_warned_about(tmp_path, recwarn):
    from dad.report.style import drawable, new_figure, save_figure, styled

    assert drawable("a é δ 照片\n.jpg") == "a é δ \\u7167\\u7247\n.jpg"
    with styled():
        figure = new_figure(2, 1)
        figure.suptitle("照片.jpg", parse_math=False)
        save_figure(figure, tmp_path / "a.png")
    assert not [warning for warning in recwarn if "Glyph" in str(warning.message)]
