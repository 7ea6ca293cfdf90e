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
        *(PreprocessConfig(**STEPS | setting) for setting in SETTINGS),
    ]
    assert len({CONFIG.digest, *(other.digest for other in others)}) == 4 + len(SETTINGS)
    with pytest.raises(ConfigurationError, match="must be 1 to 4096"):
        PreprocessConfig(rows=0)


STEPS = {"rows": 96, "columns": 128, "colour": True, "equalise_histogram": False}
SETTINGS = [
    {"crop": "foreground"},
    {"crop": "disc"},
    {"crop": "margin", "margin_share": 0.1},
    {"crop": "disc", "margin_share": 0.1},
    {"equalise_histogram": True},
    {"keep_aspect": True},
    {"colour_constancy": True},
    {"local_mean": 0.1},
    {"stretch_percent": 1.0},
    {"clahe": 2.0},
    {
        "crop": "disc",
        "keep_aspect": True,
        "colour_constancy": True,
        "local_mean": 0.05,
        "stretch_percent": 1.0,
        "clahe": 2.0,
    },
]


def photograph(rows=180, columns=300):
    """A textured disc on black, cut at the bottom."""
    y, x = np.mgrid[:rows, :columns]
    disc = np.hypot(y - 95, x - 140) < 88
    texture = np.random.default_rng(5).integers(60, 200, (rows, columns, 3))
    return (texture * np.array([1.0, 0.6, 0.4]) * disc[:, :, None]).astype(np.uint8)


def test_a_card_of_earlier_settings_keeps_its_words():
    assert CONFIG.to_dict() == {"rows": 224, "columns": 224, "equalise_histogram": True}
    assert PreprocessConfig(crop="disc").to_dict() == CONFIG.to_dict() | {"crop": "disc"}


@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))), st.data()
)
def test_every_step_takes_an_image_of_any_size(image, data):
    config = PreprocessConfig(**STEPS | data.draw(st.sampled_from(SETTINGS)))
    result = standardise(image, config=config)
    assert result.shape == (96, 128, 3)
    assert result.dtype == np.uint8


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("colour", [True, False])
def test_each_step_keeps_the_size_and_changes_the_image(setting, colour):
    if not colour and "colour_constancy" in setting:
        setting = {name: value for name, value in setting.items() if name != "colour_constancy"}
        if not setting:
            return
    image = photograph()
    plain = standardise(image, config=PreprocessConfig(**STEPS | {"colour": colour}))
    config = PreprocessConfig(**STEPS | {"colour": colour} | setting)
    result = standardise(image, config=config)
    assert result.shape == ((96, 128, 3) if colour else (96, 128))
    assert result.dtype == np.uint8
    assert np.abs(result.astype(int) - plain).mean() > 1
    np.testing.assert_array_equal(result, standardise(image.copy(), config=config))


def test_margin_is_cut_from_each_side():
    image = np.zeros((100, 200, 3), np.uint8)
    image[10:90, 20:180] = 255
    config = PreprocessConfig(**STEPS | {"crop": "margin", "margin_share": 0.1})
    assert standardise(image, config=config).min() == 255


def test_disc_is_round_and_black_outside_after_the_resize():
    config = PreprocessConfig(**STEPS | {"rows": 128, "crop": "disc", "local_mean": 0.1})
    result = standardise(photograph(), config=config).max(axis=2)
    y, x = np.mgrid[:128, :128]
    radius = np.hypot(y - 63.5, x - 63.5)
    assert result[radius > 64].max() == 0
    assert (result[(radius < 60) & (y < 100)] > 0).mean() > 0.95


def test_keep_aspect_pads_instead_of_squeezing():
    image = np.full((50, 200), 200, np.uint8)
    config = PreprocessConfig(rows=64, columns=64, equalise_histogram=False, keep_aspect=True)
    result = standardise(image, config=config)
    assert (result[24:40] == 200).all()
    assert result[:24].max() == result[40:].max() == 0


def test_border_and_gain_of_another_site_do_not_matter():
    """What crop and stretch are for: the same head in another frame, darker."""
    y, x = np.mgrid[:160, :140]
    head = np.random.default_rng(7).integers(80, 240, (40, 35)).repeat(4, 0).repeat(4, 1)
    image = (head * (((y - 80) / 78) ** 2 + ((x - 70) / 68) ** 2 < 1)).astype(np.uint8)
    other = np.zeros((300, 260), np.uint8)
    other[90:250, 30:170] = image // 2
    config = PreprocessConfig(
        rows=64, columns=64, equalise_histogram=False, crop="foreground", stretch_percent=1.0
    )
    plain = PreprocessConfig(rows=64, columns=64, equalise_histogram=False)
    first, second = (standardise(each, config=config).astype(int) for each in (image, other))
    before = [standardise(each, config=plain).astype(int) for each in (image, other)]
    assert np.abs(first - second).mean() < 0.25 * np.abs(before[0] - before[1]).mean()


def test_a_grey_image_is_no_colour_image():
    with pytest.raises(ImageMismatchError, match="for a model of colour"):
        standardise(ramp(), config=PreprocessConfig(**STEPS))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"crop": "round"}, "crop must be one of none, foreground, disc, lungs, margin"),
        ({"crop": "margin"}, "needs a margin_share"),
        ({"margin_share": 0.5}, r"margin_share must lie in \[0, 0.4\]"),
        ({"stretch_percent": -1.0}, r"stretch_percent must lie in \[0, 20\]"),
        ({"local_mean": 2.0}, "local_mean must lie in"),
        ({"clahe": 41.0}, "clahe must lie in"),
        ({"colour": 1}, "colour must be of type bool"),
        ({"rows": 32.0}, "rows must be of type int"),
        ({"colour_constancy": True}, "colour_constancy needs colour"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        PreprocessConfig(**wrong)
