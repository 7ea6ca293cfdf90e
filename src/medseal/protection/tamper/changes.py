"""What the tiles of a copy say: where each frame was changed, or that it was changed as a whole."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.protection.tamper.exact import Found
from medseal.protection.tamper.explanations import explanation
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.frames import UNKNOWN
from medseal.protection.tamper.locality import Pattern, pattern_of
from medseal.protection.tamper.report import FrameReport, Region, parts_of

__all__ = ["Changes", "changes_of"]

_EVIDENCE = "tile MACs"
# Frames named in one line of detail.
_MAX_NAMED = 8
# Share of the record's textured tiles that frames must have kept to prove that the others were
# altered, and not all of them processed.
_SOUND_SHARE = 0.01
# Changed frames of a series for which another explanation is sought.
_EXPLAINED_FRAMES = 3

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Changes:
    """The changed places of a copy.

    Attributes
    ----------
    is_local
        True if what is unchanged proves that the rest was edited; False if the copy may have been
        processed as a whole.
    mask
        (rows, columns) of the copy, True where it was changed in any frame: an estimate.
    proven
        (rows, columns) of the copy, True in the tiles that changed in any frame.
    frames
        One for each frame of a copy with several frames, or of such a record.
    detail
        One line.
    """

    is_local: bool
    mask: Flags
    proven: Flags
    frames: tuple[FrameReport, ...]
    detail: str

    def everywhere(self) -> "Changes":
        """Return the same with every place marked."""
        everything = np.ones_like(self.proven)
        return replace(self, mask=everything, proven=everything)

    def narrowed(self, places: Flags) -> "Changes":
        """Return the same with these places inside the tiles as the mask."""
        return replace(self, mask=places)


def _named(numbers: NDArray[np.intp]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_MAX_NAMED])
    return shown + (f" and {numbers.size - _MAX_NAMED} more" if numbers.size > _MAX_NAMED else "")


def _regions(record: Fingerprint, found: Found, frame: int) -> tuple[Region, ...]:
    """Return the changed rectangles of a frame, on the copy."""
    grid = record.grid
    regions = []
    for top, left, bottom, right in parts_of(found.differs[frame]):
        box = (
            top * grid.tile_rows,
            left * grid.tile_columns,
            min(bottom * grid.tile_rows, grid.rows),
            min(right * grid.tile_columns, grid.columns),
        )
        first, start, behind, stop = found.orientation.apply_box(
            box, rows=grid.rows, columns=grid.columns
        )
        regions.append(
            Region(
                row=first,
                column=start,
                height=behind - first,
                width=stop - start,
                score=1.0,
                evidence=_EVIDENCE,
                frame=frame,
            )
        )
    return tuple(sorted(regions, key=lambda region: -region.height * region.width))


def _patterns(found: Found, textured: Flags) -> list[Pattern]:
    return [
        "whole" if original == UNKNOWN else pattern_of(found.differs[frame], textured[original])
        for frame, original in enumerate(found.alignment.originals)
    ]


def _is_local(found: Found, patterns: list[Pattern], textured: Flags) -> bool:
    """Return whether what is unchanged proves an edit.

    A frame that is equal or changed in places shows that the copy was not processed as a whole;
    then others that are unlike their originals were replaced. Scattered changes in most of the
    changed frames are those of saving again with losses.
    """
    if len(patterns) == 1 and len(textured) == 1:
        return patterns[0] in ("equal", "local")
    kept = 0
    for frame, original in enumerate(found.alignment.originals):
        if patterns[frame] in ("equal", "local") and original != UNKNOWN:
            kept += int(np.count_nonzero(textured[original] & ~found.differs[frame]))
    total = int(np.count_nonzero(textured))
    if kept < _SOUND_SHARE * total or (total == 0 and found.differs.all()):
        return False
    changed = [pattern for pattern in patterns if pattern != "equal"]
    scattered = changed.count("scattered")
    return bool(found.alignment.operations) or 2 * scattered < max(len(changed), 1)


def _detail(found: Found, patterns: list[Pattern], *, is_local: bool) -> str:
    differs = found.differs
    words = f"{int(np.count_nonzero(differs))} of {differs.size} tiles differ"
    if len(differs) > 1:
        changed = np.flatnonzero(differs.any(axis=(1, 2)))
        words += f", in frames {_named(changed)} (counted from 0)" if changed.size else ""
    if is_local:
        words += f" in {sum(len(parts_of(frame)) for frame in differs)} places"
    words += f", {100 * found.untouched_share:.0f} % of the textured tiles are untouched"
    if is_local:
        return words
    if "scattered" in patterns:
        return f"{words}, scattered as by saving again with losses"
    return f"{words}: processed as a whole, another image, or edited nearly everywhere"


def _innocent(
    image: MedicalImage, found: Found, record: Fingerprint, patterns: list[Pattern]
) -> str:
    """Return what explains the changes of a few changed frames other than an edit, or nothing."""
    places = [frame for frame, pattern in enumerate(patterns) if pattern in ("local", "scattered")]
    if not places or found.alignment.operations:
        return ""
    few = np.unique(np.linspace(0, len(places) - 1, _EXPLAINED_FRAMES).astype(int))
    reasons = {explanation(image, found, record, frame=places[number]) for number in few}
    return reasons.pop() if len(reasons) == 1 else ""


def changes_of(image: MedicalImage, found: Found, record: Fingerprint) -> Changes:
    """Return where a copy was changed, by the tiles that differ.

    Parameters
    ----------
    image
        The copy.
    found
        It beside the record.
    record
        Authenticated.
    """
    textured = record.textured_tiles
    patterns = _patterns(found, textured)
    is_local = _is_local(found, patterns, textured)
    detail = _detail(found, patterns, is_local=is_local)
    reason = _innocent(image, found, record, patterns) if is_local else ""
    if reason:
        is_local, detail = False, f"{detail}, {reason}"
    frames = []
    if len(patterns) > 1 or record.frames > 1:
        frames = [
            FrameReport(
                frame=frame,
                original=None if original == UNKNOWN else original,
                outcome="authentic" if patterns[frame] == "equal" else "tampered",
                regions=_regions(record, found, frame),
            )
            for frame, original in enumerate(found.alignment.originals)
        ]
    proven = found.orientation.apply(record.grid.spread(np.asarray(found.differs.any(axis=0))))
    return Changes(
        is_local=is_local, mask=proven, proven=proven, frames=tuple(frames), detail=detail
    )
