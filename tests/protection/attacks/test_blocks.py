import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.blocks import FONTS, burn_text, change_block, text_mask
from medseal.protection.attacks.places import Patch
from tests.protection.attacks.planes import changed, coloured, plane, sides


@pytest.mark.parametrize("size", [1, 2, 16])
@pytest.mark.parametrize("contrast", [0.05, -0.6])
def test_a_block_changes_by_its_contrast(size, contrast):
    levels = np.full((50, 50), 160, np.float32)
    patch = Patch(rows=size, columns=size)
    result = change_block(levels, np.random.default_rng(1), patch=patch, contrast=contrast)
    change = result - levels
    assert sides(change != 0) == (size, size)
    assert np.allclose(change[change != 0], contrast * 255)


def test_a_block_without_room_takes_the_other_sign():
    black = np.zeros((30, 30), np.float32)
    patch = Patch(rows=3, columns=3)
    result = change_block(black, np.random.default_rng(1), patch=patch, contrast=-0.3)
    assert np.isclose(result.max(), 0.3 * 255)


def test_a_filled_block_is_flat():
    levels, patch = plane(), Patch(rows=8, columns=8)
    result = change_block(levels, np.random.default_rng(4), patch=patch, contrast=0.1, filled=True)
    assert np.unique(result[changed(levels, result)]).size == 1


@pytest.mark.parametrize("font", FONTS)
def test_letters_have_the_height_asked_for(font):
    for height in (8, 20):
        mask = text_mask("H", height=height, font=font)
        assert 0.6 * height <= mask.shape[0] <= 1.1 * height
        assert mask.max() == 1
        assert mask.min() >= 0
    assert text_mask("HHHH", height=8, font=font).shape[1] > 3 * 4


def test_text_is_written_where_its_mask_is():
    for levels in (plane(), coloured()):
        mask = text_mask("L 12", height=9)
        result = burn_text(levels, np.random.default_rng(2), mask=mask, level=255)
        found = changed(levels, result)
        assert found.any()
        assert sides(found)[0] <= mask.shape[0]
        assert result[found].max() == 255
        boxed = burn_text(levels, np.random.default_rng(2), mask=mask, level=0, ground=255)
        assert changed(levels, boxed).sum() > 0.9 * mask.size


def test_text_longer_than_the_image_is_cut():
    levels = plane(30, 30)
    mask = text_mask("A LONG LINE", height=12)
    assert mask.shape[1] > 30
    assert burn_text(levels, np.random.default_rng(1), mask=mask).shape == (30, 30)


@pytest.mark.parametrize(("text", "height"), [("  ", 12), ("A", 2)])
def test_text_without_letters_is_refused(text, height):
    with pytest.raises(InputError, match="a letter and a height of at least 3 pixels"):
        text_mask(text, height=height)
