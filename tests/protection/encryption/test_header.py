import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import HeaderFormatError, TruncatedPackageError
from medseal.protection.encryption import header as spec
from medseal.protection.encryption.header import Header, ScryptWrap, X25519Wrap

x25519_wraps = st.builds(
    X25519Wrap,
    ephemeral=st.binary(min_size=32, max_size=32).filter(spec.is_usable_point),
    sealed_key=st.binary(min_size=48, max_size=48),
)
scrypt_wraps = st.builds(
    ScryptWrap,
    salt=st.binary(min_size=16, max_size=16),
    log_n=st.integers(spec.MIN_SCRYPT_LOG_N, spec.MAX_SCRYPT_LOG_N),
    sealed_key=st.binary(min_size=48, max_size=48),
)
headers = st.builds(
    Header,
    chunk_bytes_log2=st.integers(spec.MIN_CHUNK_BYTES_LOG2, spec.MAX_CHUNK_BYTES_LOG2),
    payload_nonce=st.binary(min_size=16, max_size=16),
    plaintext_bytes=st.integers(0, spec.MAX_PLAINTEXT_BYTES),
    associated_data=st.binary(max_size=100),
    wraps=st.lists(x25519_wraps, min_size=1, max_size=3).map(tuple)
    | scrypt_wraps.map(lambda wrap: (wrap,)),
)


def example(**changes: object) -> Header:
    fields: dict[str, object] = {
        "chunk_bytes_log2": 20,
        "payload_nonce": bytes(16),
        "plaintext_bytes": 5,
        "associated_data": b"ad",
        "wraps": (X25519Wrap(ephemeral=b"\x09" + bytes(31), sealed_key=bytes(48)),),
    }
    return Header(**(fields | changes))


@given(headers, st.binary(max_size=40))
def test_parse_gives_back_the_header_and_its_end(header: Header, tail: bytes) -> None:
    encoded = header.to_bytes()
    assert Header.parse(encoded + tail) == (header, len(encoded))


@given(headers, st.data())
def test_bytes_that_parse_are_the_one_spelling(header: Header, draw: st.DataObject) -> None:
    encoded = bytearray(header.to_bytes())
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(encoded) - 1))
        encoded[place] = draw.draw(st.integers(0, 255))
    try:
        parsed, end = Header.parse(bytes(encoded))
    except (HeaderFormatError, TruncatedPackageError):
        return
    assert parsed.to_bytes() == encoded[:end]


@given(headers, st.data())
def test_every_cut_is_truncated(header: Header, draw: st.DataObject) -> None:
    encoded = header.to_bytes()
    cut = draw.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(TruncatedPackageError, match="ends inside its header"):
        Header.parse(encoded[:cut])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_type(data: bytes) -> None:
    for candidate in (data, spec.MAGIC + b"\x01\x01" + data):
        try:
            parsed, end = Header.parse(candidate)
        except (HeaderFormatError, TruncatedPackageError):
            continue
        assert parsed.to_bytes() == candidate[:end]


@pytest.mark.parametrize("number", sorted(spec._LOW_ORDER_POINTS))
def test_openssl_finds_the_all_zero_secret_for_each_listed_point(number: int) -> None:
    point = X25519PublicKey.from_public_bytes(number.to_bytes(32, "little"))
    with pytest.raises(ValueError, match="shared key"):
        X25519PrivateKey.generate().exchange(point)
    assert not spec.is_usable_point(number.to_bytes(32, "little"))


def test_no_other_small_point_is_refused() -> None:
    usable = [n for n in range(64) if spec.is_usable_point(n.to_bytes(32, "little"))]
    assert usable == list(range(2, 64))
    for number in usable:
        point = X25519PublicKey.from_public_bytes(number.to_bytes(32, "little"))
        assert any(X25519PrivateKey.generate().exchange(point))


def test_a_point_has_one_spelling() -> None:
    prime = 2**255 - 19
    assert spec.is_usable_point((prime - 2).to_bytes(32, "little"))
    for number in (prime + 2, prime + 18, 2**255 + 9, 2**256 - 1):
        assert not spec.is_usable_point(number.to_bytes(32, "little"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunk_bytes_log2": 9}, "chunk size"),
        ({"chunk_bytes_log2": 21}, "chunk size"),
        ({"payload_nonce": bytes(15)}, "payload nonce"),
        ({"plaintext_bytes": -1}, "plaintext length"),
        ({"plaintext_bytes": spec.MAX_PLAINTEXT_BYTES + 1}, "plaintext length"),
        ({"associated_data": bytes(4097)}, "associated data"),
        ({"wraps": ()}, "0 wraps"),
        ({"wraps": example().wraps * 65}, "65 wraps"),
        (
            {
                "wraps": (
                    *example().wraps,
                    ScryptWrap(salt=bytes(16), log_n=10, sealed_key=bytes(48)),
                )
            },
            "only wrap",
        ),
    ],
)
def test_a_header_outside_the_limits_cannot_exist(changes: dict, message: str) -> None:
    with pytest.raises(HeaderFormatError, match=message):
        example(**changes)


def test_the_limits_themselves_are_allowed() -> None:
    header = example(
        plaintext_bytes=spec.MAX_PLAINTEXT_BYTES,
        associated_data=bytes(spec.MAX_ASSOCIATED_DATA_BYTES),
        wraps=example().wraps * spec.MAX_WRAPS,
    )
    assert Header.parse(header.to_bytes())[0] == header


@pytest.mark.parametrize("changes", [{"ephemeral": bytes(31)}, {"sealed_key": bytes(47)}])
def test_an_x25519_wrap_has_one_size(changes: dict) -> None:
    with pytest.raises(HeaderFormatError, match="X25519 wrap has the wrong size"):
        dataclasses.replace(example().wraps[0], **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"salt": bytes(17)}, "wrong size"),
        ({"sealed_key": bytes(49)}, "wrong size"),
        ({"log_n": 9}, "work factor"),
        ({"log_n": 19}, "work factor"),
    ],
)
def test_a_passphrase_wrap_stays_in_its_limits(changes: dict, message: str) -> None:
    fields: dict = {"salt": bytes(16), "log_n": 10, "sealed_key": bytes(48)}
    with pytest.raises(HeaderFormatError, match=message):
        ScryptWrap(**(fields | changes))


def test_the_core_leaves_out_the_wraps_only() -> None:
    header = example()
    assert header.to_bytes().startswith(header.core_bytes())
    rewrapped = dataclasses.replace(header, wraps=header.wraps * 2)
    assert rewrapped.core_bytes() == header.core_bytes()
