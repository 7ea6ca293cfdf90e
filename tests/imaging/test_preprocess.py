import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medseal.errors import ConfigurationError, ImageMismatchError
from medseal.imaging.preprocess import PreprocessConfig, preprocess, standardise, to_grey

CONFIG = PreprocessConfig()


def ramp(rows=224, columns=224):
    y, x = np.mgrid[:rows, :columns]
    return ((y * 7 + x * 3) // 16 % 200).astype(np.uint8)


def test_golden_values():
    # A change of these digests changes what every shipped model sees: give them a new version.
    assert hashlib.sha256(standardise(ramp(), config=CONFIG)).hexdigest() == (
        "af53f2d0db0cb05a47641ec8a9a47cbe90f9a844aa6ffb9245237ef4608d9585"
    )
    assert hashlib.sha256(standardise(ramp(448, 672), config=CONFIG)).hexdigest() == (
        "52263b053cc3032ccb5750c8a34c4fc9a3f27810ee99c32cca0f35fb50cba9f8"
    )
    assert str(CONFIG.digest) == (
        "sha256:a8ea5f9838aa1ff44196509d5c46d999960451768e911c7ae861a5690c5b1735"
    )


def test_equalisation_of_four_values_by_hand():
    # Cumulative counts 1, 2, 3, 4: (c - 1) / (4 - 1) * 255.
    image = np.array([[10, 20], [30, 40]], dtype=np.uint8)
    config = PreprocessConfig(rows=2, columns=2)
    np.testing.assert_array_equal(standardise(image, config=config), [[0, 85], [170, 255]])
    np.testing.assert_array_equal(
        preprocess(image, config=config),
        np.array([[0, 85], [170, 255]], dtype=np.float32) / np.float32(255),
    )


def test_without_equalisation_only_the_size_changes():
    config = PreprocessConfig(rows=2, columns=2, equalise_histogram=False)
    image = np.repeat(np.repeat(np.array([[0, 100], [200, 40]], np.uint8), 3, 0), 3, 1)
    np.testing.assert_array_equal(standardise(image, config=config), [[0, 100], [200, 40]])


@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_any_size_gives_values_in_range(image):
    result = preprocess(image, config=PreprocessConfig(rows=32, columns=24))
    assert result.shape == (32, 24)
    assert result.dtype == np.float32
    assert 0 <= result.min() <= result.max() <= 1


@given(hnp.arrays(np.uint8, (9, 7)))
def test_grey_stored_as_colour_is_the_same_input(image):
    colour = np.repeat(image[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(to_grey(colour), image)


def test_colour_is_weighted_as_bt_601_says():
    pure = np.eye(3, dtype=np.uint8)[None] * 255
    assert to_grey(pure).tolist() == [[76, 150, 29]]


def test_brightness_and_contrast_of_the_source_do_not_matter():
    image = ramp()
    darker = (image // 2 * 2).astype(np.uint8)
    np.testing.assert_array_equal(
        standardise(darker, config=CONFIG), standardise(darker // 2, config=CONFIG)
    )


@pytest.mark.parametrize(
    "display",
    [
        np.zeros((4, 4), np.uint16),
        np.zeros((0, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_other_arrays_are_refused(display):
    with pytest.raises(ImageMismatchError, match="display values must be"):
        standardise(display, config=CONFIG)


def test_config_digest_tells_settings_apart():
    others = [
        PreprocessConfig(rows=192),
        PreprocessConfig(columns=192),
        PreprocessConfig(equalise_histogram=False),
    ]
    assert len({CONFIG.digest, *(other.digest for other in others)}) == 4
    with pytest.raises(ConfigurationError, match="must be 1 to 4096"):
        PreprocessConfig(rows=0)
