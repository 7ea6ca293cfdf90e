"""Sealed side information: bound to one release and one copy, opened by the release's key alone."""

from pathlib import Path

import pytest

from medseal.digest import Digest
from medseal.errors import (
    HeaderAuthenticationError,
    HeaderFormatError,
    NoMatchingIdentityError,
    PackageError,
    PayloadAuthenticationError,
    SideInformationError,
    TruncatedPackageError,
)
from medseal.imaging.attachment import (
    DICOM_GROUP,
    MAX_ATTACHMENT_BYTES,
    PNG_CHUNK,
    PRIVATE_CREATOR,
    TIFF_TAG,
    framed,
)
from medseal.pipeline.side_information import open_side_information, seal_side_information
from medseal.protection.encryption import Identity, SealedPackage, seal
from medseal.protection.watermark.removal import MAX_SIDE_INFORMATION_BYTES

RELEASE = "00112233445566ff"
VALUES = Digest.of("test", b"values")
DATA = b"what takes the mark out"


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.generate()


@pytest.fixture(scope="module")
def package(identity: Identity) -> bytes:
    return seal_side_information(DATA, identity, release_id=RELEASE, values=VALUES)


def test_it_opens_for_its_release(identity: Identity, package: bytes) -> None:
    opened = open_side_information(package, identity, release_id=RELEASE, values=VALUES)
    assert opened == DATA


def test_the_package_names_neither_release_nor_content(package: bytes) -> None:
    for word in (RELEASE.encode(), bytes.fromhex(RELEASE), VALUES.value, DATA):
        assert word not in package


@pytest.mark.parametrize(
    ("release_id", "values"),
    [("ff112233445566ff", VALUES), (RELEASE, Digest.of("test", b"other values"))],
)
def test_another_release_or_another_copy(
    identity: Identity, package: bytes, release_id: str, values: Digest
) -> None:
    with pytest.raises(PayloadAuthenticationError, match="that of another release"):
        open_side_information(package, identity, release_id=release_id, values=values)


def test_the_key_of_another_release(package: bytes) -> None:
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        open_side_information(package, Identity.generate(), release_id=RELEASE, values=VALUES)


def test_a_record_without_a_key(package: bytes) -> None:
    with pytest.raises(SideInformationError, match="made without side information"):
        open_side_information(package, None, release_id=RELEASE, values=VALUES)


def test_a_binding_that_was_forged(identity: Identity, package: bytes) -> None:
    # Somebody exchanges the readable binding of another package for the one that fits.
    wanted = SealedPackage.from_bytes(package).associated_data
    other = seal(DATA, [identity.recipient], associated_data=bytes(len(wanted))).to_bytes()
    forged = other.replace(bytes(len(wanted)), wanted, 1)
    with pytest.raises(HeaderAuthenticationError, match="header of the package was changed"):
        open_side_information(forged, identity, release_id=RELEASE, values=VALUES)


def test_every_changed_byte_and_every_truncation(identity: Identity, package: bytes) -> None:
    for place in range(len(package)):
        broken = bytearray(package)
        broken[place] ^= 1
        with pytest.raises(PackageError, match=r"\w"):
            open_side_information(bytes(broken), identity, release_id=RELEASE, values=VALUES)
    for size in (0, 1, 40, len(package) - 1):
        with pytest.raises((TruncatedPackageError, HeaderFormatError), match=r"\w"):
            open_side_information(package[:size], identity, release_id=RELEASE, values=VALUES)


def test_the_specification_has_the_figures_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "spec" / "side-information.md").read_text()
    magic = framed(b"x")[:4].hex(" ").upper()
    for words in (
        f"`{magic}`",
        f"1 to {MAX_ATTACHMENT_BYTES} (`MAX_ATTACHMENT_BYTES`)",
        f"`MAX_SIDE_INFORMATION_BYTES` = {MAX_SIDE_INFORMATION_BYTES}.",
        f"creator `{PRIVATE_CREATOR}` in group {DICOM_GROUP:04X}",
        f"one chunk `{PNG_CHUNK.decode()}`",
        f"private tag {TIFF_TAG},",
        "domain `medseal/side-information/v1`",
    ):
        assert words in page
