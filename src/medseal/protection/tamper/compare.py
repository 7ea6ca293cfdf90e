"""Compare a copy with a fingerprint: equal, turned, changed in places, or changed as a whole."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.digest import Digest
from medseal.imaging import MedicalImage, values_digest
from medseal.imaging.image import StoredValues
from medseal.protection.tamper.fingerprint import Fingerprint
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.report import Outcome, TamperCheck, TamperReport, parts_of

__all__ = ["MODEL_ID", "check"]

MODEL_ID = "exact-tiers-v1"

# Share of the textured tiles that must be untouched before the others count as the edit. Below,
# a copy processed as a whole cannot be told from a large edit by exact means.
_LOCAL_SHARE = 0.5
# So many separate changed places are still few, whatever their arrangement.
_FEW_CLUSTERS = 16
# Neighbouring tiles of which one is changed, relative to a random arrangement: 1 for scattered
# changes as noise and re-encoding leave them, towards 0 for solid areas.
_SOLID_RATIO = 0.6
# Frames and orientations named in one line of detail.
_MAX_NAMED = 8

_UNDECIDED_SCORE = 0.5
# Chance that an altered tile keeps its 16-bit MAC.
_CHANCE = 2.0**-16

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Comparison:
    """A copy in one orientation against the record.

    Attributes
    ----------
    orientation
        In which the copy was read.
    equal
        True if every value is equal.
    differs
        (frames, down, across), tiles that differ; in the original's orientation.
    untouched_share
        Share of the original's textured tiles that are equal; of all, where none is textured.
    """

    orientation: Orientation
    equal: bool
    differs: Flags
    untouched_share: float


def _report(
    image: MedicalImage,
    outcome: Outcome,
    score: float,
    checks: list[TamperCheck],
    *,
    mask: Flags | None = None,
    operations: tuple[str, ...] = (),
) -> TamperReport:
    return TamperReport(
        outcome=outcome,
        score=score,
        mask=mask if mask is not None else np.zeros((image.rows, image.columns), np.bool_),
        operations=operations,
        model_id=MODEL_ID,
        checks=tuple(checks),
    )


def _operations(*names: str) -> tuple[str, ...]:
    return tuple(name for name in names if name)


def check(
    image: MedicalImage,
    fingerprint: Fingerprint | None,
    key: bytes | None,
    *,
    signer: bytes | None = None,
) -> TamperReport:
    """Say whether a copy is the image that was fingerprinted, and where it is not.

    1. Authenticate the record. 2. Compare the digest of the stored values. 3. Bring the copy into
    the record's type and geometry. 4. Compare keyed tile MACs in all orientations. 5. Decide.

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

    Returns
    -------
    TamperReport
        ``unverifiable`` without a record.

    Raises
    ------
    FingerprintError
        The record is damaged, was made with another key or signed by another signer.
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
        return _equal(image, fingerprint, ORIENTATIONS[0], checks)
    checks.append(("values", "fail", "the digest of the stored values differs"))
    if key is None:
        return _without_key(image, fingerprint, checks)
    # 3.
    adapted = _adapted(image, fingerprint)
    # 4.
    best = None if adapted is None else _best(*adapted, fingerprint, key)
    # 5.
    if best is None:
        detail = (
            f"geometry differs: {image.frames} frames of {image.rows} x {image.columns} x "
            f"{image.samples}, the original has {fingerprint.frames} of "
            f"{fingerprint.rows} x {fingerprint.columns} x {fingerprint.samples}"
        )
        checks.append(("tiles", "unknown", detail))
        return _report(image, "unverifiable", _UNDECIDED_SCORE, checks)
    if best.equal:
        checks.append(("tiles", "pass", "the digest is equal once the copy is brought back"))
        return _equal(image, fingerprint, best.orientation, checks)
    return _decide(image, fingerprint, best, checks)


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
    for orientation in ORIENTATIONS[1:]:
        turned = image.with_stored_values(orientation.undo(image.stored_values).copy())
        if values_digest(turned) == record.values:
            return _equal(image, record, orientation, checks)
    checks.append(("tiles", "unknown", "without the key a change cannot be located"))
    return _report(image, "unverifiable", _UNDECIDED_SCORE, checks)


