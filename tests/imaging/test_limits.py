import gzip
import zlib

import pytest

from medseal.errors import ImageTooLargeError, UnreadableImageError
from medseal.imaging import limits
from medseal.imaging.limits import check_decoded_size, check_file_size, inflate


def test_sizes_at_the_limits_pass_and_beyond_are_refused():
    check_decoded_size((limits.MAX_FRAMES, 1, 1, 1), 1, name="x")
    check_decoded_size((1, limits.MAX_PIXELS_PER_FRAME, 1, 1), 1, name="x")
    for shape in (
        (limits.MAX_FRAMES + 1, 1, 1, 1),
        (1, limits.MAX_PIXELS_PER_FRAME + 1, 1, 1),
        (32, limits.MAX_PIXELS_PER_FRAME, 1, 3),
    ):
        with pytest.raises(ImageTooLargeError, match=r"x: .* exceed the limits"):
            check_decoded_size(shape, 1, name="x")


@pytest.mark.parametrize("shape", [(1, 0, 4, 1), (1, 4, -4, 1), (0, 4, 4, 1)])
def test_empty_sizes_are_refused(shape):
    with pytest.raises(UnreadableImageError, match="the header states"):
        check_decoded_size(shape, 1, name="x")


def test_file_sizes():
    check_file_size(limits.MAX_FILE_BYTES, name="x")
    with pytest.raises(ImageTooLargeError, match="the limit is"):
        check_file_size(limits.MAX_FILE_BYTES + 1, name="x")
    with pytest.raises(UnreadableImageError, match="empty"):
        check_file_size(0, name="x")


def test_inflate_is_bounded(monkeypatch):
    data = bytes(300_000)
    assert inflate(gzip.compress(data), window_bits=31, name="x") == data
    monkeypatch.setattr(limits, "MAX_FILE_BYTES", 100_000)
    with pytest.raises(ImageTooLargeError, match="inflates to more"):
        inflate(gzip.compress(data), window_bits=31, name="x")


def test_inflate_refuses_damage():
    packed = gzip.compress(bytes(range(256)) * 50)
    with pytest.raises(UnreadableImageError, match="ends early"):
        inflate(packed[:-9], window_bits=31, name="x")
    with pytest.raises(UnreadableImageError, match="damaged"):
        inflate(b"\x1f\x8b" + bytes(40), window_bits=31, name="x")
    with pytest.raises(UnreadableImageError, match="ends early"):
        inflate(b"", window_bits=31, name="x")


def test_inflate_keeps_all_of_a_stream_longer_than_a_step(monkeypatch):
    monkeypatch.setattr(limits, "_INFLATE_STEP_BYTES", 1000)
    data = bytes(range(256)) * 400
    compressor = zlib.compressobj(wbits=-15)
    packed = compressor.compress(data) + compressor.flush()
    assert inflate(packed, window_bits=-15, name="x") == data
