import pytest

from medseal.protection.encryption.cnn.analog_payload import (
    BASE_BYTES,
    DETAIL_BYTES,
    Base,
    Detail,
    Tagger,
)

KEY, NONCE = bytes(range(32)), bytes(16)
BASE = Base(error_code=77, packets=b"coarse")
DETAIL = Detail(clean_tag=b"12345678", clean_code=3, gain_code=200, power=16384, packets=b"finer")


@pytest.fixture
def tagger() -> Tagger:
    return Tagger.of(KEY, NONCE, 0)


def test_messages_have_the_length_they_must_have_and_come_back(tagger: Tagger) -> None:
    base, detail = tagger.write_base(BASE, 60), tagger.write_detail(DETAIL, 90)
    assert (len(base), len(detail)) == (60, 90)
    assert tagger.read_base(base) == BASE
    assert tagger.read_detail(detail) == DETAIL


def test_the_room_of_the_packets_is_what_the_rest_leaves(tagger: Tagger) -> None:
    full = Base(error_code=0, packets=bytes(60 - BASE_BYTES))
    assert tagger.read_base(tagger.write_base(full, 60)) == full
    size = DETAIL_BYTES + len(DETAIL.packets)
    assert tagger.read_detail(tagger.write_detail(DETAIL, size)) == DETAIL


@pytest.mark.parametrize("place", [0, 7, 8, 20, 59])
def test_one_wrong_bit_is_no_message(tagger: Tagger, place: int) -> None:
    base, detail = tagger.write_base(BASE, 60), tagger.write_detail(DETAIL, 60)
    for message, read in ((base, tagger.read_base), (detail, tagger.read_detail)):
        changed = bytearray(message)
        changed[place] ^= 1
        assert read(bytes(changed)) is None


def test_no_message_is_taken_for_another(tagger: Tagger) -> None:
    assert tagger.read_detail(tagger.write_base(BASE, 60)) is None
    for other in (Tagger.of(KEY, NONCE, 1), Tagger.of(KEY, b"\x01" * 16, 0)):
        assert other.read_base(tagger.write_base(BASE, 60)) is None
