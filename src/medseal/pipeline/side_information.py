"""Side information of a release, sealed under a key that its record alone holds.

The key is made for one release and stands in the release's sealed record, not in the keystore:
when the record is erased nobody can take the mark out of a copy any more.
"""

from medseal.digest import Digest
from medseal.errors import PayloadAuthenticationError, SideInformationError
from medseal.protection.encryption import Identity, SealedPackage, seal
from medseal.protection.encryption import open as open_package

__all__ = ["open_side_information", "seal_side_information"]

_CONTEXT = "medseal/side-information/v1"


def _context(release_id: str, values: Digest) -> bytes:
    """Return what binds side information: a digest, so that the file does not name its release."""
    return Digest.of(_CONTEXT, bytes.fromhex(release_id), values.value).value


def seal_side_information(
    data: bytes, identity: Identity, *, release_id: str, values: Digest
) -> bytes:
    """Return a sealed package for a release's file.

    Parameters
    ----------
    data
        From `medseal.protection.watermark.side_information`.
    identity
        Made for this release.
    release_id
        16 hexadecimal digits.
    values
        Digest of the stored values of the marked copy.
    """
    package = seal(data, [identity.recipient], associated_data=_context(release_id, values))
    return package.to_bytes()


def open_side_information(
    package: bytes, identity: Identity | None, *, release_id: str, values: Digest
) -> bytes:
    """Return the side information after every check.

    1. The layout is sound. 2. It is bound to this release and these stored values. 3. It
    authenticates, its binding included.

    Parameters
    ----------
    package
        From the file.
    identity
        From the release's record; None where that holds none.
    release_id, values
        As for `seal_side_information`.

    Raises
    ------
    PackageError
        One of the checks fails.
    SideInformationError
        The record holds no key.
    """
    if identity is None:
        raise SideInformationError(
            f"release {release_id} was made without side information, but the file carries some"
        )
    # 1.
    sealed = SealedPackage.from_bytes(package)
    # 2. Compared before it is authentic, for a reason that a person understands; 3 makes it so.
    if sealed.associated_data != _context(release_id, values):
        raise PayloadAuthenticationError("the side information is that of another release")
    # 3.
    return open_package(sealed, identity)