def _same_samples(values: StoredValues, samples: int) -> StoredValues | None:
    """Return the values with the samples of the original, if the others add nothing."""
    present = values.shape[3]
    if present == samples:
        return values
    if present == samples + 1 and samples in (1, 3):
        opaque = values[..., -1]
        # An alpha channel that is the same everywhere shows the image as it is.
        return values[..., :samples] if (opaque == opaque.flat[0]).all() else None
    grey = samples == 1 and present in (3, 4)
    if (
        grey
        and (values[..., 0] == values[..., 1]).all()
        and (values[..., 0] == values[..., 2]).all()
    ):
        return values[..., :1]
    return None


def _adapted(image: MedicalImage, record: Fingerprint) -> tuple[StoredValues, Flags] | None:
    """Return the copy's values in the record's type, and the places that this type cannot hold."""
    values = _same_samples(image.stored_values, record.samples)
    if values is None or image.frames != record.frames:
        return None
    if values.dtype == record.dtype:
        return values, np.zeros(values.shape[:3], np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        converted = values.astype(record.dtype)
    unequal = converted != values
    if values.dtype.kind == converted.dtype.kind == "f":
        unequal &= ~(np.isnan(values) & np.isnan(converted))
    return converted, unequal.any(axis=3)


def _fits(values: StoredValues, orientation: Orientation, record: Fingerprint) -> bool:
    shape = values.shape[1:3]
    wanted = (record.rows, record.columns)
    return (shape[::-1] if orientation.swaps_sides else shape) == wanted


def _compare(
    values: StoredValues,
    foreign: Flags,
    orientation: Orientation,
    record: Fingerprint,
    key: bytes,
) -> _Comparison:
    upright = orientation.undo(values)
    differs = record.macs_of(upright, key) != record.tile_macs
    if foreign.any():
        upright_foreign = orientation.undo(foreign[..., None])[..., 0]
        differs = differs | np.stack([record.grid.any_in_tile(place) for place in upright_foreign])
    textured = record.textured_tiles
    basis = textured if textured.any() else np.ones_like(textured)
    return _Comparison(
        orientation=orientation,
        # Equal MACs are strong evidence; the digest is what decides.
        equal=not differs.any() and _digest_of(upright, record) == record.values,
        differs=differs,
        untouched_share=float(np.count_nonzero(basis & ~differs) / np.count_nonzero(basis)),
    )


def _digest_of(upright: StoredValues, record: Fingerprint) -> Digest:
    """Return the digest of values that lie as in the original."""
    return values_digest(
        MedicalImage(
            stored_values=upright.copy(),
            bits_stored=record.cell_bytes * 8,
            is_signed=record.kind != "u",
            photometric_interpretation=record.photometric_interpretation,
            source_format="png",
            decoder="orientation undone",
        )
    )


def _best(
    values: StoredValues, foreign: Flags, record: Fingerprint, key: bytes
) -> _Comparison | None:
    """Return the comparison in the orientation with the most in common, None if none fits.

    A mirrored copy of a nearly symmetric image has much in common unmirrored too, so that only
    equality ends the search early.
    """
    best: _Comparison | None = None
    for orientation in ORIENTATIONS:
        if not _fits(values, orientation, record):
            continue
        here = _compare(values, foreign, orientation, record, key)
        if best is None or here.equal or here.untouched_share > best.untouched_share:
            best = here
        if best.equal:
            break
    return best


def _equal(
    image: MedicalImage,
    record: Fingerprint,
    orientation: Orientation,
    checks: list[TamperCheck],
) -> TamperReport:
    """Report equal values: as they were, turned, or declared to mean something else."""
    if orientation.name:
        checks.append(("orientation", "pass", f"the copy is {orientation.name}"))
    samples = "" if image.samples == record.samples else "samples added"
    before, after = record.photometric_interpretation, image.photometric_interpretation
    meaning = f"{before} declared as {after}" if before != after and not samples else ""
    outcome: Outcome = "transcoded" if orientation.name or samples else "authentic"
    if meaning and image.source_format == "dicom":
        # Equal values, yet a viewer shows something else: black for white, other colours.
        checks.append(("meaning", "fail", f"photometric interpretation: {meaning}"))
        outcome = "processed"
    elif meaning:
        detail = f"{image.source_format} does not state {before}: a viewer may show it inverted"
        checks.append(("meaning", "unknown", detail))
        outcome, meaning = "transcoded", ""
    return _report(
        image, outcome, 0.0, checks, operations=_operations(orientation.name, samples, meaning)
    )


def _clusters(differs: Flags) -> int:
    return sum(len(parts_of(frame)) for frame in differs)


def _solid_ratio(differs: Flags) -> float:
    """Return how often neighbours are unlike, relative to a random arrangement of the same tiles.

    The join-count statistic: a random arrangement with a share p of changed tiles has unlike
    neighbours in a share 2 p (1 - p) of all pairs.
    """
    unlike = sum(int(np.count_nonzero(np.diff(differs, axis=axis))) for axis in (1, 2))
    frames, down, across = differs.shape
    pairs = frames * ((down - 1) * across + down * (across - 1))
    share = float(differs.mean())
    expected = 2 * share * (1 - share) * pairs
    return unlike / expected if expected else 0.0


def _named(numbers: NDArray[np.intp]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_MAX_NAMED])
    return shown + (f" and {numbers.size - _MAX_NAMED} more" if numbers.size > _MAX_NAMED else "")


