import cv2
import numpy as np
import pytest

from medseal.datasets.material import Material, training_files
from medseal.errors import InputError
from medseal.protection.tamper.reference.images import (
    _CALIBRATION,
    _PARTS,
    _VALIDATION,
    _part,
    is_calibration,
    read_images,
)
from tests.protection.pictures import texture

HEADER = "path,modality,group,split_hint\n"


def groups(part, count):
    """Return names of groups that fall into one part: training (None) or one of the others."""
    kept = (_VALIDATION, _CALIBRATION)
    names = (f"g{number}" for number in range(_PARTS * 40))
    fitting = (n for n in names if (_part(n) == part if part is not None else _part(n) not in kept))
    return [next(fitting) for _ in range(count)]


TRAINED, VALIDATED, CALIBRATED = (
    groups(part, count) for part, count in ((None, 4), (_VALIDATION, 2), (_CALIBRATION, 2))
)


def written(folder, rows):
    """Write images and their manifest: (name, modality, group, values) each."""
    lines = []
    for name, modality, group, values in rows:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), values)
        lines.append(f"{name},{modality},{group},train\n")
    (folder / "MANIFEST.csv").write_text(HEADER + "".join(lines))
    return folder


def levels(rows, columns, seed=0):
    return np.rint(255 * texture(rows, columns, seed=seed)).astype(np.uint8)


def data_in(folder):
    """Write two collections with images to train on, to validate on and to calibrate on."""
    rows = [
        ("ct/a.png", "CT chest", TRAINED[0], levels(150, 140)),
        ("ct/b.png", "CT chest", TRAINED[1], levels(130, 160, 1)),
        ("ct/c.png", "CT chest", VALIDATED[0], levels(150, 150, 2)),
        ("ct/d.png", "CT chest", CALIBRATED[0], levels(128, 128, 3)),
        ("us/e.png", "ultrasound", TRAINED[2], levels(128, 128, 4)),
        ("us/f.png", "ultrasound", VALIDATED[1], levels(128, 132, 5)),
        ("us/g.png", "ultrasound", CALIBRATED[1], levels(140, 132, 6)),
    ]
    return written(folder, rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def images(data):
    return read_images(data, per_collection=10, seed=1)


def shapes(collections):
    return {one.name.split("/")[-1]: {plane.shape for plane in one.planes} for one in collections}


def test_no_group_is_in_both_parts_and_calibration_is_in_none(images):
    assert shapes(images.training) == {"ct": {(150, 140), (130, 160)}, "us": {(128, 128)}}
    assert shapes(images.validation) == {"ct": {(150, 150)}, "us": {(128, 132)}}


def test_what_calibrates_goes_by_group(data):
    kept = [item.group for item in training_files(data) if is_calibration(item)]
    assert kept == CALIBRATED
    twin = Material(path=data / "other.png", modality="any", group=CALIBRATED[0])
    assert is_calibration(twin)


def test_the_digest_names_the_images(data, images):
    assert read_images(data, per_collection=10, seed=1).digest == images.digest
    fewer = read_images(data, per_collection=10, seed=1, without_modalities=("ultrasound",))
    assert fewer.digest != images.digest


def test_no_folder_gives_more_than_its_share(data):
    found = read_images(data, per_collection=5, seed=1)
    assert [len(one.planes) for one in found.training] == [2, 1]
    assert [len(one.planes) for one in found.validation] == [1, 1]
    with pytest.raises(InputError, match="to validate on"):
        # A fifth of a part of one image is none.
        read_images(data, per_collection=4, seed=1)


def test_a_modality_left_out_is_not_read(data):
    found = read_images(data, per_collection=10, seed=1, without_modalities=("ultrasound",))
    assert [one.name.split("/")[-1] for one in found.training] == ["ct"]
    assert len(found.validation) == 1


def test_small_collections_are_drawn_less_often(images):
    ct, us = images.training
    assert ct.weight == pytest.approx(2 * 2**0.5 * us.weight)


def test_what_is_flat_tiny_or_no_image_is_left_out(tmp_path):
    flat = np.full((64, 64), 90, np.uint8)
    rows = [
        ("x/a.png", "any", TRAINED[0], levels(64, 64)),
        ("x/b.png", "any", VALIDATED[0], levels(64, 64)),
        ("x/flat.png", "any", TRAINED[1], flat),
        ("x/tiny.png", "any", TRAINED[2], levels(20, 64)),
        ("x/broken.png", "any", TRAINED[3], levels(64, 64)),
    ]
    data = written(tmp_path, rows)
    (data / "x" / "broken.png").write_bytes(b"no image")
    (found,) = read_images(data, per_collection=10, seed=1).training
    assert len(found.planes) == 1


def test_large_ones_shrink_and_colour_keeps_fine_levels(tmp_path):
    colour = np.stack([levels(64, 64, seed) for seed in range(3)], axis=2)
    rows = [
        ("x/large.png", "any", TRAINED[0], np.tile(levels(280, 256), (4, 5))),
        ("x/b.png", "any", VALIDATED[0], levels(64, 64)),
        ("y/colour.png", "any", TRAINED[1], colour),
    ]
    found = read_images(written(tmp_path, rows), per_collection=10, seed=1)
    large, fine = (one.planes[0] for one in found.training)
    assert large.shape == (896, 1024)
    assert large.dtype == np.uint8
    assert fine.dtype == np.float16
    assert not np.array_equal(fine, np.rint(fine))


@pytest.mark.parametrize("group", [TRAINED[0], VALIDATED[0]])
def test_images_of_one_part_alone_are_refused(tmp_path, group):
    data = written(tmp_path, [("x/a.png", "any", group, levels(64, 64))])
    with pytest.raises(InputError, match="no images to train on and to validate on"):
        read_images(data, per_collection=10, seed=1)
