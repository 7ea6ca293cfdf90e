"""Verify any copy: what it is, which record it belongs to, where it was changed."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.errors import CatalogueError, ConfigurationError
from medseal.imaging import ImageDigests, MedicalImage, read_with_digests
from medseal.imaging.files import read_file
from medseal.ledger import Event, EventKind, Receipt, VerifyingKey
from medseal.ledger import commit as commitment
from medseal.ledger import verify as verify_receipt
from medseal.pipeline.identify import Match, identify, load_record
from medseal.pipeline.ledger import read_log_key, read_receipt
from medseal.pipeline.records import leaf_digest
from medseal.pipeline.workspace import Workspace
from medseal.protection.tamper import FrameReport, MarkEvidence, Region, check, detect
from medseal.protection.watermark import Extraction
from medseal.vault import ImageRecord, ReleaseRecord

__all__ = ["Check", "Verdict", "VerifyReport", "verify"]


class Verdict(StrEnum):
    """What a copy is. It has no truth value: compare it."""

    AUTHENTIC = "authentic"
    TRANSCODED = "transcoded"
    PROCESSED = "processed"
    TAMPERED = "tampered"
    UNVERIFIABLE = "unverifiable"

    def __bool__(self) -> bool:
        raise TypeError("a verdict has no truth value; compare it with Verdict.AUTHENTIC")

    @property
    def exit_code(self) -> int:
        """Exit code of the command line."""
        return {Verdict.TAMPERED: 1, Verdict.UNVERIFIABLE: 3}.get(self, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One piece of evidence.

    Attributes
    ----------
    name
        ``receipt``, ``watermark``, ``ledger``, ``version``, ``metadata``, or a tier of the tamper
        evidence.
    outcome
        ``pass``, ``fail`` or ``unknown``.
    detail
        One line.
    """

    name: str
    outcome: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """The verdict and its evidence.

    Attributes
    ----------
    verdict
        See `Verdict`.
    score
        0 for surely unaltered to 1 for surely altered.
    checks
        In the order in which they were made.
    operations
        What was done to the copy, as far as it is known.
    regions
        Changed rectangles in rows and columns of the copy, with what shows each.
    frames
        What became of each frame of a copy with several that was compared frame by frame.
    mask
        (rows, columns) of the copy, True where it was altered in any frame; None without a record.
    image_id, release_id
        The record it belongs to, where one was found.
    receipt
        Path of the receipt of this verification, or None without a workspace.
    """

    verdict: Verdict
    score: float
    checks: tuple[Check, ...]
    operations: tuple[str, ...] = ()
    regions: tuple[Region, ...] = ()
    frames: tuple[FrameReport, ...] = ()
    mask: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)
    image_id: str | None = None
    release_id: str | None = None
    receipt: Path | None = None


@dataclass(slots=True)
class _Evidence:
    """What has been found so far."""

    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, outcome: str, detail: str) -> None:
        self.checks.append(Check(name=name, outcome=outcome, detail=detail))


def verify(
    file: Path,
    *,
    workspace: Workspace | None,
    receipt_file: Path | None = None,
    log_key_file: Path | None = None,
) -> VerifyReport:
    """Say what a copy is.

    1. Read the file. 2. Verify the receipt, if one is given. 3. Find the record. 4. Check that
    the record is in the log. 5. Compare with the record.

    Parameters
    ----------
    file
        Any readable image.
    workspace
        Open, or None: then a receipt and the public key of its log are needed.
    receipt_file
        Receipt of a seal or a release.
    log_key_file
        Public key of the log; that of the workspace when None.

    Raises
    ------
    InputError
        The file or the key cannot be read, or neither workspace nor receipt is given.
    LedgerError
        The receipt or the log itself does not verify.
    """
    # 1.
    image, digests = read_with_digests(read_file(file), name=str(file))
    evidence = _Evidence()
    # 2.
    receipt = None
    if receipt_file is not None:
        key = _log_key(workspace, log_key_file)
        receipt = _verified_receipt(receipt_file, key, evidence)
    if workspace is None:
        if receipt is None:
            raise ConfigurationError("give --receipt FILE and --log-key FILE, or a --workspace")
        return _by_receipt_alone(receipt, image, digests, evidence)
    # 3.
    match, mark = _match(workspace, image, digests, receipt, evidence)
    if match is None:
        evidence.add("record", "unknown", "no record in this workspace fits the file")
        _blind_opinion(image, evidence)
        return _finish(workspace, None, _report(Verdict.UNVERIFIABLE, 0.5, evidence))
    # 4.
    _check_ledger(workspace, match, evidence)
    # 5.
    report = _compare(workspace, image, digests, match, mark=mark, evidence=evidence)
    return _finish(workspace, match, report)


