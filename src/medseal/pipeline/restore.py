"""Open a release's file: take the mark out by the side information in it, or use the vault."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import (
    DigestMismatchError,
    InputError,
    PackageError,
    SideInformationError,
    UnknownImageError,
)
from medseal.imaging import ImageDigests, MedicalImage, read_with_digests, values_digest
from medseal.imaging.attachment import attachment_of
from medseal.imaging.derive import derived_copy
from medseal.imaging.files import check_output, read_file, write_file
from medseal.ledger import EventKind
from medseal.pipeline.access import authorize, find_image
from medseal.pipeline.identify import Match, identify, load_record
from medseal.pipeline.open import OpenOutcome, open_image
from medseal.pipeline.output import copy_format, encode_copy
from medseal.pipeline.side_information import open_side_information
from medseal.pipeline.workspace import OWNER, Workspace
from medseal.protection.watermark import remove
from medseal.vault import ReleaseRecord

__all__ = ["open_release_file"]

_DERIVATION = "de-identified, invisible watermark taken out"


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseFile:
    """A file that belongs to a release, with what it carries beside the image."""

    release: ReleaseRecord
    match: Match
    image: MedicalImage
    digests: ImageDigests
    package: bytes


def open_release_file(
    workspace: Workspace,
    file: Path,
    output: Path,
    *,
    name: str = OWNER,
    purpose: str | None = None,
) -> OpenOutcome:
    """Write the original stored values behind a release's file for `name`.

    A file that carries side information is opened by it, without the vault: the output has the
    stored values of the original and the metadata of the release. A file that carries none, for
    example because it was saved anew, leads to the sealed original in the vault.

    1. The file is led to its record. 2. A grant covers the image. 3. The stored values are those
    of the record. 4. The side information authenticates, for this release and these values. 5. The
    result is the image that was marked.

    Parameters
    ----------
    workspace
        Open.
    file
        A copy.
    output
        File to write; the suffix chooses the format, none keeps that of `file`, or with the vault
        that of the original.
    name, purpose
        Who opens, and for what.

    Raises
    ------
    UnknownImageError
        No record fits the file, or the image was erased.
    AccessRefusedError
        No grant covers it; the refusal is on the ledger.
    VerificationError
        A check fails; nothing is written, and the message names the way through the vault.
    InputError
        The file cannot be read, or the format of `output` cannot hold the stored values.
    """
    data = read_file(file)
    image, digests = read_with_digests(data, name=str(file))
    # 1.
    match, _ = identify(workspace, image, digests)
    if match is None:
        raise UnknownImageError(f"{file}: no record here fits it; give the image id instead")
    release, image_id = match.record, match.record.image_id
    if not isinstance(release, ReleaseRecord):
        return open_image(workspace, image_id, output, name=name, purpose=purpose)
    # 2.
    authorize(workspace, find_image(workspace, image_id), name, "view", purpose=purpose)
    with _vault_instead(image_id):
        package = attachment_of(data, image.source_format, name=str(file))
    if package is None:
        outcome = open_image(workspace, image_id, output, name=name, purpose=purpose)
        return dataclasses.replace(outcome, release_id=release.release_id)
    check_output(output)
    copy_format(image, output)
    found = _ReleaseFile(
        release=release, match=match, image=image, digests=digests, package=package
    )
    with _vault_instead(image_id):
        original = _without_mark(found)
    return _write(workspace, found, original, output, name=name)


def _without_mark(found: _ReleaseFile) -> MedicalImage:
    """Return the image as it was before the mark, with the metadata of the release."""
    sealed, actual = found.match.sealed, found.digests.values
    # 3.
    if actual != sealed.digests.values:
        raise DigestMismatchError(
            f"the stored values are not those of release {found.release.release_id}, which the "
            f"file was led to by its {found.match.means}",
            expected=str(sealed.digests.values),
            actual=str(actual),
        )
    # 4.
    data = open_side_information(
        found.package, sealed.removal, release_id=found.release.release_id, values=actual
    )
    # 5.
    original = remove(found.image, data)
    # Other stored values, hence another instance.
    return derived_copy(original, description=_DERIVATION)


def _write(
    workspace: Workspace,
    found: _ReleaseFile,
    original: MedicalImage,
    output: Path,
    *,
    name: str,
) -> OpenOutcome:
    """Record the use, then write the file."""
    record = find_image(workspace, found.release.image_id)
    sealed = load_record(workspace, record)
    content = encode_copy(original, output)
    # The use is on the ledger before the plaintext is: an open without a trace cannot happen.
    receipt = workspace.record_event(
        EventKind.OPEN,
        actor=workspace.account_of(name),
        subject=record.commitment,
        details={"action": "view", "release": found.release.commitment},
    )
    write_file(content, output)
    is_equal = values_digest(original) == sealed.digests.values
    return OpenOutcome(
        image_id=record.image_id,
        file=output,
        exact="stored-values" if is_equal else "colours",
        receipt=receipt,
        source="release-file",
        release_id=found.release.release_id,
        metadata_as_recorded=found.digests.dataset == found.match.sealed.digests.dataset,
    )


@contextmanager
def _vault_instead(image_id: str) -> Iterator[None]:
    """Add the next step to whatever is wrong with the file or its side information."""
    step = f"'medseal open {image_id}' gives the original from the vault"
    try:
        yield
    except DigestMismatchError as error:
        raise DigestMismatchError(
            f"{error}; {step}", expected=error.expected, actual=error.actual
        ) from error
    except (PackageError, SideInformationError, InputError) as error:
        raise type(error)(f"{error}; {step}") from error
