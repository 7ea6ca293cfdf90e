from dataclasses import asdict, fields

import pytest

from medseal.classification.augment import AugmentConfig
from medseal.errors import ConfigurationError


def test_by_default_only_the_first_four_settings_are_on():
    config = AugmentConfig()
    assert (config.share, config.rotation_degrees, config.zoom, config.flip) == (0.5, 15, 0.1, True)
    for name, value in list(asdict(config).items())[4:]:
        if name != "fill":
            assert (value[0] if isinstance(value, tuple) else value) == 0, name


def test_a_card_names_later_settings_only_where_they_change_anything():
    earlier = {"share": 0.5, "rotation_degrees": 15.0, "zoom": 0.1, "flip": True}
    assert AugmentConfig().to_dict() == earlier
    config = AugmentConfig(noise=(0.5, 0.1), invert=0.1)
    assert config.to_dict() == earlier | {"noise": [0.5, 0.1], "invert": 0.1}


def test_every_setting_reaches_the_geometry_that_has_its_name():
    config = AugmentConfig(
        turn=0.1, translation=(0.2, 0.3), shear=(0.3, 0.1), elastic=(0.4, 0.1), fill="mirror"
    )
    for field in fields(config.geometry):
        assert getattr(config.geometry, field.name) == getattr(config, field.name)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rotation_degrees": -1}, "rotation_degrees must lie in"),
        ({"zoom": 1.0}, "zoom must lie in"),
        ({"share": 2}, "share must lie in"),
        ({"turn": 1.1}, r"turn must lie in \[0, 1\]"),
        ({"noise": (1.5, 0.1)}, "the probability of noise must lie in"),
        ({"noise": (0.5, 0.6)}, r"the strength of noise must lie in \[0, 0.5\]"),
        ({"resolution": (0.5, 0.0)}, "the strength of resolution must lie in"),
        ({"noise": (0.5,)}, r"noise must be \[probability, strength\]"),
        ({"fill": "white"}, "fill must be one of black, edge, mirror"),
        ({"mixup": (0.5, 0.0)}, "the strength of mixup must be above 0"),
        ({"mixup": (0.6, 1.0), "cutmix": (0.6, 1.0)}, "mixup and cutmix together must lie in"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        AugmentConfig(**wrong)