def _blind_opinion(image: MedicalImage, evidence: _Evidence) -> None:
    """Add what a network makes of a file without a record; it decides nothing."""
    opinion = detect(image)
    if opinion.abstained:
        detail = f"none: {opinion.reason}"
    else:
        rate = f"{100 * opinion.operating_point.false_alarm_rate:.0f} %"
        looks = "looks forged" if opinion.flagged else "does not look forged"
        detail = (
            f"{looks}, score {opinion.score:.2f}; at this threshold {rate} of clean images look so,"
            " and many forgeries do not; no proof of anything"
        )
    evidence.add("blind opinion", "unknown", detail)


def _log_key(workspace: Workspace | None, log_key_file: Path | None) -> VerifyingKey:
    if log_key_file is not None:
        return read_log_key(log_key_file)
    if workspace is None:
        raise ConfigurationError("give the public key of the log with --log-key FILE")
    return workspace.ledger.vkey


def _verified_receipt(path: Path, key: VerifyingKey, evidence: _Evidence) -> Receipt:
    receipt, event = read_receipt(path, key)
    detail = f"leaf {receipt.index} of {receipt.size}, kind '{event.kind}', signed by {key.name}"
    evidence.add("receipt", "pass", detail)
    return receipt


def _by_receipt_alone(
    receipt: Receipt, image: MedicalImage, digests: ImageDigests, evidence: _Evidence
) -> VerifyReport:
    """Return what a receipt proves without any workspace: equal values or nothing."""
    opening = receipt.opening
    if opening is None:
        evidence.add("values", "unknown", "the receipt does not hold the salt")
        return _report(Verdict.UNVERIFIABLE, 0.5, evidence)
    if opening.values != digests.values:
        evidence.add(
            "values",
            "fail",
            f"receipt {opening.values}, file {digests.values}; where they differ only the "
            "workspace that sealed the image can tell",
        )
        return _report(Verdict.UNVERIFIABLE, 1.0, evidence)
    evidence.add("values", "pass", f"{digests.values}, read by {image.decoder}")
    same = opening.metadata == digests.dataset
    _metadata_check(evidence, same=same)
    return _report(Verdict.AUTHENTIC if same else Verdict.TRANSCODED, 0.0, evidence)


def _metadata_check(evidence: _Evidence, *, same: bool) -> None:
    if same:
        evidence.add("metadata", "pass", "every data element is as it was recorded")
    else:
        evidence.add(
            "metadata", "fail", "data elements differ from the record; do not rely on them"
        )


def _match(
    workspace: Workspace,
    image: MedicalImage,
    digests: ImageDigests,
    receipt: Receipt | None,
    evidence: _Evidence,
) -> tuple[Match | None, MarkEvidence | None]:
    """Return the record of a file, and where its watermark is heard if it names that record."""
    if receipt is not None:
        subject = Event.parse(receipt.leaf).subject
        for record in workspace.catalogue.find("commitment", subject, limit=1):
            sealed = load_record(workspace, record)
            return Match(record=record, sealed=sealed, means="receipt"), None
    match, mark = identify(workspace, image, digests)
    if mark is not None:
        _watermark_check(mark, evidence)
    if match is None or mark is None or mark.evidence is None or match.means != "watermark":
        return match, None
    heard = mark.evidence
    return match, MarkEvidence(cells=heard.cells, placement=heard.placement)


