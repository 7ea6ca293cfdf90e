import dataclasses
import hashlib
import hmac
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import (
    HeaderAuthenticationError,
    HeaderFormatError,
    InputError,
    NoMatchingIdentityError,
    PackageError,
    PayloadAuthenticationError,
    TruncatedPackageError,
)
from medseal.protection.encryption import (
    Identity,
    PassphraseIdentity,
    PassphraseRecipient,
    SealedPackage,
    X25519Wrap,
    rewrap,
    seal,
)
from medseal.protection.encryption import open as open_package
from medseal.protection.encryption.stream import sealed_size

OWNER = Identity.generate()
GUEST = Identity.generate()
PLAINTEXT = b"stored values of one small image"
ASSOCIATED = b'{"image_id":"img-1","v":1}'


def flips(data: bytes) -> Iterator[bytes]:
    """Yield the data with each single bit turned over."""
    for place in range(len(data) * 8):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 of one block, straight from RFC 5869, 2.2 and 2.3."""
    extracted = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def refused(data: bytes, identity: Identity | PassphraseIdentity) -> type[PackageError]:
    """Return the error with which these bytes are refused."""
    with pytest.raises(PackageError, match=r"^[^\n]+$") as caught:
        open_package(SealedPackage.from_bytes(data), identity)
    assert PLAINTEXT.decode() not in str(caught.value)
    return type(caught.value)


@given(
    st.binary(max_size=5000),
    st.binary(max_size=300),
    st.integers(1, 4),
    st.sampled_from((10, 11, 20)),
)
def test_open_gives_back_what_was_sealed(
    data: bytes, associated: bytes, count: int, chunk_bytes_log2: int
) -> None:
    everybody = [Identity.generate() for _ in range(count)]
    package = seal(
        data,
        [identity.recipient for identity in everybody],
        associated_data=associated,
        chunk_bytes_log2=chunk_bytes_log2,
    )
    encoded = package.to_bytes()
    again = SealedPackage.from_bytes(encoded)
    assert again == package
    assert again.to_bytes() == encoded
    assert again.associated_data == associated
    assert again.plaintext_bytes == len(data)
    assert all(open_package(again, identity) == data for identity in everybody)
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        open_package(again, Identity.generate())


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_more_than_one_chunk_of_the_default_size(extra: int) -> None:
    data = bytes(range(256)) * (2 * 2**20 // 256) + bytes(extra + 1)
    data = data[: 2 * 2**20 + extra]
    package = seal(data, [OWNER.recipient])
    assert open_package(package, OWNER) == data


def test_an_array_of_any_shape_is_sealed_as_its_bytes() -> None:
    values = memoryview(bytes(range(24))).cast("H", (2, 3, 2))
    assert open_package(seal(values, [OWNER.recipient]), OWNER) == bytes(range(24))
    assert open_package(seal(bytearray(b"abc"), [OWNER.recipient]), OWNER) == b"abc"


def test_a_package_is_built_as_specified() -> None:
    """Open a package by the text of the specification, with no key code of ours."""
    plaintext = bytes(range(256)) * 10
    package = seal(plaintext, [OWNER.recipient], associated_data=b"AD", chunk_bytes_log2=10)
    data = package.to_bytes()
    core, wraps, rest = data[:47], data[47:129], data[129:]
    assert core[:19] == b"medseal-package\x00" + b"\x01\x01\x0a"
    nonce = core[19:35]
    assert core[35:] == (2560).to_bytes(8, "big") + b"\x00\x02AD"
    assert wraps[:2] == b"\x01\x01"
    wrap = X25519Wrap(ephemeral=wraps[2:34], sealed_key=wraps[34:])
    file_key = OWNER.unwrap([wrap])
    mac_key = hkdf(file_key, b"", b"medseal/package/v1/header")
    assert rest[:32] == hmac.digest(mac_key, core + wraps, "sha256")
    cipher = AESGCM(hkdf(file_key, nonce, b"medseal/package/v1/payload" + core))
    sealed = rest[32:]
    opened = (
        cipher.decrypt(bytes(12), sealed[:1040], None)
        + cipher.decrypt(bytes(10) + b"\x01\x00", sealed[1040:2080], None)
        + cipher.decrypt(bytes(10) + b"\x02\x01", sealed[2080:], None)
    )
    assert opened == plaintext


def test_two_packages_of_one_plaintext_share_nothing() -> None:
    first, second = (seal(PLAINTEXT, [OWNER.recipient]) for _ in range(2))
    assert first.header.payload_nonce != second.header.payload_nonce
    assert first.payload != second.payload
    assert OWNER.unwrap(first.header.wraps) != OWNER.unwrap(second.header.wraps)


def test_every_flipped_bit_of_a_small_package_is_refused() -> None:
    package = seal(
        PLAINTEXT, [GUEST.recipient, OWNER.recipient], associated_data=ASSOCIATED
    ).to_bytes()
    kinds = {refused(data, OWNER) for data in flips(package)}
    assert kinds == {
        HeaderFormatError,
        HeaderAuthenticationError,
        NoMatchingIdentityError,
        PayloadAuthenticationError,
        TruncatedPackageError,
    }


def test_every_changed_byte_of_a_larger_package_is_refused() -> None:
    package = seal(bytes(5000), [OWNER.recipient], associated_data=ASSOCIATED, chunk_bytes_log2=10)
    data = bytearray(package.to_bytes())
    for place in range(len(data)):
        data[place] ^= 0xFF
        refused(bytes(data), OWNER)
        data[place] ^= 0xFF
    assert open_package(SealedPackage.from_bytes(data), OWNER) == bytes(5000)


def test_every_cut_of_a_package_is_truncated() -> None:
    data = seal(PLAINTEXT, [OWNER.recipient], associated_data=ASSOCIATED).to_bytes()
    assert {refused(data[:size], OWNER) for size in range(len(data))} == {TruncatedPackageError}


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_type(data: bytes) -> None:
    start = seal(PLAINTEXT, [OWNER.recipient]).to_bytes()[:45]
    for candidate in (data, start + data, start[:-10] + data):
        refused(candidate, OWNER)


@given(st.data())
def test_any_mixture_of_two_packages_is_refused(draw: st.DataObject) -> None:
    first = seal(PLAINTEXT, [OWNER.recipient], associated_data=b"one").to_bytes()
    second = seal(PLAINTEXT[::-1], [OWNER.recipient], associated_data=b"two").to_bytes()
    start, end = sorted(draw.draw(st.tuples(*[st.integers(0, len(first))] * 2)))
    mixed = first[:start] + second[start:end] + first[end:]
    if mixed not in (first, second):
        refused(mixed, OWNER)


def test_another_image_of_the_same_file_key_is_refused() -> None:
    """A recipient who renews the MAC over other associated data cannot keep the payload."""
    package = seal(PLAINTEXT, [OWNER.recipient], associated_data=b"image-1")
    file_key = OWNER.unwrap(package.header.wraps)
    header = dataclasses.replace(package.header, associated_data=b"image-2").to_bytes()
    mac = hmac.digest(hkdf(file_key, b"", b"medseal/package/v1/header"), header, "sha256")
    assert refused(header + mac + package.payload, OWNER) is PayloadAuthenticationError


def test_bytes_after_the_end_are_refused() -> None:
    data = seal(PLAINTEXT, [OWNER.recipient]).to_bytes()
    with pytest.raises(HeaderFormatError, match="3 bytes after its end"):
        SealedPackage.from_bytes(data + bytes(3))


def test_a_passphrase_package_opens_with_the_passphrase_only() -> None:
    package = seal(PLAINTEXT, [PassphraseRecipient("phrase", log_n=10)], associated_data=b"AD")
    assert open_package(package, PassphraseIdentity("phrase")) == PLAINTEXT
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        open_package(package, OWNER)


def test_every_flipped_bit_of_a_passphrase_wrap_is_refused() -> None:
    data = seal(b"x", [PassphraseRecipient("phrase", log_n=10)]).to_bytes()
    for place in range(45 * 8, (45 + 67) * 8):  # no associated data: count and wrap
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        refused(bytes(changed), PassphraseIdentity("phrase"))


def test_rewrap_changes_the_recipients_and_not_one_payload_byte() -> None:
    package = seal(PLAINTEXT, [OWNER.recipient], associated_data=ASSOCIATED)
    moved = rewrap(package, OWNER, [GUEST.recipient])
    assert moved.payload == package.payload
    assert moved.associated_data == ASSOCIATED
    assert open_package(moved, GUEST) == PLAINTEXT
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        open_package(moved, OWNER)
    locked = rewrap(moved, GUEST, [PassphraseRecipient("phrase", log_n=10)])
    back = rewrap(locked, PassphraseIdentity("phrase"), [OWNER.recipient, GUEST.recipient])
    assert open_package(back, OWNER) == open_package(back, GUEST) == PLAINTEXT
    assert back.header.core_bytes() == package.header.core_bytes()


def test_rewrap_needs_an_identity_and_an_untouched_header() -> None:
    package = seal(PLAINTEXT, [OWNER.recipient], associated_data=ASSOCIATED)
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        rewrap(package, GUEST, [GUEST.recipient])
    changed = bytearray(package.to_bytes())
    changed[50] ^= 1  # in the associated data
    with pytest.raises(HeaderAuthenticationError, match="header of the package was changed"):
        rewrap(SealedPackage.from_bytes(changed), OWNER, [GUEST.recipient])


def test_the_same_recipient_twice_counts_once() -> None:
    package = seal(b"", [OWNER.recipient, GUEST.recipient, OWNER.recipient])
    assert len(package.header.wraps) == 2


def test_64_recipients_are_allowed() -> None:
    everybody = [Identity.generate() for _ in range(64)]
    package = seal(PLAINTEXT, [identity.recipient for identity in everybody])
    assert open_package(package, everybody[-1]) == PLAINTEXT
    with pytest.raises(InputError, match="1 to 64 recipients, not 65"):
        seal(PLAINTEXT, [identity.recipient for identity in [*everybody, OWNER]])


@pytest.mark.parametrize(
    ("recipients", "options", "message"),
    [
        ([], {}, "1 to 64 recipients, not 0"),
        ([OWNER.recipient, PassphraseRecipient("p", log_n=10)], {}, "only recipient"),
        ([PassphraseRecipient(p, log_n=10) for p in "ab"], {}, "only recipient"),
        ([OWNER.recipient], {"associated_data": bytes(4097)}, "at most 4096 bytes"),
        ([OWNER.recipient], {"chunk_bytes_log2": 9}, "between 10 and 20"),
        ([OWNER.recipient], {"chunk_bytes_log2": 21}, "between 10 and 20"),
    ],
)
def test_arguments_outside_the_limits_are_refused(recipients, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        seal(b"data", recipients, **options)


def test_data_in_several_pieces_are_refused() -> None:
    with pytest.raises(InputError, match="in one piece"):
        seal(memoryview(bytes(10))[::2], [OWNER.recipient])


def test_to_bytes_makes_no_copy() -> None:
    package = seal(bytes(2**20), [OWNER.recipient])
    encoded = package.to_bytes()
    assert package.to_bytes() is encoded
    assert SealedPackage.from_bytes(encoded).to_bytes() is encoded


def test_a_package_costs_a_fixed_overhead() -> None:
    package = seal(bytes(2**20), [OWNER.recipient])
    assert len(package.to_bytes()) == 2**20 + 45 + 1 + 81 + 32 + 16
    assert len(package.payload) == sealed_size(2**20, chunk_bytes=2**20)


def test_repr_shows_sizes_only() -> None:
    shown = repr(seal(PLAINTEXT, [OWNER.recipient], associated_data=b"patient"))
    assert shown == "SealedPackage(214 bytes, 1 wraps, plaintext of 32 bytes)"
