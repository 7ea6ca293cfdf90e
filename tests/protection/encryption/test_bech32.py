import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import InputError
from medseal.protection.encryption import bech32

# BIP-350, "Test vectors for Bech32m", those whose data part is whole bytes.
PUBLISHED = {
    "a1lqfn3a": ("a", b""),
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v": (
        "split",
        bytes.fromhex("c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d"),
    ),
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6": (
        "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber1",
        b"",
    ),
}


@pytest.mark.parametrize("text", PUBLISHED)
def test_published_vectors(text: str) -> None:
    prefix, data = PUBLISHED[text]
    assert bech32.encode(prefix, data) == text
    assert bech32.decode(text, prefix=prefix, length_bytes=len(data)) == data


@given(st.binary(max_size=64))
def test_decode_gives_back_what_was_encoded(data: bytes) -> None:
    text = bech32.encode("medseal", data)
    assert bech32.decode(text, prefix="medseal", length_bytes=len(data)) == data


@given(st.binary(min_size=32, max_size=32), st.data())
def test_up_to_four_wrong_characters_are_always_found(data: bytes, draw: st.DataObject) -> None:
    text = bech32.encode("medseal", data)
    places = draw.draw(st.sets(st.integers(8, len(text) - 1), min_size=1, max_size=4))
    wrong = list(text)
    for place in places:
        others = "qpzry9x8gf2tvdw0s3jn54khce6mua7l".replace(text[place], "")
        wrong[place] = draw.draw(st.sampled_from(others))
    with pytest.raises(InputError, match="typing error"):
        bech32.decode("".join(wrong), prefix="medseal", length_bytes=32)


@given(st.text())
def test_any_text_is_decoded_or_refused_by_type(text: str) -> None:
    for candidate in (text, "medseal1" + text):
        with pytest.raises(InputError, match="this key"):
            bech32.decode(candidate, prefix="medseal", length_bytes=32)


def test_padding_bits_must_be_zero() -> None:
    # 32 bytes leave four padding bits in the last of 52 characters: set one, renew the checksum.
    text = bech32.encode("medseal", bytes(32))
    values = [0] * 51 + [1]
    checksum = bech32._polymod(bech32._expand("medseal") + values + [0] * 6) ^ 0x2BC830A3
    alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    body = [alphabet[v] for v in values] + [
        alphabet[checksum >> 5 * i & 31] for i in range(5, -1, -1)
    ]
    with pytest.raises(InputError, match="must be zero"):
        bech32.decode("medseal1" + "".join(body), prefix="medseal", length_bytes=32)
    assert len(text) == len("medseal1") + len(body)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.upper(), "must start with"),
        (lambda text: text[:-1], "wrong length"),
        (lambda text: text + "q", "wrong length"),
        (lambda text: text[:-1] + "b", "typing error"),
        (lambda text: text.replace("medseal1", "medsea1"), "must start with"),
    ],
)
def test_other_spellings_are_refused(change, message: str) -> None:
    text = bech32.encode("medseal", bytes(range(32)))
    with pytest.raises(InputError, match=message):
        bech32.decode(change(text), prefix="medseal", length_bytes=32)
