import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.families import FAMILIES, Scene, chance
from tests.protection.attacks.planes import plane


def test_families_are_those_that_are_reported():
    assert list(FAMILIES) == [
        "copy-move",
        "splice",
        "lesion",
        "small lesion",
        "removal",
        "block",
        "text",
        "erased detail",
        "texture",
        "generated",
    ]
    assert all(weight > 0 for weight, _ in FAMILIES.values())


@pytest.mark.parametrize("strength", [0.0, 1.0])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_draws_from_any_scene(name, strength):
    # The extremes of what the settings are drawn from must fit, at each strength.
    for side in (24, 63):
        levels = plane(side, side + 9)
        scene = Scene(levels=levels, strength=strength, donor=levels, generated=levels)
        for seed in range(12):
            result = FAMILIES[name][1](np.random.default_rng(seed), scene)
            assert result.shape == levels.shape
            assert result.dtype == np.float32
            assert np.isfinite(result).all()


@pytest.mark.parametrize("name", ["splice", "generated"])
def test_a_scene_without_the_source_is_refused(name):
    with pytest.raises(InputError, match="needs the levels"):
        FAMILIES[name][1](np.random.default_rng(1), Scene(levels=plane(), strength=1.0))


def test_the_side_is_the_shortest_of_all_levels():
    assert Scene(levels=plane(50, 60), strength=1.0, donor=plane(70, 40)).side == 40


def test_a_chance_is_a_share_of_the_draws():
    rng = np.random.default_rng(1)
    assert 0.25 < np.mean([chance(rng, 0.3) for _ in range(1000)]) < 0.35
