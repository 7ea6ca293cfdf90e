import numpy as np
import pytest

from medseal.protection.attacks.families import FAMILIES
from medseal.protection.tamper.canonical import TILE, tile_means
from medseal.protection.tamper.reference.config import FitConfig
from medseal.protection.tamper.reference.images import Collection
from medseal.protection.tamper.reference.samples import PATCH, draw
from tests.protection.pictures import texture

TILES = PATCH // TILE


@pytest.fixture(scope="module")
def pools():
    def pool(name, shapes):
        planes = (texture(*shape, seed=seed) * 255 for seed, shape in enumerate(shapes))
        kept = tuple(np.rint(plane).astype(np.uint8) for plane in planes)
        return Collection(name=name, planes=kept, weight=1.0)

    return (pool("a", [(300, 280), (260, 340)]), pool("b", [(128, 128), (140, 120)]))


def drawn(pools, count, *, seed=0, **settings):
    rng = np.random.default_rng(seed)
    return [draw(pools, FitConfig(**settings), rng) for _ in range(count)]


def test_a_sample_has_its_shapes(pools):
    (sample,) = drawn(pools, 1)
    for name, side in {
        "record": PATCH,
        "copy": PATCH,
        "mask": PATCH // 2,
        "clipped": TILES,
        "outside": TILES,
    }.items():
        values = getattr(sample, name)
        assert values.shape == (side, side), name
        assert values.dtype == np.float32, name
        assert np.isfinite(values).all(), name
    assert [one.shape for one in sample.bounds] == [(TILES, TILES)] * 2
    for share in (sample.mask, sample.clipped, sample.outside):
        assert share.min() >= 0
        assert share.max() <= 1 + 1e-6


def test_the_same_generator_draws_the_same_samples(pools):
    for one, again in zip(drawn(pools, 3, seed=4), drawn(pools, 3, seed=4), strict=True):
        assert np.array_equal(one.record, again.record)
        assert np.array_equal(one.copy, again.copy)
        assert np.array_equal(one.mask, again.mask)
        assert (one.family, one.counts) == (again.family, again.counts)
    assert not np.array_equal(drawn(pools, 1, seed=5)[0].record, drawn(pools, 1, seed=4)[0].record)


def test_families_held_out_are_never_drawn(pools):
    kept = {"block", "text"}
    samples = drawn(pools, 14, edited_share=1.0, without_families=tuple(set(FAMILIES) - kept))
    seen = {name for sample in samples for name in sample.family.split(" + ") if name}
    assert seen == kept


def test_what_is_not_forged_has_no_mask(pools):
    for sample in drawn(pools, 8, edited_share=0.0):
        assert sample.family == ""
        assert sample.counts
        assert not sample.mask.any()


def test_what_is_forged_differs_within_its_mask(pools):
    """The change, as it is left after handling, is larger within the mask than elsewhere."""
    settings = {"edited_share": 1.0, "moved_share": 0.0, "without_families": ()}
    ratios = []
    for sample in drawn(pools, 12, seed=2, **settings):
        inside = np.kron(sample.mask, np.ones((2, 2))) > 0.9
        if not (sample.family and sample.counts and inside.sum() > 50):
            continue
        apart = np.abs(sample.copy - sample.record)
        rest = np.kron(sample.mask + 0.0, np.ones((2, 2))) == 0
        ratios.append(apart[inside].mean() / max(apart[rest].mean(), 1e-3))
    assert len(ratios) >= 5
    assert np.median(ratios) > 3


def test_a_moved_copy_is_brought_back_to_its_places(pools):
    """A place or two off would tell: the textures are brought to within a few levels."""
    for sample in drawn(pools, 8, seed=3, edited_share=0.0, moved_share=1.0):
        seen = np.kron(sample.outside, np.ones((TILE, TILE))) == 0
        here, record = sample.copy[seen], sample.record[seen]
        assert np.corrcoef(here, record)[0, 1] > 0.98


def test_what_is_cut_off_shows_the_coarse_picture(pools):
    cut = [one for one in drawn(pools, 24, seed=1, edited_share=1.0) if one.outside.any()]
    assert cut
    for sample in cut:
        whole = sample.outside == 1
        means = tile_means(sample.copy)
        if whole.any():
            assert np.abs(means - np.mean(sample.bounds, axis=0))[whole].mean() < 10
        hidden = np.kron(sample.outside, np.ones((TILE // 2, TILE // 2))) == 1
        assert not sample.mask[hidden].any()


@pytest.mark.parametrize(("coarse", "inside"), [("picture", 0.9), ("uniform", 0.0)])
def test_means_lie_where_the_record_says(pools, coarse, inside):
    for sample in drawn(pools, 4, coarse=coarse):
        lower, upper = sample.bounds
        means = tile_means(sample.record)
        assert ((lower <= means) & (means <= upper)).mean() >= inside
        assert (upper >= lower).all()
        if coarse == "uniform":
            assert 0.5 < np.abs(lower - means).max() <= 8
