import dataclasses

import numpy as np
import pytest

from medseal.errors import InputError, UnsupportedImageError
from medseal.protection.attacks import forgeries
from medseal.protection.attacks.families import FAMILIES
from tests.protection.pictures import grey, picture, texture


def volume():
    values = np.stack([texture(140, 120, seed=s) for s in range(3)])
    return picture(np.rint(values * 3000 - 900).astype(np.int16)[..., None], bits=12)


def colour():
    values = np.stack([texture(140, 120, seed=s) * 255 for s in range(3)], axis=2)
    return picture(values.astype(np.uint8)[None], photometric="RGB")


FORGERIES = {
    "copy-move": lambda i, g, f: forgeries.copy_move(i, g, rows=20, columns=30, frame=f),
    "splice": lambda i, g, f: forgeries.splice(i, i, g, rows=25, columns=15, frame=f),
    "remove": lambda i, g, f: forgeries.remove(i, g, radius=7, frame=f),
    "lesion": lambda i, g, f: forgeries.insert_lesion(i, g, radius=6, frame=f),
    "block": lambda i, g, f: forgeries.change_block(i, g, size=8, steps=3, frame=f),
    "text": lambda i, g, f: forgeries.burn_text(i, "R 7", g, frame=f),
    "blended": lambda i, g, f: forgeries.blend_lesion(i, g, radius=6, frame=f),
    "blended from a donor": lambda i, g, f: forgeries.blend_lesion(
        i, g, radius=3, donor=grey(), frame=f
    ),
    "erased": lambda i, g, f: forgeries.erase_detail(i, g, side=30, frame=f),
    "texture": lambda i, g, f: forgeries.add_texture(i, g, side=20, amplitude=6, frame=f),
    "painted": lambda i, g, f: forgeries.paint_block(i, g, size=4, contrast=0.2, frame=f),
    "inpainted": lambda i, g, f: forgeries.remove(i, g, radius=5, fill="Navier-Stokes", frame=f),
}


def floats():
    values = texture(140, 120, seed=4).astype(np.float32) * 3 - 1
    values[3, 3:9] = np.nan
    return picture(values)


def inverted():
    values = np.rint(texture(140, 120, seed=4) * 60000).astype(np.uint16)
    return picture(values, photometric="MONOCHROME1")


def ybr():
    return dataclasses.replace(colour(), photometric_interpretation="YBR_FULL")


def with_alpha():
    values = np.stack([texture(140, 120, seed=s) * 255 for s in range(4)], axis=2)
    return picture(values.astype(np.uint8)[None], photometric="RGBA")


MAKERS = [grey, volume, colour, floats, inverted, ybr, with_alpha]


def differs(one, two):
    """Return where stored values differ; what is no number equals itself."""
    same = one == two
    if one.dtype.kind == "f":
        same |= np.isnan(one) & np.isnan(two)
    return ~same.all(axis=3)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("name", FORGERIES)
def test_the_mask_is_where_values_changed(name, make):
    image = make()
    frame = image.frames - 1
    for seed in range(5):
        forged, mask = FORGERIES[name](image, np.random.default_rng(seed), frame)
        changed = differs(forged.stored_values, image.stored_values)
        assert mask.dtype == np.bool_
        assert mask.any()
        assert np.array_equal(changed[frame], mask)
        assert not changed[:frame].any()
        assert mask.mean() < 0.2
        assert forged.stored_values.dtype == image.stored_values.dtype


@pytest.mark.parametrize("name", FORGERIES)
def test_the_same_generator_gives_the_same_forgery(name):
    one, two = (FORGERIES[name](grey(), np.random.default_rng(1), 0)[1] for _ in range(2))
    assert np.array_equal(one, two)


def test_sizes_are_as_asked():
    rng = np.random.default_rng(2)
    _, mask = forgeries.change_block(grey(), rng, size=1, steps=1)
    assert mask.sum() == 1
    _, mask = forgeries.insert_lesion(grey(), rng, radius=5)
    rows, columns = np.nonzero(mask)
    assert np.ptp(rows) <= 10
    assert np.ptp(columns) <= 10


def test_a_splice_fits_the_grey_values_of_the_donor():
    bright = picture(np.rint(texture(140, 120, seed=5) * 60000).astype(np.uint16))
    image = grey()
    forged, mask = forgeries.splice(image, bright, np.random.default_rng(3), rows=60, columns=60)
    assert forged.stored_values[0][mask].max() <= 255
    assert forged.stored_values[0][mask].std() > 5


def test_a_flat_image_cannot_be_copied_within_itself():
    flat = picture(np.full((64, 64), 9, np.uint8))
    with pytest.raises(InputError, match="too flat for this forgery"):
        forgeries.copy_move(flat, np.random.default_rng(1), rows=8, columns=8)


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(InputError, match="a patch of 999 x 8 does not fit"):
        forgeries.copy_move(grey(), np.random.default_rng(1), rows=999, columns=8)


def test_a_donor_with_other_samples_is_refused():
    with pytest.raises(InputError, match="same number of samples"):
        forgeries.splice(grey(), colour(), np.random.default_rng(1), rows=8, columns=8)


def test_a_forgery_of_any_family_comes_with_its_mask():
    for seed, make in enumerate(MAKERS * 3):
        image = make()
        made = forgeries.random_forgery(image, np.random.default_rng(seed), donor=colour())
        changed = differs(made.image.stored_values, image.stored_values)
        assert np.array_equal(changed[0], made.mask)
        assert not changed[1:].any()
        assert made.mask.any()
        assert set(made.family.split(" + ")) <= set(FAMILIES)
        assert made.extent_pixels >= 1
        assert 0 < made.contrast <= 2


def test_an_alpha_channel_stays():
    image = with_alpha()
    for seed in range(10):
        made = forgeries.random_forgery(image, np.random.default_rng(seed), families=["block"])
        assert np.array_equal(made.image.stored_values[..., 3], image.stored_values[..., 3])


def test_palette_indices_have_no_levels_to_forge():
    image = dataclasses.replace(grey(), photometric_interpretation="PALETTE COLOR")
    with pytest.raises(UnsupportedImageError, match="palette"):
        forgeries.paint_block(image, np.random.default_rng(1), size=4, contrast=0.2)


def test_a_frame_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="has frames 0 to 2"):
        forgeries.change_block(volume(), np.random.default_rng(1), size=2, steps=1, frame=3)
