"""The outcome for a copy that was processed as a whole, from what its frames show."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.mark import MarkEvidence
from medseal.protection.tamper.processed import Finding, findings
from medseal.protection.tamper.reference.alignment import Unreadable
from medseal.protection.tamper.report import (
    FrameReport,
    Outcome,
    Region,
    TamperCheck,
    TamperReport,
    regions_of,
)

__all__ = ["EVIDENCE", "processed_report"]

EVIDENCE = "fingerprint"
"""Evidence of a region that the learned fingerprint shows."""

_UNDECIDED_SCORE = 0.5
_MOST_LOGIT = 30.0
# Of the surest place, for a mask where none is sure by itself.
_OF_SUREST = 0.5
_MOST_NAMED = 4
# What a mark says of the suspected places is added with this weight, up to this much evidence:
# fitted to marked copies of calibration patients (benchmarks.tamper_mark). Less than one, since
# cells are not independent and a forgery may leave the mark.
_MARK_WEIGHT, _MOST_MARK = 0.1, 4.0

Flags = NDArray[np.bool_]


def _chance(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -_MOST_LOGIT, _MOST_LOGIT))))


def _shown(found: Finding) -> Flags:
    """Return the mask of a forged frame; where no place is sure by itself, the surest ones."""
    if found.mask.any():
        return found.mask
    surest = float(found.score_map.max())
    if surest <= 0:
        return np.ones_like(found.mask)
    return np.asarray(found.score_map >= _OF_SUREST * surest)


def _frames(found: Sequence[Finding | Unreadable]) -> tuple[FrameReport, ...]:
    """Return one report for each frame of a copy with several."""
    if len(found) == 1:
        return ()
    reports = []
    for number, one in enumerate(found):
        outcome: Outcome = "unverifiable"
        regions: tuple[Region, ...] = ()
        if isinstance(one, Finding):
            outcome = "tampered" if one.logit > 0 else "processed"
        if isinstance(one, Finding) and one.logit > 0:
            regions = regions_of(
                _shown(one),
                score=_chance(one.logit),
                scores=one.score_map,
                evidence=EVIDENCE,
                frame=number,
            )
        reports.append(FrameReport(frame=number, original=number, outcome=outcome, regions=regions))
    return tuple(reports)


def _named(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_NAMED]))
    rest = len(numbers) - _MOST_NAMED
    return shown + (f" and {rest} more" if rest > 0 else "")


def _mark_check(mark: MarkEvidence | None) -> list[TamperCheck]:
    if mark is None:
        return []
    share = f"{100 * mark.heard_share:.0f} %"
    return [("mark", "unknown", f"the watermark is heard in {share} of its cells")]


def processed_report(
    image: MedicalImage,
    fingerprint: Fingerprint,
    key: bytes,
    *,
    mark: MarkEvidence | None,
    checks: Sequence[TamperCheck],
    operations: tuple[str, ...],
) -> TamperReport:
    """Return the outcome for a copy that exact evidence does not decide.

    Parameters
    ----------
    image
        The copy.
    fingerprint, key
        The record, authenticated, and its key.
    mark
        Where a watermark is heard in the copy, if one was read. The record has to be that of the
        marked image. A forgery is likelier where the mark is missing, less so where it is heard.
    checks
        Made so far.
    operations
        Seen so far.

    Raises
    ------
    FingerprintError
        The robust part does not fit the geometry.
    WeightsError
        The networks are missing or damaged.
    """
    made = [*checks, *_mark_check(mark)]
    found = findings(image, fingerprint, key)
    # What is heard comes from one frame: of several, nobody knows here which.
    if mark is not None and not isinstance(found, Unreadable) and len(found) == 1:
        found = tuple(_with_mark(one, mark) for one in found)
    if isinstance(found, Unreadable):
        return _undecided(image, [*made, ("fingerprint", "unknown", found.reason)], operations)
    read = [one for one in found if isinstance(one, Finding)]
    unread = [number for number, one in enumerate(found) if isinstance(one, Unreadable)]
    forged = [number for number, one in enumerate(found) if _is_forged(one)]
    if unread:
        reason = next(one.reason for one in found if isinstance(one, Unreadable))
        where = f" in frames {_named(unread)}" if len(found) > 1 else ""
        made.append(("fingerprint", "unknown", f"{reason}{where}"))
        if not forged:
            return _undecided(image, made, operations)
    if len({one.orientation for one in read}) > 1 and not forged:
        detail = "frames lie on their originals in different orientations: exchanged or replaced"
        made.append(("frames", "unknown", detail))
        return _undecided(image, made, operations)
    worst = max(read, key=lambda one: one.logit)
    score = _chance(worst.logit)
    where = f" in frames {_named(forged)}" if len(found) > 1 else ""
    if forged:
        detail = f"differs beyond what processing explains{where} (score {score:.3f})"
        made.append(("fingerprint", "fail", detail))
    else:
        detail = f"nothing but processing is seen (score {score:.3f}); small edits may be lost"
        made.append(("fingerprint", "pass", detail))
    done = (*operations, *(name for name in worst.operations if name not in operations))
    return TamperReport(
        outcome="tampered" if forged else "processed",
        score=score,
        mask=_joined(image, read) if forged else _nowhere(image),
        operations=done,
        model_id=worst.model_id,
        checks=tuple(made),
        scores=np.max([one.score_map for one in read], axis=0),
        evidence=EVIDENCE,
        frames=_frames(found),
    )


def _with_mark(found: Finding | Unreadable, mark: MarkEvidence) -> Finding | Unreadable:
    """Return what was found of a marked frame, and what its mark says of the suspected places."""
    if isinstance(found, Unreadable):
        return found
    absence = np.clip(mark.absence(found.score_map), -_MOST_MARK, _MOST_MARK)
    return replace(found, logit=found.logit + _MARK_WEIGHT * float(absence))


def _is_forged(found: Finding | Unreadable) -> bool:
    return isinstance(found, Finding) and found.logit > 0


def _nowhere(image: MedicalImage) -> Flags:
    return np.zeros((image.rows, image.columns), np.bool_)


def _joined(image: MedicalImage, read: Sequence[Finding]) -> Flags:
    mask = _nowhere(image)
    for one in read:
        if one.logit > 0:
            mask |= _shown(one)
    return mask


def _undecided(
    image: MedicalImage, checks: Sequence[TamperCheck], operations: tuple[str, ...]
) -> TamperReport:
    return TamperReport(
        outcome="unverifiable",
        score=_UNDECIDED_SCORE,
        mask=_nowhere(image),
        operations=operations,
        model_id="",
        checks=tuple(checks),
    )
