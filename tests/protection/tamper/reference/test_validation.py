import dataclasses

import numpy as np
import pytest
import torch

from medseal.protection.tamper.reference.config import FitConfig
from medseal.protection.tamper.reference.losses import image_logit
from medseal.protection.tamper.reference.pair import batch_of
from medseal.protection.tamper.reference.samples import draw
from medseal.protection.tamper.reference.validation import validate
from tests.protection.tamper.reference.test_pair import pair_of
from tests.protection.tamper.reference.test_samples import pools

__all__ = ["pools"]

FIT = FitConfig(edited_share=0.5, bfloat16=False)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def held(pools):
    rng = np.random.default_rng(6)
    return [batch_of([draw(pools, FIT, rng) for _ in range(4)]) for _ in range(3)]


@pytest.fixture(scope="module")
def scores(held):
    """Return scores and truth of the pairs that count, worked out plainly."""
    pair, generator = pair_of().eval(), torch.Generator().manual_seed(FIT.seed)
    found, forged = [], []
    with torch.no_grad():
        for batch in held:
            logits = pair(batch, generator)
            kept = batch.counts > 0
            found += image_logit(logits[0], 1 - batch.maps[:, 2:])[kept].tolist()
            forged += [bool(name) for name, keep in zip(batch.families, kept, strict=True) if keep]
    return np.array(found), np.array(forged)


def test_figures_are_those_of_the_scores(held, scores):
    found, forged = scores
    checked = validate(pair_of(), held, FIT)
    edits, clean = found[forged][:, None], found[~forged][None]
    area = (edits > clean).mean() + (edits == clean).mean() / 2
    assert checked.auroc == pytest.approx(area, abs=1e-12)
    limit = np.quantile(clean, 0.98)
    assert checked.caught == pytest.approx((edits > limit).mean())
    assert checked.by_family[""] == pytest.approx((clean > limit).mean())
    assert 0 <= checked.overlap <= 1
    assert np.isfinite(checked.loss)


def test_figures_are_the_same_each_time_and_training_goes_on(held):
    pair = pair_of().train()
    assert validate(pair, held, FIT) == validate(pair, held, FIT)
    assert pair.training


def test_several_forgeries_in_one_copy_are_a_family_of_their_own(held):
    first = dataclasses.replace(
        held[0], families=("block + text", "text", "", ""), counts=torch.ones(4)
    )
    checked = validate(pair_of(), [first], FIT)
    assert set(checked.by_family) == {"", "several", "text"}


def test_pairs_that_do_not_count_are_left_out(held):
    counts = torch.tensor([1.0, 0.0, 1.0, 1.0])
    first = dataclasses.replace(held[0], families=("block", "text", "", ""), counts=counts)
    checked = validate(pair_of(), [first], FIT)
    assert set(checked.by_family) == {"", "block"}
