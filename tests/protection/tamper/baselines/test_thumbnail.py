import numpy as np
import pytest

from medseal.errors import FingerprintError
from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper.baselines import thumbnail_references
from tests.protection.pictures import grey, picture

IMAGE = grey(384, 352)
LARGE, SMALL = thumbnail_references()


def test_the_records_have_the_stated_sizes():
    assert 6_000 < len(LARGE.enrol(IMAGE)) < 14_000
    assert 2_048 < len(SMALL.enrol(IMAGE)) <= 2_048 + 2_176 + 64


@pytest.mark.parametrize("method", [LARGE, SMALL], ids=lambda m: m.name)
def test_what_keeps_every_value_scores_nothing(method):
    record = method.enrol(IMAGE)
    for copy in (IMAGE, distortions.quarter_turn(IMAGE, turns=3), distortions.transpose(IMAGE)):
        assert method.compare(copy, record).score == 0


@pytest.mark.parametrize("turns", [0, 1])
def test_one_value_by_one_level_is_caught_and_located(turns):
    forged, mask = forgeries.change_block(IMAGE, np.random.default_rng(3), size=1, steps=1)
    copy = distortions.quarter_turn(forged, turns=turns)
    reading = LARGE.compare(copy, LARGE.enrol(IMAGE))
    assert reading.score > LARGE.threshold
    assert reading.mask[np.rot90(mask, turns)].all()
    assert reading.mask.mean() < 0.01


@pytest.mark.parametrize("method", [LARGE, SMALL], ids=lambda m: m.name)
def test_processing_passes_and_a_lesion_behind_it_does_not(method):
    record = method.enrol(IMAGE)
    forged, mask = forgeries.insert_lesion(IMAGE, np.random.default_rng(5), radius=24, contrast=0.4)
    for process in (
        lambda image: distortions.jpeg(image, quality=70),
        lambda image: distortions.rotate(distortions.gamma(image, exponent=1.3), degrees=4),
    ):
        benign = method.compare(process(IMAGE), record)
        assert benign.score <= method.threshold
        assert not benign.mask.any()
        assert method.compare(process(forged), record).score > method.threshold
    there = method.compare(distortions.jpeg(forged, quality=70), record).mask
    assert (there & mask).sum() / (there | mask).sum() > 0.4


def test_another_type_of_value_goes_to_the_thumbnail():
    deep = picture(IMAGE.stored_values[0, :, :, 0].astype(np.uint16) * 257)
    assert 0 < LARGE.compare(deep, LARGE.enrol(IMAGE)).score <= LARGE.threshold


@pytest.mark.parametrize("cut", [10, 60, 2000, 2300])
def test_a_cut_record_is_refused(cut):
    copy = distortions.jpeg(IMAGE, quality=80)
    with pytest.raises(FingerprintError, match="the thumbnail reference is cut or damaged"):
        LARGE.compare(copy, LARGE.enrol(IMAGE)[:cut])
