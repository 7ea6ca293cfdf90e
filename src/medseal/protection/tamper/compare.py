"""Compare a copy with a fingerprint: equal, turned, changed in places, or changed as a whole."""

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage, values_digest
from medseal.protection.tamper.changes import Changes, changes_of
from medseal.protection.tamper.exact import Found, digest_of, find, uprights_of
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.mark import MarkEvidence
from medseal.protection.tamper.readings import INVERTED, plain_reading
from medseal.protection.tamper.report import Outcome, TamperCheck, TamperReport
from medseal.protection.tamper.unmoved import changed_places
from medseal.protection.tamper.verdict import processed_report

__all__ = ["MODEL_ID", "check"]

MODEL_ID = "exact-tiers-v2"
_EVIDENCE = "tile MACs"
_UNDECIDED_SCORE = 0.5
_GREY_SCALES = {"MONOCHROME1", "MONOCHROME2"}
# Chance that an altered tile keeps its 16-bit MAC.
_CHANCE = 2.0**-16

Flags = NDArray[np.bool_]


def _report(
    image: MedicalImage,
    outcome: Outcome,
    score: float,
    checks: list[TamperCheck],
    *,
    operations: tuple[str, ...] = (),
    changes: Changes | None = None,
) -> TamperReport:
    empty = np.zeros((image.rows, image.columns), np.bool_)
    return TamperReport(
        outcome=outcome,
        score=score,
        mask=empty if changes is None else changes.mask,
        operations=operations,
        model_id=MODEL_ID,
        checks=tuple(checks),
        evidence="" if changes is None else _EVIDENCE,
        frames=() if changes is None else changes.frames,
        proven=None if changes is None else changes.proven,
    )


def _operations(*names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name)


def check(
    image: MedicalImage,
    fingerprint: Fingerprint | None,
    key: bytes | None,
    *,
    signer: bytes | None = None,
    mark: MarkEvidence | None = None,
) -> TamperReport:
    """Say whether a copy is the image that was fingerprinted, and where it is not.

    1. Authenticate the record. 2. Compare the digest of the stored values. 3. Without the key,
    compare it in other orientations too, and stop. 4. Find the record's tiles in the copy, by
    keyed MACs. 5. Decide, or hand over to the comparison of processed copies. That
    a tile changed is proven; where inside it is estimated, and decides nothing.

    Parameters
    ----------
    image
        The copy.
    fingerprint
        Record of the original, or None.
    key
        32 bytes, or None: then only equality in one of eight orientations can be shown.
    signer
        Public key by which the record must be signed, see `signer_of`. Without it and without the
        key the record is held to its own signature, which anybody can make.
    mark
        Where a watermark is heard in the copy, if one was read.

    Returns
    -------
    TamperReport
        ``unverifiable`` without a record.

    Raises
    ------
    FingerprintError
        The record is damaged, was made with another key or signed by another signer.
    WeightsError
        The networks that compare a processed copy are missing or damaged.
    """
    checks: list[TamperCheck] = []
    # 1.
    if fingerprint is None:
        checks.append(("record", "unknown", "there is no fingerprint to compare with"))
        return _report(image, "unverifiable", _UNDECIDED_SCORE, checks)
    checks.append(_record_check(fingerprint, key, signer))
    # 2.
    if values_digest(image) == fingerprint.values:
        checks.append(("values", "pass", "every stored value is equal"))
        return _equal(image, fingerprint, checks)
    checks.append(("values", "fail", "the digest of the stored values differs"))
    # 3.
    if key is None:
        return _without_key(image, fingerprint, checks)
    # 4.
    found = find(image, fingerprint, key)
    # 5.
    if found is not None and found.equal:
        checks.append(("tiles", "pass", "the digest is equal once the copy is brought back"))
        return _equal(
            image,
            fingerprint,
            checks,
            orientation=found.orientation.name,
            reading=found.reading,
            is_same_picture=found.is_same_picture,
        )
    changes = None if found is None else changes_of(image, found, fingerprint)
    if found is None or changes is None or not changes.is_local:
        why = _geometry(image, fingerprint) if changes is None else changes.detail
        checks.append(("tiles", "unknown", why))
        operations = () if found is None else _operations(found.orientation.name, found.reading)
        return processed_report(
            image, fingerprint, key, mark=mark, checks=checks, operations=operations
        )
    return _tampered(image, fingerprint, key, found=found, changes=changes, checks=checks)


