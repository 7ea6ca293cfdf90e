import numpy as np
import pytest

from medseal.errors import UnsupportedImageError
from medseal.imaging import display_values, value_range
from medseal.protection.attacks.levels import (
    black_values,
    change_levels,
    change_places,
    change_shown,
    levels_of,
)
from tests.protection.pictures import grey, picture, texture


def seen_by(image):
    """Return the levels of each frame as a change sees them."""
    seen = []

    def look(levels):
        seen.append(levels)
        return levels

    return change_levels(image, look), seen


def coloured(photometric, samples=3):
    values = np.stack([texture(60, 50, seed=s) * 255 for s in range(samples)], axis=2)
    return picture(values.astype(np.uint8)[None], photometric=photometric)


@pytest.mark.parametrize(
    "image",
    [
        grey(60, 50),
        picture(np.rint(texture(60, 50) * 60000).astype(np.uint16)),
        picture(np.rint(texture(60, 50) * 3000 - 1500).astype(np.int16), bits=12),
        picture(texture(60, 50).astype(np.float32)),
        coloured("RGB"),
        coloured("YBR_FULL"),
        coloured("RGBA", samples=4),
        picture(grey(60, 50).stored_values, photometric="MONOCHROME1"),
    ],
    ids=str,
)
def test_a_change_of_nothing_changes_nothing(image):
    same, seen = seen_by(image)
    if image.stored_values.dtype.kind == "f":
        assert same.stored_values == pytest.approx(image.stored_values, abs=1e-5)
    else:
        assert np.array_equal(same.stored_values, image.stored_values)
    assert seen[0].dtype == np.float32
    assert seen[0].shape in {(60, 50), (60, 50, 3)}


def test_levels_of_a_frame_are_those_that_a_change_sees():
    image = coloured("YBR_FULL")
    _, seen = seen_by(image)
    assert np.array_equal(levels_of(image, frame=0), seen[0])


def test_levels_are_what_a_viewer_shows():
    for image in (
        grey(60, 50),
        picture(grey(60, 50).stored_values, photometric="MONOCHROME1"),
        picture(np.rint(texture(60, 50) * 60000).astype(np.uint16)),
        coloured("RGB"),
        coloured("YBR_FULL"),
    ):
        _, seen = seen_by(image)
        shown = np.clip(seen[0], 0, 255)
        assert shown == pytest.approx(display_values(image).astype(float), abs=0.51)


def test_the_value_range_is_black_to_white_and_nothing_is_clipped():
    image = picture(np.rint(texture(60, 50) * 60000).astype(np.uint16))
    low, high = value_range(image)
    _, seen = seen_by(image)
    stored = image.stored_values[0, :, :, 0]
    assert seen[0] == pytest.approx((stored - low) / (high - low) * 255, abs=1e-3)
    assert seen[0].max() > 255


def test_what_is_no_number_is_black():
    values = texture(60, 50).astype(np.float32)
    values[3, 4] = np.nan
    result, seen = seen_by(picture(values))
    assert seen[0][3, 4] == 0
    assert np.isfinite(result.stored_values).all()


def test_alpha_moves_with_the_places_and_is_left_alone_otherwise():
    image = coloured("RGBA", samples=4)
    darker = change_levels(image, lambda levels: levels / 2)
    assert np.array_equal(darker.stored_values[..., 3], image.stored_values[..., 3])
    assert not np.array_equal(darker.stored_values[..., :3], image.stored_values[..., :3])
    turned = change_levels(image, np.rot90, moves=True)
    assert np.array_equal(turned.stored_values, np.rot90(image.stored_values, 1, (1, 2)))


def test_what_is_shown_is_rounded_and_clipped_to_8_bits():
    image = picture(np.rint(texture(60, 50) * 60000).astype(np.uint16))
    shown = change_shown(image, lambda levels: levels * 2 - 100.3)
    expected = np.clip(np.rint(display_values(image) * np.float32(2) - np.float32(100.3)), 0, 255)
    assert np.array_equal(shown.stored_values[0, :, :, 0], expected)
    assert (shown.bits_stored, shown.photometric_interpretation) == (8, "MONOCHROME2")


@pytest.mark.parametrize(
    ("image", "black"),
    [
        (grey(60, 50), [0]),
        (picture(grey(60, 50).stored_values, photometric="MONOCHROME1"), [255]),
        (coloured("RGB"), [0, 0, 0]),
        (coloured("YBR_FULL"), [0, 128, 128]),
        (coloured("RGBA", samples=4), [0, 0, 0, 0]),
    ],
    ids=str,
)
def test_black_is_shown_as_black(image, black):
    assert black_values(image).tolist() == black
    flat = np.broadcast_to(black_values(image), image.stored_values.shape)
    assert not display_values(image.with_stored_values(flat.copy())).any()


def test_palette_indices_are_refused():
    image = picture(grey(60, 50).stored_values, photometric="PALETTE COLOR")
    for refused in (lambda: seen_by(image), lambda: black_values(image)):
        with pytest.raises(UnsupportedImageError, match="palette indices have no levels"):
            refused()


def test_a_change_of_places_leaves_all_other_stored_values():
    values = np.rint(texture(60, 50, seed=3) * 60000).astype(np.uint16)
    image = picture(values, photometric="MONOCHROME1")

    def paint(levels):
        result = levels.copy()
        result[5:9, 7:10] = 255
        return result

    changed = change_places(image, paint, frame=0)
    mask = np.zeros((60, 50), bool)
    mask[5:9, 7:10] = True
    assert np.array_equal(changed[..., 0][~mask], values[~mask])
    assert np.unique(changed[..., 0][mask]).size == 1
    assert changed[..., 0][mask].max() < values[mask].min() or values[mask].min() == 0
