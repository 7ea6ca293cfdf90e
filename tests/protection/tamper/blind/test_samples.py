import cv2
import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.tamper.blind.handling import Handling, random_handling
from medseal.protection.tamper.blind.samples import (
    FAMILIES,
    Recipe,
    draw_batch,
    forge,
    read_pictures,
)
from tests.protection.pictures import texture

HEADER = "path,modality,group,split_hint\n"
NOTHING = Handling(names=(), _steps=())
# Groups whose names fall into the training part, and into the validation part.
TRAINED, HELD_BACK = ("g0", "g1", "g2", "g3"), ("g4", "g9")


def written(folder, rows):
    """Write images and their manifest: (name, modality, group, rows, columns) each."""
    lines = []
    for seed, (name, modality, group, height, width) in enumerate(rows):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.rint(texture(height, width, seed=seed) * 255).astype(np.uint8))
        lines.append(f"{name},{modality},{group},train\n")
    (folder / "MANIFEST.csv").write_text(HEADER + "".join(lines))
    return folder


def data_in(folder):
    rows = [
        ("ct/a.png", "CT chest", TRAINED[0], 150, 140),
        ("ct/b.png", "CT chest", TRAINED[1], 130, 160),
        ("ct/c.png", "CT chest", HELD_BACK[0], 150, 150),
        ("ct/tiny.png", "CT chest", TRAINED[2], 50, 150),
        ("us/d.png", "ultrasound", TRAINED[2], 128, 128),
        ("us/e.png", "ultrasound", TRAINED[3], 128, 130),
        ("us/f.png", "ultrasound", HELD_BACK[1], 128, 132),
    ]
    return written(folder, rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pictures(data):
    return read_pictures(data, per_collection=9, seed=1)


def test_no_group_is_in_both_parts(pictures):
    assert {name: len(some) for name, some in pictures.training.items()} == {
        "CT chest": 2,
        "ultrasound": 2,
    }
    assert [one.modality for one in pictures.validation] == ["CT chest", "ultrasound"]
    assert pictures.count == 4
    assert pictures.training["CT chest"][0].plane.dtype == np.uint8


def test_a_modality_left_out_is_validated_on(data):
    found = read_pictures(data, per_collection=9, seed=1, without_modalities=["ultrasound"])
    assert set(found.training) == {"CT chest"}
    assert {one.modality for one in found.validation} == {"CT chest", "ultrasound"}


def test_the_digest_names_the_images(data, pictures):
    assert read_pictures(data, per_collection=9, seed=1).digest == pictures.digest
    fewer = read_pictures(data, per_collection=9, seed=1, without_modalities=["ultrasound"])
    assert fewer.digest != pictures.digest


def test_what_cannot_be_left_out_is_refused(data):
    with pytest.raises(InputError, match="no images of the modality MR"):
        read_pictures(data, per_collection=9, seed=1, without_modalities=["MR"])


def test_no_image_to_validate_on_is_refused(tmp_path):
    data = written(tmp_path, [("ct/a.png", "CT chest", TRAINED[0], 130, 130)])
    with pytest.raises(InputError, match="none to validate on"):
        read_pictures(data, per_collection=9, seed=1)


def plane(seed=0):
    return np.rint(texture(160, 150, seed=seed) * 255).astype(np.float32)


def pair_of(family, *, handling=NOTHING, whole=True, seed=4):
    recipe = Recipe(families=(family,))
    rng = np.random.default_rng(seed)
    return forge(plane(), plane(1), rng, recipe=recipe, handling=handling, whole=whole)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_twin_differs_within_the_mask_alone(family):
    pair = pair_of(family)
    assert np.array_equal(pair.clean, plane())
    assert np.array_equal(pair.forged, np.rint(pair.forged))
    assert pair.mask.any()
    assert not (pair.forged != pair.clean)[~pair.mask].any()
    assert set(pair.family.split(" + ")) == {family}


def test_fine_levels_are_not_rounded():
    forged = pair_of("lesion", whole=False).forged
    assert not np.array_equal(forged, np.rint(forged))


def test_both_are_handled_alike():
    """Far from the change both are equal after the same steps, noise included."""
    for seed in range(200):
        handling = random_handling(np.random.default_rng(seed), share=1.0)
        if handling.names == ("noise",):
            break
    pair = pair_of("block", handling=handling)
    assert pair.handling == ("noise",)
    assert not np.array_equal(pair.clean, plane())
    assert np.array_equal(pair.forged[~pair.mask], pair.clean[~pair.mask])


def test_a_batch_holds_pairs(pictures):
    def draw(seed):
        rng = np.random.default_rng(seed)
        return draw_batch(pictures, rng, side=96, count=6, recipe=Recipe(handled_share=0.3))

    first, again = draw(1), draw(1)
    assert first.forged.shape == first.clean.shape == first.masks.shape == (6, 96, 96)
    assert np.array_equal(first.forged, again.forged)
    assert set(np.unique(first.masks)) <= {0, 1}
    assert (first.masks.max(axis=(1, 2)) == 1).sum() >= 4
    assert not np.array_equal(first.forged, draw(2).forged)


@pytest.mark.parametrize(("share", "alike"), [(1.0, True), (0.0, False)])
def test_clean_tiles_are_twins_or_other_places(pictures, share, alike):
    recipe = Recipe(families=("block",), handled_share=0, twin_share=share)
    batch = draw_batch(pictures, np.random.default_rng(2), side=96, count=5, recipe=recipe)
    same = (batch.forged == batch.clean).mean(axis=(1, 2)) > 0.8
    assert same.all() == alike
    assert same.any() == alike


def test_images_smaller_than_a_tile_are_refused(pictures):
    with pytest.raises(InputError, match="hardly any image"):
        draw_batch(pictures, np.random.default_rng(0), side=512, count=1, recipe=Recipe())


def test_a_flat_plane_is_refused():
    flat = np.zeros((128, 128), np.float32)
    recipe, rng = Recipe(families=("erased detail",)), np.random.default_rng(0)
    with pytest.raises(InputError, match="too flat"):
        forge(flat, flat, rng, recipe=recipe, handling=NOTHING, whole=True)
