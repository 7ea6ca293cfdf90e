import numpy as np
import pytest

from benchmarks.tamper_mark import Trial, summary, trials_of
from medseal.imaging import MedicalImage
from tests.protection.pictures import grey


@pytest.fixture(scope="module")
def image() -> MedicalImage:
    return grey(200, 180, seed=3)


def test_each_round_tries_an_untouched_copy_without_and_with_a_mark_and_a_forged_one(image):
    found = trials_of(image, 0, copies=2)
    kinds = [(one.marked, one.forged) for one in found]
    assert kinds == [(False, False), (True, False), (True, True)] * 2
    assert all(one.absence == 0 for one in found if not one.marked)
    assert any(one.absence != 0 for one in found if one.marked)
    assert np.isfinite([one.logit for one in found]).all()


def test_the_summary_weighs_what_the_mark_says():
    rng = np.random.default_rng(0)
    trials = [
        Trial(
            marked=marked,
            forged=forged,
            logit=float(rng.normal()),
            absence=float(rng.normal() + 2 * forged) if marked else 0.0,
        )
        for marked, forged in ((False, False), (True, False), (True, True))
        for _ in range(200)
    ]
    found = summary(trials)
    areas = [row["area"] for row in found["weights"]]
    assert areas[0] == pytest.approx(0.5, abs=0.08)
    assert areas[-1] > 0.8
    assert found["fitted_weight"] > 1
    assert found["untouched_logits"]["marked"][0] == pytest.approx(0, abs=0.3)
