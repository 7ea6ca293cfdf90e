import numpy as np
import pytest

from medseal.errors import WatermarkCapacityError
from medseal.metrics.image_quality import psnr
from medseal.protection.attacks import distortions
from medseal.protection.watermark.baselines import WaveletSvd
from tests.protection.pictures import KEY, PAYLOAD, picture

METHOD = WaveletSvd()


def textured(rows, columns):
    rng = np.random.default_rng(5)
    return picture(rng.normal(128, 20, (rows, columns)).clip(0, 255).astype(np.uint8))


def test_the_step_gives_the_wanted_quality_and_the_mark_is_read_after_jpeg():
    cover = textured(400, 330)
    copy = METHOD.embed(cover, PAYLOAD, KEY)
    assert psnr(cover.stored_values, copy.stored_values, data_range=255) == pytest.approx(45, abs=1)
    assert METHOD.extract(copy, KEY).payload == PAYLOAD
    assert METHOD.extract(distortions.jpeg(copy, quality=80), KEY).payload == PAYLOAD


def test_a_turned_copy_and_another_key_are_lost():
    copy = METHOD.embed(textured(400, 330), PAYLOAD, KEY)
    turned = distortions.quarter_turn(copy, turns=1)
    assert METHOD.extract(turned, KEY).payload != PAYLOAD
    assert METHOD.extract(copy, bytes(32)).payload != PAYLOAD


def test_too_few_blocks_are_refused():
    with pytest.raises(WatermarkCapacityError, match="49 blocks cannot carry 64 bits"):
        METHOD.embed(textured(60, 60), PAYLOAD, KEY)
