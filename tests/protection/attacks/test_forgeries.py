import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks import forgeries
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
}


@pytest.mark.parametrize("make", [grey, volume, colour])
@pytest.mark.parametrize("name", FORGERIES)
def test_the_mask_is_where_values_changed(name, make):
    image = make()
    frame = image.frames - 1
    for seed in range(5):
        forged, mask = FORGERIES[name](image, np.random.default_rng(seed), frame)
        changed = (forged.stored_values != image.stored_values).any(axis=3)
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