def _where(differs: Flags) -> str:
    count = int(np.count_nonzero(differs))
    detail = f"{count} of {differs.size} tiles differ"
    if differs.shape[0] > 1:
        changed = np.flatnonzero(differs.any(axis=(1, 2)))
        detail += f", in frames {_named(changed)} (counted from 0)"
    return detail


def _mask(record: Fingerprint, found: _Comparison) -> Flags:
    upright = record.grid.spread(np.asarray(found.differs.any(axis=0)))
    return found.orientation.apply(upright)


def _decide(
    image: MedicalImage, record: Fingerprint, found: _Comparison, checks: list[TamperCheck]
) -> TamperReport:
    """Tell a change in places from a change of the whole by the tiles that did not change.

    A tile of air is constant before and after most processing, so it proves nothing; a textured
    tile that kept every value shows that the copy was not processed as a whole.
    """
    differs = found.differs
    names = _operations(found.orientation.name)
    if not differs.any():
        detail = f"no tile shows where; each hides a change with a chance of {_CHANCE:.1e}"
        checks.append(("tiles", "fail", f"some value differs, but {detail}"))
        everywhere = np.ones((image.rows, image.columns), np.bool_)
        return _report(image, "tampered", 1.0, checks, mask=everywhere, operations=names)
    where = _where(differs)
    share = f"{100 * found.untouched_share:.0f} % of the textured tiles are untouched"
    if found.untouched_share < _LOCAL_SHARE:
        reason = "re-encoded or processed as a whole, another image, or edited nearly everywhere"
        checks.append(("tiles", "unknown", f"{where}, {share}: {reason}"))
        return _report(image, "unverifiable", _UNDECIDED_SCORE, checks)
    clusters = _clusters(differs)
    if clusters > _FEW_CLUSTERS and _solid_ratio(differs) > _SOLID_RATIO and _is_lossy(image):
        reason = "scattered as by saving again with losses; small edits may hide among them"
        checks.append(("tiles", "unknown", f"{where}, {share}, {reason}"))
        return _report(image, "unverifiable", _UNDECIDED_SCORE, checks)
    if found.orientation.name:
        checks.append(("orientation", "pass", f"the copy is {found.orientation.name}"))
    checks.append(("tiles", "fail", f"{where} in {clusters} places, {share}"))
    mask = _mask(record, found)
    return _report(image, "tampered", 1.0, checks, mask=mask, operations=names)


def _is_lossy(image: MedicalImage) -> bool:
    """Return whether the copy itself says that it was saved with losses."""
    declared = str(image.attributes.get("LossyImageCompression", ""))
    return image.source_format == "jpeg" or declared == "01"
