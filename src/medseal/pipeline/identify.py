"""Find the record of a file: by stored values, watermark, SOP instance UID, or tile MACs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import UnknownImageError
from medseal.imaging import ImageDigests, MedicalImage, read_with_digests
from medseal.imaging.files import read_file
from medseal.pipeline.records import SealedRecord
from medseal.pipeline.workspace import Workspace, record_id
from medseal.protection.tamper import found_share
from medseal.protection.watermark import Extraction, extract
from medseal.vault import ImageRecord, ReleaseRecord

__all__ = ["MAX_GEOMETRY_CANDIDATES", "Match", "identify", "image_id_of", "load_record"]

# Records of the same shape whose tile MACs are tried when nothing else names the file.
MAX_GEOMETRY_CANDIDATES = 256
# Fewer matching tiles than this is no evidence that two images are copies of each other.
MIN_MATCHING_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A record that a file was led to.

    Attributes
    ----------
    record, sealed
        The row and its sealed content.
    means
        ``stored-values``, ``watermark``, ``instance-uid`` or ``tile-macs``.
    """

    record: ImageRecord | ReleaseRecord
    sealed: SealedRecord
    means: str


def load_record(workspace: Workspace, record: ImageRecord | ReleaseRecord) -> SealedRecord:
    """Return the sealed content of a record that is not erased.

    Raises
    ------
    PackageError, CatalogueError
        It does not verify.
    """
    return SealedRecord.from_sealed(
        record.sealed_record or b"", workspace.identity, subject=record_id(record)
    )


def identify(
    workspace: Workspace, image: MedicalImage, digests: ImageDigests
) -> tuple[Match | None, Extraction | None]:
    """Return the record that a file belongs to, by the strongest evidence there is, and its mark.

    1. Equal stored values. 2. The watermark, which leads to a record and proves nothing else.
    3. The SOP instance UID. 4. Tiles that are equal to those of a record of the same shape.

    Parameters
    ----------
    workspace
        Open.
    image, digests
        The file.

    Returns
    -------
    tuple
        The record or None, and the watermark, or None where it was not needed.
    """
    keys = workspace.keys
    # 1.
    for record in workspace.catalogue.find("values_key", keys.values_key(digests.values)):
        return _matched(workspace, record, "stored-values"), None
    # 2.
    mark = extract(image, keys.watermark)
    if mark.payload is not None:
        release = workspace.catalogue.release(mark.payload.hex())
        if release is not None and release.state == "sealed":
            return _matched(workspace, release, "watermark"), mark
    # 3.
    instance = keys.instance_key(image)
    if instance is not None:
        for record in workspace.catalogue.find("instance_key", instance, limit=1):
            return _matched(workspace, record, "instance-uid"), mark
    # 4.
    return _by_tiles(workspace, image), mark


def _matched(workspace: Workspace, record: ImageRecord | ReleaseRecord, means: str) -> Match:
    return Match(record=record, sealed=load_record(workspace, record), means=means)


def _by_tiles(workspace: Workspace, image: MedicalImage) -> Match | None:
    """Return the record of the same shape with the most tiles in common, if it is enough."""
    best: Match | None = None
    best_share = MIN_MATCHING_SHARE
    for record in _same_shape(workspace, image):
        sealed = load_record(workspace, record)
        share = found_share(image, sealed.fingerprint, workspace.keys.fingerprint)
        if share > best_share:
            best_share = share
            best = Match(record=record, sealed=sealed, means="tile-macs")
    return best


def _same_shape(workspace: Workspace, image: MedicalImage) -> Iterator[ImageRecord | ReleaseRecord]:
    key = workspace.keys.geometry_key(image)
    yield from workspace.catalogue.find("geometry_key", key, limit=MAX_GEOMETRY_CANDIDATES // 2)


def image_id_of(workspace: Workspace, target: str) -> str:
    """Return the image that an identifier or a file names.

    Parameters
    ----------
    workspace
        Open.
    target
        Image id, release id, or path of a file.

    Raises
    ------
    UnknownImageError
        Nothing in this workspace fits.
    InputError
        The file cannot be read.
    """
    if not Path(target).is_file():
        release = workspace.catalogue.release(target)
        return release.image_id if release is not None else target
    image, digests = read_with_digests(read_file(target), name=target)
    match, _ = identify(workspace, image, digests)
    if match is None:
        raise UnknownImageError(f"{target}: no record here fits it; give the image id instead")
    return match.record.image_id
