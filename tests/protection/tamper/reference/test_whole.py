import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.families import FAMILIES
from medseal.protection.tamper.canonical import TILE, CanonicalGrid
from medseal.protection.tamper.reference.config import FitConfig
from medseal.protection.tamper.reference.whole import (
    SIDE,
    Folder,
    draw_whole,
    part_of,
    whole_images,
)
from tests.protection.pictures import picture
from tests.protection.tamper.reference.test_images import (
    TRAINED,
    VALIDATED,
    data_in,
    levels,
    written,
)

TILES = SIDE // TILE


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def images(data):
    return whole_images(data)


def drawn(folders, count, *, seed=0, **settings):
    rng = np.random.default_rng(seed)
    return draw_whole(folders, FitConfig(**settings), rng, count)


@pytest.fixture(scope="module")
def forged(images):
    """Return pairs of two families alone, all of them forged."""
    kept = ("block", "splice")
    without = tuple(set(FAMILIES) - set(kept))
    return drawn(images.training, 8, seed=1, edited_share=1.0, without_families=without)


def names(folders):
    return {path.name for folder in folders for path in folder.files}


def only(folder, *shapes):
    """Return a folder of images of these shapes."""
    rows = [
        (f"x/{number}.png", "any", TRAINED[0], levels(*shape, number))
        for number, shape in enumerate(shapes)
    ]
    data = written(folder, rows)
    return (Folder(files=tuple(data / name for name, *_ in rows), weight=1.0),)


def test_no_group_is_in_both_parts_and_calibration_is_in_none(images):
    assert names(images.training) == {"a.png", "b.png", "e.png"}
    assert names(images.validation) == {"c.png", "f.png"}
    assert [len(folder.files) for folder in images.training] == [2, 1]


def test_more_images_weigh_more_yet_not_in_proportion(images):
    ct, us = images.training
    assert us.weight < ct.weight < 2 * us.weight


def test_a_modality_left_out_is_not_there(data, images):
    fewer = whole_images(data, without_modalities=("ultrasound",))
    assert names(fewer.training) == {"a.png", "b.png"}
    assert names(fewer.validation) == {"c.png"}
    assert fewer.digest != images.digest


def test_the_digest_names_the_images(tmp_path, data, images):
    assert whole_images(data).digest == images.digest
    other = data_in(tmp_path)
    assert whole_images(other).digest == images.digest
    values = levels(150, 140)
    values[0, 0] ^= 1
    written(other, [("ct/a.png", "CT chest", TRAINED[0], values)])
    data_rows = (data / "MANIFEST.csv").read_text()
    (other / "MANIFEST.csv").write_text(data_rows)
    assert whole_images(other).digest != images.digest


@pytest.mark.parametrize("group", [TRAINED[0], VALIDATED[0]])
def test_images_of_one_part_alone_are_refused(tmp_path, group):
    data = written(tmp_path, [("x/a.png", "any", group, levels(128, 128))])
    with pytest.raises(InputError, match="no images to train on and to validate on"):
        whole_images(data)


def test_a_part_is_the_middle_or_drawn():
    values = np.arange(3 * 600 * 520, dtype=np.uint32).reshape(3, 600, 520, 1) % 60_000
    image = picture(values.astype(np.uint16))
    middle = part_of(image, None)
    assert np.array_equal(middle.stored_values, image.stored_values[1:2, 44:556, 4:516])
    parts = [part_of(image, np.random.default_rng(seed)).stored_values for seed in range(8)]
    assert {part.shape for part in parts} == {(1, SIDE, SIDE, 1)}
    assert len({part.tobytes() for part in parts}) > 4
    small = picture(levels(130, 600))
    assert part_of(small, None).stored_values.shape == (1, 130, SIDE, 1)


def test_a_sample_has_its_shapes(forged):
    for sample in forged:
        for name, side in {
            "record": SIDE,
            "copy": SIDE,
            "mask": SIDE // 2,
            "clipped": TILES,
            "outside": TILES,
        }.items():
            values = getattr(sample, name)
            assert values.shape == (side, side), name
            assert values.dtype == np.float32, name
            assert np.isfinite(values).all(), name
        assert [one.shape for one in sample.bounds] == [(TILES, TILES)] * 2
        assert (sample.bounds[1] >= sample.bounds[0]).all()
        for share in (sample.mask, sample.clipped, sample.outside):
            assert share.min() >= 0
            assert share.max() <= 1 + 1e-6


def test_families_held_out_are_never_drawn(forged):
    seen = {name for sample in forged for name in sample.family.split(" + ") if name}
    assert seen == {"block", "splice"}


def test_a_mask_lies_where_the_copy_differs(forged):
    """The change, as it is left after handling and the way back, is larger within the mask."""
    ratios = []
    for sample in forged:
        assert bool(sample.family) == sample.mask.any()
        wide = np.kron(sample.mask, np.ones((2, 2)))
        rest = (wide == 0) & (np.kron(sample.outside, np.ones((TILE, TILE))) == 0)
        if not (sample.counts and (wide > 0.9).sum() > 50):
            continue
        apart = np.abs(sample.copy - sample.record)
        ratios.append(apart[wide > 0.9].mean() / max(apart[rest].mean(), 1e-3))
    assert len(ratios) >= 3
    assert np.median(ratios) > 3


def test_what_is_not_forged_has_no_mask(images):
    for sample in drawn(images.training, 4, edited_share=0.0):
        assert sample.family == ""
        assert sample.counts
        assert not sample.mask.any()
        seen = np.kron(sample.outside, np.ones((TILE, TILE))) == 0
        here, record = sample.copy[seen], sample.record[seen]
        assert np.corrcoef(here, record)[0, 1] > 0.9


def test_the_same_generator_draws_the_same_samples(images):
    first, again = (drawn(images.training, 2, seed=4) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.record, other.record)
        assert np.array_equal(one.copy, other.copy)
        assert np.array_equal(one.mask, other.mask)
        assert (one.family, one.counts) == (other.family, other.counts)
    # Two of each image.
    assert np.array_equal(first[0].record, first[1].record)


@pytest.mark.parametrize("shape", [(192, 128), (128, 192)], ids=["tall", "wide"])
def test_another_grid_is_cut_or_filled_with_what_is_outside(tmp_path, shape):
    grid = CanonicalGrid.of(1, *shape)
    down, across = min(grid.down, TILES), min(grid.across, TILES)
    assert (grid.down > TILES) != (grid.across > TILES)
    (sample,) = drawn(only(tmp_path, shape), 1, edited_share=0.0)
    assert (sample.outside[down:] == 1).all()
    assert (sample.outside[:, across:] == 1).all()
    assert (sample.outside[:down, :across] < 1).mean() > 0.8
    beyond = np.ones((SIDE, SIDE), np.bool_)
    beyond[: TILE * down, : TILE * across] = False
    assert np.ptp(sample.record[beyond]) == 0
    assert np.array_equal(sample.record[beyond], sample.copy[beyond])


def test_files_that_cannot_be_read_or_say_nothing_are_passed_over(tmp_path):
    (folder,) = only(tmp_path, (128, 128), (64, 128), (130, 130), (132, 132))
    whole, _, broken, flat = folder.files
    broken.write_bytes(b"no image")
    written(flat.parent.parent, [("x/3.png", "any", TRAINED[0], np.full((132, 132), 9, np.uint8))])
    (alone,) = drawn((Folder(files=(whole,), weight=1.0),), 1, edited_share=0.0)
    for seed in range(3):
        for sample in drawn((folder,), 1, seed=seed, edited_share=0.0):
            assert np.array_equal(sample.record, alone.record)
