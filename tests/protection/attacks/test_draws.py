import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.draws import IN_PLACE, MOVING, random_distortion
from tests.protection.pictures import texture

LEVELS = (texture(64, 64, seed=3) * 255).astype(np.float32)
COLOUR = np.stack([(texture(64, 64, seed=s) * 255).astype(np.float32) for s in range(3)], axis=2)


def draw(seed, **settings):
    return random_distortion(np.random.default_rng(seed), **settings)


@pytest.mark.parametrize("levels", [LEVELS, COLOUR], ids=["grey", "colour"])
def test_whole_levels_of_the_same_shape(levels):
    before = levels.copy()
    for seed in range(80):
        result = draw(seed, strength=1.0, moves=seed % 2 == 0).apply(levels)
        assert result.dtype == np.float32
        assert result.shape == levels.shape
        assert np.array_equal(result, np.clip(np.rint(result), 0, 255))
    assert np.array_equal(levels, before)


def test_the_same_generator_gives_the_same_distortion_each_time_it_is_applied():
    for seed in range(40):
        one, two = (draw(seed, strength=1.0, moves=True) for _ in range(2))
        assert one.name == two.name
        first = one.apply(LEVELS)
        assert np.array_equal(first, one.apply(LEVELS))
        assert np.array_equal(first, two.apply(LEVELS))


def test_every_kind_is_drawn():
    rng = np.random.default_rng(1)
    names = {random_distortion(rng, strength=0.5, moves=True, count=1).name for _ in range(1000)}
    assert names == {*IN_PLACE, *MOVING}
    still = {random_distortion(rng, strength=0.5, count=1).name for _ in range(500)}
    assert still <= set(IN_PLACE)


@pytest.mark.parametrize("kind", set(IN_PLACE) - {"none", "median", "12 to 8 bits"})
def test_settings_reach_further_with_the_strength(kind):
    def mean_error(strength):
        errors = []
        for seed in range(12):
            change = IN_PLACE[kind][1](np.random.default_rng(seed), strength)
            errors.append(np.abs(change(LEVELS) - LEVELS).mean())
        return np.mean(errors)

    assert mean_error(1.0) > mean_error(0.3)


def test_pairs_come_with_the_strength():
    rng = np.random.default_rng(2)

    def share(strength):
        names = [random_distortion(rng, strength=strength).name for _ in range(600)]
        return np.mean(["+" in name for name in names])

    assert share(0.0) == 0
    assert share(1.0) == pytest.approx(0.35, abs=0.06)


def test_a_pair_is_one_kind_after_the_other():
    for seed in range(10):
        names = draw(seed, strength=1.0, count=2).name.split(" + ")
        assert len(set(names)) == 2


@pytest.mark.parametrize(
    "settings", [{"strength": -0.1}, {"strength": 1.1}, {"strength": 1, "count": 0}]
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(InputError, match="a strength of 0 to 1 and at least one kind"):
        draw(1, **settings)
