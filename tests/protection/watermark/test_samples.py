import hashlib

import cv2
import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.watermark.frame import FRAME_SIDE
from medseal.protection.watermark.samples import LARGE_SIDE, Samples, draw, read_samples
from tests.protection.pictures import texture

HEADER = "path,modality,group,split_hint\n"


def is_held_back(group):
    return hashlib.sha256(group.encode()).digest()[0] % 10 == 0


def groups(count, *, held_back):
    names = (f"g{number}" for number in range(10_000))
    return [name for name in names if is_held_back(name) == held_back][:count]


def write(folder, rows):
    """Write images and their manifest: (name, group, rows, columns) each."""
    lines = []
    for seed, (name, group, height, width) in enumerate(rows):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.rint(texture(height, width, seed=seed) * 255).astype(np.uint8))
        lines.append(f"{name},CT chest,{group},train\n")
    (folder / "MANIFEST.csv").write_text(HEADER + "".join(lines))
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    first, second, third, fourth = groups(4, held_back=False)
    (last,) = groups(1, held_back=True)
    rows = [
        ("ct_lung/a.png", first, 400, 390),
        ("ct_lung/b.png", second, 300, 384),
        ("ct_lung/c.png", last, 400, 380),
        ("ct_lung/d.png", last, 200, 190),
        ("mri/e.png", third, 200, 190),
        ("mri/f.png", fourth, 210, 190),
        ("mri/g.png", first, 220, 190),
        ("mri/h.png", first, 120, 190),
    ]
    return write(tmp_path_factory.mktemp("data"), rows)


def test_large_ones_small_ones_and_those_held_back(data):
    samples = read_samples(data, per_collection=10, seed=1)
    assert sorted(grey.shape for grey in samples.large) == [(300, 384), (400, 390)]
    assert [grey.shape for grey in samples.validation] == [(400, 380)]
    # The small one of the group held back is left out, and so is the one of 120 rows.
    assert sorted(grey.shape[0] for grey in samples.small) == [200, 210, 220]
    assert all(grey.dtype == np.uint8 for grey in samples.large + samples.small)


def test_no_more_small_ones_of_a_folder_than_asked_for(data):
    samples = read_samples(data, per_collection=2, seed=1)
    assert len(samples.small) == 2
    assert {grey.shape for grey in samples.large} == {(300, 384), (400, 390)}


def test_the_digest_names_the_images(data):
    one, again = (read_samples(data, per_collection=10, seed=1) for _ in range(2))
    assert one.digest == again.digest
    assert read_samples(data, per_collection=1, seed=1).digest != one.digest


def test_images_that_cannot_be_read_or_show_nothing_are_left_out(tmp_path):
    train, other = groups(2, held_back=False)
    (last,) = groups(1, held_back=True)
    folder = write(
        tmp_path, [("ct_lung/a.png", train, 384, 200), ("ct_lung/b.png", last, 384, 200)]
    )
    (folder / "ct_lung" / "c.png").write_bytes(b"no image")
    cv2.imwrite(str(folder / "ct_lung" / "d.png"), np.full((400, 400), 9, np.uint8))
    with (folder / "MANIFEST.csv").open("a") as file:
        file.writelines(f"ct_lung/{name}.png,CT chest,{other},train\n" for name in "cd")
    samples = read_samples(folder, per_collection=10, seed=1)
    assert (len(samples.large), len(samples.validation), len(samples.small)) == (1, 1, 0)


@pytest.mark.parametrize("missing", ["to train on", "to validate on"])
def test_without_large_images_there_is_no_training(tmp_path, missing):
    train, other = groups(2, held_back=False)
    (last,) = groups(1, held_back=True)
    sides = (300, 384) if missing == "to train on" else (384, 300)
    rows = [("ct/a.png", train, sides[0], 200), ("ct/b.png", last, sides[1], 200)]
    folder = write(tmp_path, [*rows, ("ct/c.png", other, 200, 200)])
    with pytest.raises(InputError, match=f"no images with a long side of {LARGE_SIDE}"):
        read_samples(folder, per_collection=10, seed=1)


def generated(*shapes):
    greys = [np.rint(texture(*shape) * 255).astype(np.uint8) for shape in shapes]
    large = tuple(grey for grey in greys if max(grey.shape) >= LARGE_SIDE)
    small = tuple(grey for grey in greys if max(grey.shape) < LARGE_SIDE)
    return Samples(large=large, small=small, validation=large, digest="")


def test_what_is_drawn_fits_its_part_of_the_frame():
    samples = generated((400, 384), (900, 700), (200, 300))
    rng = np.random.default_rng(5)
    sizes = set()
    for _ in range(60):
        sample = draw(samples, rng, large_share=0.6)
        assert sample.plane.dtype == np.float32
        assert -40 < sample.plane.min() <= sample.plane.max() < 300
        assert sample.shape[0] % 2 == sample.shape[1] % 2 == 0
        assert max(sample.shape) <= FRAME_SIDE
        ratio = np.array(sample.shape) / sample.plane.shape
        assert ratio[0] == pytest.approx(ratio[1], rel=0.05)
        sizes.add(sample.plane.shape)
    assert len(sizes) > 30


def test_the_same_draw_from_the_same_generator():
    samples = generated((400, 384), (200, 300))
    one, other = (draw(samples, np.random.default_rng(6), large_share=0.5) for _ in range(2))
    assert one.shape == other.shape
    assert np.array_equal(one.plane, other.plane)


def test_only_large_ones_where_there_are_no_others():
    samples = generated((400, 384))
    rng = np.random.default_rng(7)
    for _ in range(10):
        assert max(draw(samples, rng, large_share=0.0).shape) >= FRAME_SIDE // 2