def _watermark_check(mark: Extraction, evidence: _Evidence) -> None:
    if mark.payload is None:
        evidence.add("watermark", "unknown", "no watermark of this workspace was found")
    else:
        rate = f"{mark.false_positive_rate:.1e}"
        evidence.add(
            "watermark", "pass", f"names release {mark.payload.hex()} (false-positive rate {rate})"
        )


def _check_ledger(workspace: Workspace, match: Match, evidence: _Evidence) -> None:
    """Prove that the leaf of the record is in the log, and that it speaks of this very record."""
    sealed = match.sealed
    opened = str(commitment(sealed.salt, sealed.digests.values, sealed.digests.dataset))
    subject = Event.parse(match.record.leaf).subject
    if {opened, match.record.commitment} != {subject}:
        raise CatalogueError("catalogue: a record is not the one in the log; restore a backup")
    if sealed.fingerprint.values != sealed.digests.values:
        raise CatalogueError("catalogue: a fingerprint is that of another image; restore a backup")
    receipt = workspace.ledger.prove(leaf_digest(match.record.leaf))
    verify_receipt(receipt, workspace.ledger.vkey)
    evidence.add(
        "ledger", "pass", f"leaf {receipt.index} of {receipt.size}; record found by {match.means}"
    )


def _is_superseded(workspace: Workspace, match: Match, evidence: _Evidence) -> bool:
    """Return whether other values were sealed later under the same SOP instance UID.

    Then a copy with the older ones may be played back in place of the newer. Releases have UIDs of
    their own, and each of them stays valid.
    """
    record = match.record
    if not isinstance(record, ImageRecord) or record.instance_key is None:
        return False
    for other in workspace.catalogue.find("instance_key", record.instance_key, limit=1):
        if not isinstance(other, ImageRecord) or other.values_key == record.values_key:
            continue
        newer, older = (workspace.ledger.prove(leaf_digest(o.leaf)).index for o in (other, record))
        if newer > older:
            detail = f"sealed again later with other values, as {other.image_id}, leaf {newer}"
            evidence.add("version", "fail", f"{detail}: this is an older version, leaf {older}")
            return True
    return False


def _compare(
    workspace: Workspace,
    image: MedicalImage,
    digests: ImageDigests,
    match: Match,
    *,
    mark: MarkEvidence | None,
    evidence: _Evidence,
) -> VerifyReport:
    """Compare the copy with the record: its values, what the container states, its version."""
    sealed = match.sealed
    report = check(image, sealed.fingerprint, workspace.keys.fingerprint, mark=mark)
    for name, outcome, detail in report.checks:
        evidence.add(name, outcome, detail)
    verdict, operations = Verdict(report.outcome), report.operations
    if verdict is Verdict.AUTHENTIC:
        _metadata_check(evidence, same=digests.dataset == sealed.digests.dataset)
        before, after = sealed.digests.container, digests.container
        if before != after:
            verdict, operations = Verdict.TRANSCODED, (*operations, f"{before} to {after}")
    score = report.score
    if verdict is not Verdict.TAMPERED and _is_superseded(workspace, match, evidence):
        verdict, score = Verdict.UNVERIFIABLE, 0.5
    return VerifyReport(
        verdict=verdict,
        score=score,
        checks=tuple(evidence.checks),
        operations=operations,
        regions=report.regions,
        frames=report.frames,
        mask=report.mask,
    )


def _report(verdict: Verdict, score: float, evidence: _Evidence) -> VerifyReport:
    return VerifyReport(verdict=verdict, score=score, checks=tuple(evidence.checks))


def _finish(workspace: Workspace, match: Match | None, report: VerifyReport) -> VerifyReport:
    """Log the verification and add identifiers and receipt to the report."""
    record = match.record if match is not None else None
    receipt = workspace.record_event(
        EventKind.VERIFY,
        actor=workspace.owner,
        subject=record.commitment if record is not None else "",
        details={"verdict": str(report.verdict)},
    )
    release_id = record.release_id if isinstance(record, ReleaseRecord) else None
    return replace(
        report,
        image_id=record.image_id if record is not None else None,
        release_id=release_id,
        receipt=receipt,
    )
