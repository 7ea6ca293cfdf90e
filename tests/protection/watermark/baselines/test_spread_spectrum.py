import numpy as np
import pytest

from medseal.errors import WatermarkCapacityError
from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.attacks import distortions
from medseal.protection.watermark.baselines import SpreadSpectrum
from tests.protection.pictures import KEY, PAYLOAD, grey, picture

COVER = grey(512, 448, seed=3)


@pytest.fixture(scope="module", params=[False, True], ids=["raw", "coded"])
def marked(request):
    method = SpreadSpectrum(is_coded=request.param)
    return method, method.embed(COVER, PAYLOAD, KEY)


def test_both_limits_are_kept(marked):
    _, copy = marked
    pair = COVER.stored_values[0], copy.stored_values[0]
    assert psnr(*pair, data_range=255) >= 45
    assert ssim(*pair, data_range=255) >= 0.99


@pytest.mark.parametrize(
    "attack",
    [
        lambda image: image,
        lambda image: distortions.quarter_turn(image, turns=1),
        lambda image: distortions.flip(image, axis="rows"),
        lambda image: distortions.rotate(image, degrees=5),
        lambda image: distortions.jpeg(image, quality=70),
    ],
    ids=["none", "quarter turn", "flip", "turned by 5 degrees", "JPEG 70"],
)
def test_the_payload_is_read_blind(marked, attack):
    method, copy = marked
    reading = method.extract(attack(copy), KEY)
    assert reading.detected
    assert reading.payload == PAYLOAD
    bits = np.unpackbits(np.frombuffer(PAYLOAD, np.uint8))
    assert ((reading.bit_probabilities > 0.5) == bits).all()


def test_a_part_scaled_up_is_read(marked):
    method, copy = marked
    part = distortions.crop(copy, top=60, left=40, rows=384, columns=336)
    assert method.extract(distortions.resize_to(part, rows=512, columns=448), KEY).detected


def test_no_mark_and_the_wrong_key_are_told_apart(marked):
    method, copy = marked
    clean, other = method.extract(COVER, KEY), method.extract(copy, bytes(32))
    for reading in (clean, other):
        assert reading.detected is False
        assert reading.payload is None
        assert reading.presence_score < 7 < method.extract(copy, KEY).presence_score


def test_flat_or_small_images_are_refused_and_read_as_unmarked():
    method = SpreadSpectrum()
    flat = picture(np.full((128, 128), 7, np.uint8))
    with pytest.raises(WatermarkCapacityError, match="constant image"):
        method.embed(flat, PAYLOAD, KEY)
    with pytest.raises(WatermarkCapacityError, match="below 64 x 64"):
        method.embed(grey(60, 60), PAYLOAD, KEY)
    assert method.extract(flat, KEY).detected is False
