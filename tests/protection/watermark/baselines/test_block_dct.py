import numpy as np
import pytest

from medseal.errors import WatermarkCapacityError
from medseal.metrics.image_quality import psnr
from medseal.protection.attacks import distortions
from medseal.protection.watermark.baselines import BlockDct
from medseal.protection.watermark.baselines.block_dct import bit_of_block
from tests.protection.pictures import KEY, PAYLOAD, grey

METHOD = BlockDct()


def test_the_clean_copy_is_read_and_a_shifted_one_is_lost():
    cover = grey(512, 512)
    copy = METHOD.embed(cover, PAYLOAD, KEY)
    assert 45 <= psnr(cover.stored_values, copy.stored_values, data_range=255) < 45.5
    assert METHOD.extract(copy, KEY).payload == PAYLOAD
    shifted = distortions.crop(copy, top=3, left=5, rows=500, columns=500)
    assert METHOD.extract(shifted, KEY).payload != PAYLOAD


def test_a_copy_of_another_size_is_brought_back_to_the_known_one():
    copy = METHOD.embed(grey(512, 512), PAYLOAD, KEY)
    larger = distortions.resize(copy, factor=1.25)
    assert METHOD.extract(larger, KEY).payload != PAYLOAD
    assert METHOD.extract(larger, KEY, shape=(512, 512)).payload == PAYLOAD


def test_every_bit_stands_equally_often():
    counts = np.bincount(bit_of_block(640, KEY))
    assert counts.tolist() == [10] * 64


def test_too_few_blocks_are_refused():
    with pytest.raises(WatermarkCapacityError, match="49 blocks cannot carry 64 bits"):
        METHOD.embed(grey(60, 60), PAYLOAD, KEY)
