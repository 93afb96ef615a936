import hashlib
import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from dad.data.crops import CropPlan, CropStream, SampleOrder, unit, usable
from dad.data.manifest import open_photos
from dad.errors import UserError


@st.composite
def cases(draw):
    """(plan, photo id, draw, width, height) with the photo large enough."""
    min_crop = draw(st.integers(1, 60))
    plan = CropPlan(
        seed=draw(st.integers(0, 2**40)),
        min_crop=min_crop,
        size=draw(st.integers(1, 50)),
        patches=draw(st.integers(0, 10)),
        flip=draw(st.booleans()),
        context=draw(st.sampled_from(["square", "center"])),
    )
    width, height = draw(st.integers(min_crop, 150)), draw(st.integers(min_crop, 150))
    return plan, draw(st.text(max_size=12)), draw(st.integers(0, 99)), width, height


@given(cases())
def test_squares_lie_in_the_photo_and_patches_in_the_square(case):
    plan, photo_id, draw, width, height = case
    crop = plan.draw(photo_id, draw, width, height)
    assert plan.min_crop <= crop.side <= min(width, height)
    assert 0 <= crop.x <= width - crop.side
    assert 0 <= crop.y <= height - crop.side
    assert crop.patch_side == min(plan.size, crop.side)
    assert len(crop.patches) == plan.patches
    assert all(0 <= corner <= crop.side - crop.patch_side for patch in crop.patches for corner in patch)
    boxes = crop.boxes()
    assert (boxes.shape, boxes.dtype) == ((plan.patches, 4), np.float32)
    assert np.all((boxes >= 0) & (boxes <= crop.side))
    assert np.all(boxes[:, 2:] - boxes[:, :2] == crop.patch_side)
    if plan.context == "center":
        assert crop.side == min(width, height)
        assert (crop.x, crop.y) == ((width - crop.side) // 2, (height - crop.side) // 2)


@given(cases(), cases())
def test_draws_do_not_depend_on_what_was_drawn_before(case, other):
    plan, *photo = case
    first = plan.draw(*photo)
    other[0].draw(*other[1:])
    assert plan.draw(*photo) == first
    assert (
        CropPlan(**{name: value for name, value in plan.canonical().items() if name not in ("filter", "rule")}).draw(
            *photo
        )
        == first
    )


@given(cases(), st.integers(0, 10), st.integers(1, 50))
def test_plans_stay_paired_across_patches_size_and_context(case, patches, size):
    plan, *photo = case
    crop = plan.draw(*photo)
    shared = CropPlan(
        seed=plan.seed, min_crop=plan.min_crop, size=size, patches=patches, flip=plan.flip, context=plan.context
    ).draw(*photo)
    assert (crop.x, crop.y, crop.side, crop.flip) == (shared.x, shared.y, shared.side, shared.flip)
    swapped = {"square": "center", "center": "square"}[plan.context]
    assert (
        CropPlan(seed=plan.seed, min_crop=plan.min_crop, size=size, flip=plan.flip, context=swapped).draw(*photo).flip
        == crop.flip
    )


@given(cases())
def test_the_square_is_what_the_bit_generator_says(case):
    """Derived again from Philox's raw 64-bit words, whose stream NumPy guarantees to keep."""
    plan, photo_id, draw, width, height = case
    key = hashlib.sha256(json.dumps([plan.seed, photo_id, draw]).encode()).digest()[:16]
    words = [int(word) >> 11 for word in np.random.Philox(key=int.from_bytes(key, "big")).random_raw(4)]
    if plan.context == "square":
        crop = plan.draw(photo_id, draw, width, height)
        short = min(width, height)
        side = plan.min_crop + (words[0] * (short - plan.min_crop + 1) >> 53)
        expected = (side, words[1] * (width - side + 1) >> 53, words[2] * (height - side + 1) >> 53)
        assert (crop.side, crop.x, crop.y) == expected
        assert crop.flip == (plan.flip and words[3] < 2**52)


def test_sides_positions_and_flips_are_uniform():
    plan = CropPlan(seed=5, min_crop=30, size=20)
    crops = [plan.draw(f"{i}.jpg", 0, 60, 40) for i in range(6000)]
    counts = np.bincount([crop.side for crop in crops], minlength=41)[30:]
    # eleven sides with 545 expected each: the chi-square statistic's 99.9 % point at 10 degrees of freedom is 29.6
    assert len(counts) == 11
    assert ((counts - 6000 / 11) ** 2 / (6000 / 11)).sum() < 29.6
    assert abs(np.mean([crop.x / (60 - crop.side) for crop in crops]) - 0.5) < 0.02
    assert abs(np.mean([crop.flip for crop in crops]) - 0.5) < 0.03
    assert len({plan.draw("a.jpg", draw, 600, 400) for draw in range(50)}) == 50


@given(st.integers(0, 10**6), st.integers(20, 40))
def test_four_patches_leave_no_hole_in_squares_of_up_to_twice_their_side(seed, side):
    crop = CropPlan(seed=seed, min_crop=side, size=20).draw("a", 0, side, side)
    seen = np.zeros((side, side), bool)
    for x, y in crop.patches:
        seen[y : y + 20, x : x + 20] = True
    rows, columns = np.nonzero(seen)
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = crop.patches  # reading order of the corners they belong to
    assert max(x0, x2) <= min(x1, x3)
    assert max(y0, y1) <= min(y2, y3)
    middle = (slice(max(y0, y1), min(y2, y3) + 20), slice(max(x0, x2), min(x1, x3) + 20))
    assert seen[middle].all()
    assert np.ptp(rows) >= 20 - 1
    assert np.ptp(columns) >= 20 - 1


def test_every_pixel_of_the_square_is_seen_often():
    plans = [CropPlan(seed=seed, min_crop=100, size=56) for seed in range(800)]
    seen = np.zeros((100, 100))
    for plan in plans:
        covered = np.zeros((100, 100), bool)
        for x, y in plan.draw("a", 0, 100, 100).patches:
            covered[y : y + 56, x : x + 56] = True
        seen += covered
    # a corner needs its patch at both edges, a half each; the border's share that purely random positions see is near 0
    assert 0.18 < seen[0, 0] / 800 < 0.32
    assert seen.min() / 800 > 0.18
    assert seen.mean() / 800 > 0.75


def ramp(width, height):
    """A photo whose red is the column and whose green is the row."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([columns, rows, np.zeros_like(rows)], -1).astype(np.uint8)


@settings(deadline=None)
@given(cases())
def test_views_boxes_and_flips_agree_on_a_ramp(case):
    plan, photo_id, draw, width, height = case
    crop = plan.draw(photo_id, draw, width, height)
    square, patches, boxes = plan.views(ramp(width, height), crop)
    assert (square.shape, patches.shape) == ((3, plan.size, plan.size), (plan.patches, 3, plan.size, plan.size))
    assert (square.dtype, patches.dtype) == (np.float32, np.float32)
    assert min(square.min(), patches.min(initial=0)) >= 0
    assert max(square.max(), patches.max(initial=0)) <= 1

    def check(view, x0, y0, side):
        # averages over the region do not change under a resize or a flip; half a grey level is lost to rounding
        left = crop.x + (crop.side - x0 - side if crop.flip else x0)
        assert abs(view[0].mean() * 255 - (left + (side - 1) / 2)) <= 1
        assert abs(view[1].mean() * 255 - (crop.y + y0 + (side - 1) / 2)) <= 1
        if plan.size > 1 and side > 2:
            assert (view[0, 0, 0] > view[0, 0, -1]) == crop.flip
            assert view[1, 0, 0] < view[1, -1, 0]

    check(square, 0, 0, crop.side)
    for patch, (x0, y0, x1, _) in zip(patches, boxes, strict=True):
        check(patch, x0, y0, x1 - x0)


@settings(deadline=None)
@given(cases(), st.integers(0, 2**32))
def test_patches_of_full_resolution_are_the_squares_pixels(case, seed):
    plan, photo_id, draw, width, height = case
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    crop = plan.draw(photo_id, draw, width, height)
    if crop.patch_side < plan.size:
        return
    square = image[crop.y : crop.y + crop.side, crop.x : crop.x + crop.side].transpose(2, 0, 1)
    seen_by_student = square[:, :, ::-1] if crop.flip else square
    views = plan.views(image, crop)
    for patch, box in zip(views.patches, views.boxes.astype(int), strict=True):
        assert np.array_equal(np.rint(patch * 255), seen_by_student[:, box[1] : box[3], box[0] : box[2]])


def test_nothing_outside_a_region_enters_its_view():
    plan = CropPlan(seed=1, min_crop=40, size=16, patches=1, flip=False)
    crop = plan.draw("a", 0, 90, 70)
    image = np.zeros((70, 90, 3), np.uint8)
    image[crop.y : crop.y + crop.side, crop.x : crop.x + crop.side] = 200
    assert np.array_equal(plan.views(image, crop).square, np.full((3, 16, 16), 200, np.float32) / 255)


def test_a_checkerboard_is_averaged_when_shrunk():
    image = np.where(np.indices((64, 64)).sum(0) % 2, 255, 0).astype(np.uint8)[..., None].repeat(3, -1)
    plan = CropPlan(seed=0, min_crop=64, size=8, patches=0)
    assert np.abs(plan.views(image, plan.draw("a", 0, 64, 64)).square - 0.5).max() < 0.05


def test_the_hash_follows_every_key():
    plan = CropPlan(seed=0, min_crop=644, size=560)
    changes = {"seed": 1, "min_crop": 600, "size": 518, "patches": 9, "flip": False, "context": "center"}
    hashes = [plan.hash()] + [
        CropPlan(**{"seed": 0, "min_crop": 644, "size": 560} | {key: value}).hash() for key, value in changes.items()
    ]
    assert len(set(hashes)) == 7
    assert all(len(value) == 8 and int(value, 16) >= 0 for value in hashes)
    assert CropPlan(seed=0, min_crop=644, size=560).hash() == hashes[0]


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"min_crop": 0}, {"size": 0}, {"patches": -1}, {"context": "corner"}])
def test_a_wrong_plan_is_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        CropPlan(**{"seed": 0, "min_crop": 8, "size": 8} | wrong)


def test_photos_too_small_are_split_off_by_name(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))  # short sides 30, 32, ... 52, but the last is 51 wide
    large, small = usable(photos, 40)
    assert sorted(photo.id[-6:-4] for photo in small) == ["00", "01", "02", "03", "04"]
    assert large.ids == [photo_id for photo_id in photos.ids if photo_id not in {photo.id for photo in small}]
    with pytest.raises(UserError, match="largest short side is 51"):
        usable(photos, 100)
    with pytest.raises(UserError, match=r"photo_0[0-4].*too small for min_crop 40"):
        CropStream(photos, CropPlan(seed=0, min_crop=40, size=8), 0, 4)
    with pytest.raises(UserError, match=r"a\.jpg of 100 x 39.*too small"):
        CropPlan(seed=0, min_crop=40, size=8).draw("a.jpg", 0, 100, 39)


@given(st.sets(st.text(min_size=1, max_size=4), min_size=1, max_size=20), st.integers(0, 99), st.randoms())
def test_the_stream_passes_over_all_photos_once_an_epoch(ids, seed, random):
    ids = sorted(ids)
    order = SampleOrder(ids, seed)
    stream = [order(i) for i in range(3 * len(ids))]
    for epoch in range(3):
        part = stream[epoch * len(ids) : (epoch + 1) * len(ids)]
        assert sorted(index for index, _ in part) == list(range(len(ids)))
        assert {draw for _, draw in part} == {epoch}
    positions = list(range(len(stream)))
    random.shuffle(positions)
    assert [order(i) for i in positions] == [stream[i] for i in positions]
    shuffled = random.sample(ids, len(ids))
    other = SampleOrder(shuffled, seed)
    assert [shuffled[other(i)[0]] for i in range(len(stream))] == [ids[index] for index, _ in stream]


def test_epochs_and_seeds_have_orders_of_their_own():
    ids = [f"{i}.jpg" for i in range(30)]
    orders = {
        tuple(SampleOrder(ids, seed)(30 * epoch + i)[0] for i in range(30)) for seed in range(4) for epoch in range(4)
    }
    assert len(orders) == 16
    with pytest.raises(UserError, match="at least one photo"):
        SampleOrder([], 0)


def test_the_loader_gives_equal_tensors_for_any_number_of_workers(make_folder, photo_files, write_shard):
    root = make_folder({}, "shards")
    root.mkdir()
    write_shard(root / "sa_000000.tar", photo_files)
    photos = open_photos(root)
    plan = CropPlan(seed=2, min_crop=24, size=16, patches=3)
    stream = CropStream(photos, plan, 5, 29)
    alone, together = (list(DataLoader(stream, batch_size=8, num_workers=workers)) for workers in (0, 2))
    assert [batch["square"].shape for batch in alone] == [(8, 3, 16, 16)] * 3
    for one, two in zip(alone, together, strict=True):
        assert one.keys() == two.keys()
        for name, value in one.items():
            assert torch.equal(value, two[name]) if isinstance(value, torch.Tensor) else value == two[name]
    item, position = stream[7], 12
    which, draw = SampleOrder(photos.ids, plan.seed)(position)
    crop = plan.draw(photos.id(which), draw, *photos.size(which))
    assert (item["index"], item["draw"], item["photo_id"], item["side"]) == (
        position,
        draw,
        photos.id(which),
        crop.side,
    )
    expected = plan.views(photos.read(which), crop)
    assert all(
        torch.equal(item[name], torch.from_numpy(getattr(expected, name))) for name in ("square", "patches", "boxes")
    )
    assert torch.equal(CropStream(photos, plan, 0, 60)[12]["square"], item["square"])


def test_leaving_the_patches_pixels_out_changes_nothing_else(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))
    plan = CropPlan(seed=1, min_crop=24, size=16, patches=3)
    for whole, lean in zip(CropStream(photos, plan, 0, 6), CropStream(photos, plan, 0, 6, patches=False), strict=True):
        assert lean["patches"].shape == (0, 3, 16, 16)
        assert all(torch.equal(whole[key], lean[key]) for key in ("square", "boxes"))


def test_eight_bit_pixels_become_the_same_numbers_where_they_are_needed(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))
    plan = CropPlan(seed=1, min_crop=24, size=16, patches=2)
    for plain, small in zip(
        CropStream(photos, plan, 0, 6), CropStream(photos, plan, 0, 6, eight_bit=True), strict=True
    ):
        for view in ("square", "patches"):
            assert small[view].dtype == torch.uint8
            assert torch.equal(unit(small[view]), plain[view])
            assert unit(plain[view]) is plain[view]
        assert torch.equal(small["boxes"], plain["boxes"])
    every = torch.arange(256, dtype=torch.uint8)
    assert np.array_equal(unit(every).numpy(), np.arange(256, dtype=np.float32) / np.float32(255))


def test_remembered_photos_are_the_same_photos(make_folder, photo_files):
    photos = open_photos(make_folder(photo_files))
    remembering = photos.remembering(1)
    for _ in range(2):
        assert all(np.array_equal(photos.read(i), remembering.read(i)) for i in range(len(photos)))
    assert 0 < sum(image.nbytes for image in remembering._kept.values()) <= 2**20
    assert pickle.loads(pickle.dumps(remembering))._kept == {}