def _record_check(record: Fingerprint, key: bytes | None, signer: bytes | None) -> TamperCheck:
    if key is not None:
        record.authenticate(key)
    if key is None or signer is not None:
        record.verify_signature(signer)
    if key is not None:
        return "record", "pass", "the fingerprint is authentic"
    if signer is not None:
        return "record", "pass", "the fingerprint is signed by the given key"
    detail = f"the fingerprint is signed by {record.signer.hex()}; give the key that you trust"
    return "record", "unknown", detail


def _without_key(
    image: MedicalImage, record: Fingerprint, checks: list[TamperCheck]
) -> TamperReport:
    reading = plain_reading(image, record)
    if image.frames == record.frames and not reading.foreign.any():
        for upright in uprights_of(reading, record):
            if digest_of(upright.values, record) == record.values:
                return _equal(
                    image,
                    record,
                    checks,
                    orientation=upright.orientation.name,
                    reading=reading.name,
                )
    checks.append(("tiles", "unknown", "without the key a change cannot be located"))
    return _report(image, "unverifiable", _UNDECIDED_SCORE, checks)


def _geometry(image: MedicalImage, record: Fingerprint) -> str:
    """Say why hardly a tile of the record was found."""
    shape = (image.frames, image.rows, image.columns, image.samples)
    wanted = (record.frames, record.rows, record.columns, record.samples)
    sides = {shape[1:3], shape[2:0:-1]}
    if wanted[1:3] in sides and shape[3] == wanted[3]:
        return "hardly a tile is equal: processed as a whole, another image, or edited everywhere"
    return (
        f"geometry differs: {shape[0]} frames of {shape[1]} x {shape[2]} x {shape[3]}, "
        f"the original has {wanted[0]} of {wanted[1]} x {wanted[2]} x {wanted[3]}"
    )


def _equal(
    image: MedicalImage,
    record: Fingerprint,
    checks: list[TamperCheck],
    *,
    orientation: str = "",
    reading: str = "",
    is_same_picture: bool = True,
) -> TamperReport:
    """Report equal values: as they were, turned, mapped, or declared to mean something else."""
    if orientation:
        checks.append(("orientation", "pass", f"the copy is {orientation}"))
    if reading:
        checks.append(("reading", "pass", f"the same values once undone: {reading}"))
    before, after = record.photometric_interpretation, image.photometric_interpretation
    meaning = f"{before} declared as {after}" if before != after else ""
    if reading == INVERTED and {before, after} == _GREY_SCALES:
        is_same_picture, meaning = True, ""
    outcome: Outcome = "transcoded" if orientation or reading else "authentic"
    if not is_same_picture:
        outcome, meaning = "processed", ""
    elif reading:
        meaning = ""
    if meaning and image.source_format == "dicom":
        # Equal values, yet a viewer shows something else: black for white, other colours.
        checks.append(("meaning", "fail", f"photometric interpretation: {meaning}"))
        outcome = "processed"
    elif meaning:
        detail = f"{image.source_format} does not state {before}: a viewer may show it inverted"
        checks.append(("meaning", "unknown", detail))
        outcome, meaning = "transcoded", ""
    operations = _operations(orientation, reading, meaning)
    return _report(image, outcome, 0.0, checks, operations=operations)


def _tampered(
    image: MedicalImage,
    record: Fingerprint,
    key: bytes,
    *,
    found: Found,
    changes: Changes,
    checks: list[TamperCheck],
) -> TamperReport:
    """Report proven changes; where inside the tiles is estimated, and decides nothing."""
    if found.orientation.name:
        checks.append(("orientation", "pass", f"the copy is {found.orientation.name}"))
    if found.reading:
        checks.append(("reading", "pass", f"the same values once undone: {found.reading}"))
    checks += [("frames", "fail", name) for name in found.alignment.operations]
    if changes.proven.any() or found.alignment.operations:
        checks.append(("tiles", "fail", changes.detail))
        places = changed_places(image, found, record, key)
        if places is not None:
            changes = changes.narrowed(places)
            detail = "the mask is an estimate of the places inside the tiles"
            checks.append(("places", "unknown", detail))
    else:
        detail = f"no tile shows where; each hides a change with a chance of {_CHANCE:.1e}"
        checks.append(("tiles", "fail", f"some value differs, but {detail}"))
        changes = changes.everywhere()
    names = _operations(found.orientation.name, found.reading, *found.alignment.operations)
    return _report(image, "tampered", 1.0, checks, operations=names, changes=changes)
