"""Attack the released copies of a demo and hold each verdict against what is expected."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medseal.errors import InputError
from medseal.imaging import MedicalImage, display_values, read, write
from medseal.pipeline.demo_images import unsealed_picture
from medseal.pipeline.demo_record import Attacked, Released, Run
from medseal.pipeline.verify import VerifyReport, verify
from medseal.protection.attacks import distortions, forgeries

__all__ = ["Copy", "attack", "verify_copies"]

_JPEG_QUALITIES = (80, 50)
# Draws of which the one in the brightest tissue is taken: a forger does not edit air.
_DRAWS = 8
_SEED = 4711
_TEXT = "NO FINDINGS"
_MAX_ATTACKED_SIDE = 1024
_MIN_ATTACKED_SIDE = 96

Mask = NDArray[np.bool_]
Forgery = Callable[[MedicalImage, np.random.Generator], tuple[MedicalImage, Mask]]
Change = Callable[[MedicalImage], MedicalImage]

_SAME = ("authentic",)
_EQUAL = ("transcoded",)
_FORGED = ("tampered",)
# Exact means cannot judge a copy whose every value changed; a learned tier may call it processed.
_LOSSY = ("unverifiable", "processed")
_UNKNOWN = ("unverifiable",)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Copy:
    """An attacked copy before it is verified.

    Attributes
    ----------
    name, detail
        The attack in a word and in a line.
    released
        Of which release; None for a picture that was never sealed.
    file
        The copy.
    expected
        Verdicts that are right.
    changed
        (rows, columns), True where a forger changed a value; None where nobody forged.
    loses_metadata
        Whether the check of the metadata must fail.
    """

    name: str
    detail: str
    released: Released | None
    file: Path
    expected: tuple[str, ...]
    changed: Mask | None = None
    loses_metadata: bool = False


def attack(run: Run) -> tuple[str, list[Copy]]:
    """Make attacked copies of the releases; return a line about them and the copies.

    The first DICOM release and the first slice suffer everything, the others one forgery each.
    """
    run.folders.copies.mkdir()
    primary = [item for item in (_first(run, "dicom"), _first(run, "slice")) if item is not None]
    copies = [copy for item in primary for copy in _all_attacks(run, item)]
    rest = [item for item in run.copies if item not in primary]
    for number, item in enumerate(rest):
        names = list(_FORGERIES)
        copies += _forged(run, item, [names[number % len(names)]])
    original = run.of_kind("dicom")[:1]
    copies += [
        Copy(
            name="sealed original",
            detail="the file that was sealed, untouched",
            released=None,
            file=item.source.file,
            expected=_SAME,
        )
        for item in original
    ]
    stranger = run.folders.copies / "never-sealed.png"
    write(unsealed_picture(), stranger)
    copies.append(
        Copy(
            name="never sealed",
            detail="a picture of another source",
            released=None,
            file=stranger,
            expected=_UNKNOWN,
        )
    )
    return f"{len(copies)} copies of {len(run.copies)} releases", copies


def _first(run: Run, kind: str) -> Released | None:
    fitting = (
        item
        for item in run.copies
        if item.sealed.source.kind == kind and _can_be_attacked(read(item.file))
    )
    return next(fitting, None)


def _can_be_attacked(image: MedicalImage) -> bool:
    sides = (image.rows, image.columns)
    return (
        image.frames == 1 and min(sides) >= _MIN_ATTACKED_SIDE and max(sides) <= _MAX_ATTACKED_SIDE
    )


# --- The attacks ------------------------------------------------------------------------------


def _all_attacks(run: Run, item: Released) -> list[Copy]:
    return [
        *_kept(run, item),
        *_forged(run, item, list(_FORGERIES)),
        *_lossy(run, item),
    ]


def _path(run: Run, item: Released, name: str, suffix: str) -> Path:
    stem = item.outcome.release_id if item.outcome is not None else ""
    return run.folders.copies / f"{stem}-{name.replace(' ', '-')}{suffix}"


def _kept(run: Run, item: Released) -> Iterator[Copy]:
    """Yield copies that keep every stored value."""
    image = read(item.file)
    is_dicom = image.source_format == "dicom"
    same = _path(run, item, "unchanged", item.file.suffix)
    same.write_bytes(item.file.read_bytes())
    yield Copy(
        name="unchanged",
        detail="the bytes of the release",
        released=item,
        file=same,
        expected=_SAME,
    )
    suffix = ".png" if is_dicom and not image.is_signed else ".tiff"
    other = _path(run, item, "other container", suffix)
    write(image, other)
    yield Copy(
        name="other container",
        detail=f"{item.file.suffix[1:].upper()} saved as {suffix[1:].upper()} without loss",
        released=item,
        file=other,
        expected=_EQUAL,
    )
    turned = _path(run, item, "quarter turn", item.file.suffix)
    write(distortions.quarter_turn(image, turns=1), turned)
    yield Copy(
        name="quarter turn",
        detail="turned by 90 degrees",
        released=item,
        file=turned,
        expected=_EQUAL,
    )
    if is_dicom:
        bare = _path(run, item, "metadata stripped", item.file.suffix)
        write(_without_metadata(image), bare)
        yield Copy(
            name="metadata stripped",
            detail="a DICOM file with the stored values and nothing else",
            released=item,
            file=bare,
            expected=(*_SAME, *_EQUAL),
            loses_metadata=True,
        )


def _without_metadata(image: MedicalImage) -> MedicalImage:
    return MedicalImage(
        stored_values=image.stored_values,
        bits_stored=image.bits_stored,
        is_signed=image.is_signed,
        photometric_interpretation=image.photometric_interpretation,
        source_format="png",
        decoder=image.decoder,
    )


def _side(image: MedicalImage) -> int:
    return min(image.rows, image.columns)


_FORGERIES: dict[str, tuple[str, Forgery]] = {
    "lesion blended in": (
        "a round lesion with a soft edge, a quarter of the value range",
        lambda image, rng: forgeries.insert_lesion(image, rng, radius=_side(image) / 14),
    ),
    "finding removed": (
        "a disc filled in from its surroundings",
        lambda image, rng: forgeries.remove(image, rng, radius=_side(image) / 16),
    ),
    "copy-move": (
        "a patch copied over another place",
        lambda image, rng: forgeries.copy_move(
            image, rng, rows=_side(image) // 7, columns=_side(image) // 7
        ),
    ),
    "text burned in": (
        "a line of text in the brightest value",
        lambda image, rng: forgeries.burn_text(
            image, _TEXT, rng, height=max(_side(image) // 18, 8)
        ),
    ),
    "one value": (
        "one stored value raised by one level",
        lambda image, rng: forgeries.change_block(image, rng, size=1, steps=1),
    ),
}


def _forged(run: Run, item: Released, names: Sequence[str]) -> Iterator[Copy]:
    """Yield forgeries of a release, each in the brightest tissue of a few draws."""
    image = read(item.file)
    for name in names:
        detail, forge = _FORGERIES[name]
        try:
            forged, mask = _in_tissue(image, forge)
        except InputError as error:
            run.notes.append(f"{item.name}: '{name}' was left out: {error}.")
            continue
        file = _path(run, item, name, item.file.suffix)
        write(forged, file)
        yield Copy(
            name=name,
            detail=detail,
            released=item,
            file=file,
            expected=_FORGED,
            changed=mask,
        )


def _in_tissue(image: MedicalImage, forge: Forgery) -> tuple[MedicalImage, Mask]:
    """Return the forgery in the brightest place of a few draws.

    Raises
    ------
    InputError
        The image is too small or too flat for it.
    """
    shown = display_values(image).astype(np.float64)
    best = None
    brightest = -1.0
    for draw in range(_DRAWS):
        forged, mask = forge(image, np.random.default_rng([_SEED, draw]))
        here = float(shown[mask].mean())
        if best is None or here > brightest:
            best, brightest = (forged, mask), here
    if best is None:
        raise InputError("nothing was drawn")
    return best


def _lossy(run: Run, item: Released) -> Iterator[Copy]:
    """Yield copies that keep the picture and no stored value."""
    image = read(item.file)
    for quality in _JPEG_QUALITIES:
        jpeg = _path(run, item, f"jpeg {quality}", ".jpg")
        Image.fromarray(display_values(image)).save(jpeg, "JPEG", quality=quality)
        yield Copy(
            name=f"JPEG quality {quality}",
            detail="what a viewer shows, saved as JPEG; metadata gone",
            released=item,
            file=jpeg,
            expected=_LOSSY,
        )
    for name, (detail, change) in _CHANGES.items():
        changed = _path(run, item, name, ".tiff")
        write(change(image), changed)
        yield Copy(
            name=name,
            detail=f"{detail}; metadata gone",
            released=item,
            file=changed,
            expected=_LOSSY,
        )


def _without_margins(image: MedicalImage) -> MedicalImage:
    return distortions.crop(
        image,
        top=image.rows // 20,
        left=image.columns // 20,
        rows=image.rows * 9 // 10,
        columns=image.columns * 9 // 10,
    )


_CHANGES: dict[str, tuple[str, Change]] = {
    "cropped": ("a twentieth cut off at each edge", _without_margins),
    "cropped and enlarged": (
        "the middle four fifths of both sides, enlarged to the old size",
        lambda image: distortions.crop_resized(image, keep=0.8),
    ),
    "turned a little": (
        "turned by 5 degrees about the middle",
        lambda image: distortions.rotate(image, degrees=5),
    ),
    "blurred": (
        "a Gaussian filter of one pixel",
        lambda image: distortions.blur(image, sigma=1.0),
    ),
}


# --- Verification -----------------------------------------------------------------------------


def verify_copies(run: Run, copies: Sequence[Copy]) -> str:
    """Verify every copy and say in a line how many verdicts were as expected."""
    for copy in copies:
        with run.timed("verify"):
            report = verify(copy.file, workspace=run.workspace)
        run.attacked.append(_judged(run, copy, report))
    right = sum(item.held for item in run.attacked)
    forged = [item for item in run.attacked if item.is_forged]
    found = sum(item.covered is True for item in forged)
    lossy = [item for item in run.attacked if item.expected == _LOSSY]
    named = sum(item.named == "right" for item in lossy)
    return (
        f"{right} of {len(run.attacked)} verdicts as expected; "
        f"{found} of {len(forged)} forgeries located; "
        f"{named} of {len(lossy)} lossy copies traced to their release by the watermark"
    )


def _judged(run: Run, copy: Copy, report: VerifyReport) -> Attacked:
    wanted = None
    if copy.released is not None and copy.released.outcome is not None:
        wanted = copy.released.outcome.release_id
    named = "none" if report.release_id is None else "wrong"
    if report.release_id is not None and report.release_id == wanted:
        named = "right"
    covered = None if copy.changed is None else _covers(report, copy.changed)
    metadata = [check.outcome for check in report.checks if check.name == "metadata"]
    held = (
        str(report.verdict) in copy.expected
        and named != "wrong"
        and covered is not False
        and (not copy.loses_metadata or metadata == ["fail"])
    )
    subject = copy.released.name if copy.released is not None else copy.file.name
    run.expect(
        "verify",
        f"{copy.name}: {subject}",
        expected=" or ".join(copy.expected),
        found=str(report.verdict) if covered is not False else f"{report.verdict}, place missed",
        held=held,
    )
    return Attacked(
        name=copy.name,
        detail=copy.detail,
        released=copy.released,
        file=copy.file,
        expected=copy.expected,
        is_forged=copy.changed is not None,
        report=report,
        named=named,
        covered=covered,
        held=held,
    )


def _covers(report: VerifyReport, changed: Mask) -> bool:
    """Return whether every changed value lies in a found region."""
    missed = changed.copy()
    for region in report.regions:
        bottom, right = region.row + region.height, region.column + region.width
        missed[region.row : bottom, region.column : right] = False
    return not missed.any()
