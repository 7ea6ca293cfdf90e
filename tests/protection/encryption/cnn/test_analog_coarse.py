import numpy as np
import pytest

from medseal.metrics.image_quality import psnr
from medseal.protection.encryption.cnn.analog_coarse import compress, decompress
from tests.protection.pictures import texture


def picture(rows: int, columns: int, dtype: str = "u1", samples: int = 1) -> np.ndarray:
    white = np.iinfo(dtype).max
    planes = [np.rint(texture(rows, columns, seed=s) * white).astype(dtype) for s in range(samples)]
    return planes[0] if samples == 1 else np.stack(planes, axis=2)


@pytest.mark.parametrize(
    "values",
    [picture(90, 70), picture(64, 64, "u2"), picture(80, 96, samples=3), picture(17, 300)],
    ids=["grey", "16 bits", "colour", "flat"],
)
def test_base_and_detail_keep_to_their_room_and_give_pictures(values: np.ndarray) -> None:
    base_room, detail_room = values.size // 30, values.size // 6
    stream = compress(values, base_bytes=base_room, detail_bytes=detail_room)
    assert 0 < stream.base_bytes <= base_room
    assert len(stream.packets) <= stream.base_bytes + detail_room
    options = {"shape": values.shape, "dtype": values.dtype}
    base = decompress(stream.packets[: stream.base_bytes], layers=1, **options)
    whole = decompress(stream.packets, layers=2, **options)
    white = float(np.iinfo(values.dtype).max)
    rough, fine = (psnr(values, shown, data_range=white) for shown in (base, whole))
    assert fine > rough + 2
    assert rough > 12


def test_without_a_base_there_is_one_layer() -> None:
    values = picture(40, 40)
    stream = compress(values, base_bytes=0, detail_bytes=400)
    assert stream.base_bytes == 0
    shown = decompress(stream.packets, shape=(40, 40), dtype=values.dtype, layers=1)
    assert psnr(values, shown, data_range=255.0) > 20


def test_a_room_too_small_for_any_stream_stays_empty_and_gives_middle_grey() -> None:
    stream = compress(picture(60, 60), base_bytes=0, detail_bytes=2)
    assert stream.packets == b""
    shown = decompress(b"", shape=(60, 60), dtype=np.dtype(np.uint8), layers=1)
    assert np.all(shown == 128)


def test_noise_that_never_fits_is_still_bounded() -> None:
    values = np.random.default_rng(1).integers(0, 65536, (64, 64)).astype(np.uint16)
    stream = compress(values, base_bytes=100, detail_bytes=500)
    assert len(stream.packets) <= 600
