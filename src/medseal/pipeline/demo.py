"""The whole way on real images: seal, release, attack, verify, open, classify, prove, report.

Every step uses the library as any other caller does and says what it expects; the report shows
what happened.
"""

import os
import secrets
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from medseal.errors import ConfigurationError, InputError, MedsealError, StorageError
from medseal.imaging import MedicalImage, read
from medseal.imaging.files import write_file
from medseal.pipeline.demo_access import RECIPIENT, use_access_rules
from medseal.pipeline.demo_attacks import Copy, attack, verify_copies
from medseal.pipeline.demo_images import gather
from medseal.pipeline.demo_proofs import keep_checkpoint, prove
from medseal.pipeline.demo_record import Folders, Released, Run, Sealed, Source
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.report import render, summary_strip
from medseal.pipeline.seal import SealOutcome, seal
from medseal.pipeline.workspace import Workspace
from medseal.protection.watermark import DEFAULT_PSNR_DB

__all__ = ["STEPS", "DemoStep", "Folders", "demo"]

STEPS = (
    "gather",
    "seal",
    "release",
    "attack",
    "verify",
    "access",
    "classify",
    "prove",
    "report",
)
MAX_RELEASED_OF_KIND = 3
# Images that may refuse a release before the demo stops trying.
_MAX_REFUSED = 3
_MIN_RELEASED_SIDE = 64
_PASSPHRASE_BYTES = 18
_LEARNED_PARTS = ("torch",)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStep:
    """A finished step.

    Attributes
    ----------
    name
        One of `STEPS`.
    detail
        One line about what happened.
    seconds
        How long it took.
    held
        Whether everything was as expected.
    """

    name: str
    detail: str
    seconds: float
    held: bool


def demo(output: Path, *, data: Path | None = None) -> Iterator[DemoStep]:
    """Run the demo and yield each step once it is done; the last one has written the report.

    Parameters
    ----------
    output
        Folder to write, with a workspace of its own; one that another demo has written is
        replaced.
    data
        Folder of images; None for the files inside pydicom and generated images.

    Raises
    ------
    ConfigurationError
        The output is something else than a demo's folder, the data folder holds no image, or the
        learned parts are not installed.
    StorageError
        The output cannot be written.
    """
    missing = [name for name in _LEARNED_PARTS if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"the demo needs {', '.join(missing)}; run: pip install 'medseal[learn]'"
        )
    folders = Folders(output=output)
    _prepare(folders)
    run = Run(folders=folders, data=data, started=datetime.now(UTC))
    copies: list[Copy] = []

    def attack_releases() -> str:
        detail, made = attack(run)
        copies.extend(made)
        return detail

    actions: dict[str, Callable[[], str]] = {
        "gather": lambda: gather(run),
        "seal": lambda: _seal(run),
        "release": lambda: _release(run),
        "attack": attack_releases,
        "verify": lambda: verify_copies(run, copies),
        "access": lambda: use_access_rules(run),
        "classify": lambda: _classify(run),
        "prove": lambda: prove(run),
        "report": lambda: _report(run),
    }
    try:
        for name in STEPS:
            yield _done(run, name, actions[name])
    finally:
        run.close()


def _done(run: Run, name: str, action: Callable[[], str]) -> DemoStep:
    """Do a step and note how it went.

    A step that fails between sealing and the report is an expectation that did not hold, and the
    others go on without it.
    """
    start = time.perf_counter()
    try:
        detail = action()
    except MedsealError as error:
        if name in ("gather", "seal", "report"):
            raise
        detail = f"{type(error).__name__}: {error}"
        run.expect(name, "the step runs to its end", expected="done", found=detail, held=False)
    seconds = time.perf_counter() - start
    run.steps.append((name, detail, seconds))
    held = all(item.held for item in run.expectations if item.step == name)
    return DemoStep(name=name, detail=detail, seconds=seconds, held=held)


# --- The folder -------------------------------------------------------------------------------


def _prepare(folders: Folders) -> None:
    """Make the output folder, or empty the one that another demo has made.

    Only what a demo writes is removed, so that a file that somebody put there survives.
    """
    output = folders.output
    try:
        if output.exists() and not folders.marker.is_file() and _holds_something(output):
            raise ConfigurationError(
                f"{output} was not made by the demo; choose another folder with --output"
            )
        output.mkdir(parents=True, exist_ok=True)
        folders.marker.touch()
        for path in folders.made:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        raise StorageError(f"{output}: {reason}; choose another folder with --output") from error


def _holds_something(path: Path) -> bool:
    return not path.is_dir() or any(path.iterdir())


def _passphrase(folders: Folders) -> str:
    """Make a passphrase and keep it where its owner alone can read it."""
    passphrase = secrets.token_urlsafe(_PASSPHRASE_BYTES)
    descriptor = os.open(folders.passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{passphrase}\n")
    return passphrase


# --- Sealing ----------------------------------------------------------------------------------


def _seal(run: Run) -> str:
    """Make the workspace, seal every source, and the first one again."""
    run.workspace = Workspace.create(run.folders.workspace, _passphrase(run.folders))
    start = time.perf_counter()
    outcomes = list(seal(run.workspace, [source.file for source in run.sources]))
    run.timings["seal"] += [(time.perf_counter() - start) / len(outcomes)] * len(outcomes)
    for source, outcome in zip(run.sources, outcomes, strict=True):
        run.sealed.append(_sealed(source, outcome))
        _expect_outcome(run, run.sealed[-1])
    again = next(item for item in run.sealed if item.image_id is not None)
    [outcome] = seal(run.workspace, [again.source.file])
    run.expect(
        "seal",
        f"{again.source.name}, a second time",
        expected="already-sealed",
        found=outcome.status,
        held=outcome.status == "already-sealed" and outcome.image_id == again.image_id,
    )
    keep_checkpoint(run)
    counts = Counter(item.status for item in run.sealed)
    refused = f"{counts['failed']} refused with one line each"
    return f"{counts['sealed']} sealed, {refused}; one given again is {outcome.status}"


def _sealed(source: Source, outcome: SealOutcome) -> Sealed:
    error = outcome.error
    if error is not None:
        # The folder is nobody's business in a report that is passed on.
        error = error.replace(str(source.file), source.file.name)
    return Sealed(
        source=source,
        status=outcome.status,
        image_id=outcome.image_id,
        description=_description(read(source.file)) if outcome.image_id else "-",
        error=error,
    )


def _description(image: MedicalImage) -> str:
    frames = f"{image.frames} x " if image.frames > 1 else ""
    colour = ", colour" if image.samples > 1 else ""
    kind = image.modality or image.source_format.upper()
    return f"{kind} {frames}{image.rows} x {image.columns}, {image.bits_stored} bits{colour}"


def _expect_outcome(run: Run, item: Sealed) -> None:
    """Expect of a damaged file one line, of any other that it is sealed, or known already."""
    damaged = item.source.kind == "damaged"
    expected = "failed" if damaged else "sealed"
    is_clear = item.error is None or (item.error != "" and "\n" not in item.error)
    fits = item.status == "failed" if damaged else item.status in ("sealed", "already-sealed")
    if item.source.kind in ("slice", "dicom") and item.status == "failed" and run.data is not None:
        # Whatever lies in a given folder may be unreadable; then one line has to say so.
        expected, fits = "sealed or failed", True
    run.expect(
        "seal", item.source.name, expected=expected, found=item.status, held=fits and is_clear
    )


# --- Releasing --------------------------------------------------------------------------------


def _release(run: Run) -> str:
    """Release DICOM files of different kinds, and slices as PNG."""
    run.folders.releases.mkdir()
    made = [_release_some(run, kind) for kind in ("dicom", "slice")]
    if run.data is None:
        # What lies in a given folder may be too small, too flat or not fit to be de-identified.
        run.expect(
            "release",
            "copies of DICOM files and of slices",
            expected=f"{MAX_RELEASED_OF_KIND} and {MAX_RELEASED_OF_KIND}",
            found=f"{made[0]} and {made[1]}",
            held=made == [MAX_RELEASED_OF_KIND] * 2,
        )
    values = [item.outcome.psnr_db for item in run.released if item.outcome is not None]
    least = f", PSNR {min(values):.1f} dB or better" if values else ""
    return f"{len(values)} watermarked copies for '{RECIPIENT}'{least}"


def _release_some(run: Run, kind: str) -> int:
    made = refused = 0
    candidates = [item for item in run.sealed if item.source.kind == kind]
    for item in _by_variety([one for one in candidates if one.status == "sealed"]):
        if made == MAX_RELEASED_OF_KIND or refused == _MAX_REFUSED:
            break
        if not _is_worth_releasing(item):
            continue
        done = _release_one(run, item)
        run.released.append(done)
        made += done.outcome is not None
        refused += done.outcome is None
    return made


def _by_variety(items: list[Sealed]) -> list[Sealed]:
    """Return the first image of each kind or label, then the others."""
    seen: set[str] = set()
    first: list[Sealed] = []
    others: list[Sealed] = []
    for item in items:
        key = item.source.label or item.description.split()[0]
        (others if key in seen else first).append(item)
        seen.add(key)
    return [*first, *others]


def _is_worth_releasing(item: Sealed) -> bool:
    """Return whether a picture shows something: grey, one frame, large enough for a mark."""
    image = read(item.source.file)
    is_photo_like = image.bits_stored > 1 and image.frames == 1
    is_grey = item.source.kind == "slice" or image.photometric_interpretation == "MONOCHROME2"
    return is_photo_like and is_grey and min(image.rows, image.columns) >= _MIN_RELEASED_SIDE


def _release_one(run: Run, item: Sealed) -> Released:
    suffix = ".png" if item.source.kind == "slice" else ".dcm"
    output = run.folders.releases / f"{len(run.released) + 1:02}{suffix}"
    request = ReleaseRequest(image_id=item.image_id or "", to=RECIPIENT)
    try:
        with run.timed("release"):
            outcome = release(run.workspace, request, output)
    except InputError as error:
        return Released(sealed=item, outcome=None, error=f"{type(error).__name__}: {error}")
    run.expect(
        "release",
        f"{item.source.name}: no identifier remains, and the mark stays within its limit",
        expected=f"0 identifiers, {DEFAULT_PSNR_DB:.0f} dB or more",
        found=f"{len(outcome.deidentification.remaining)} identifiers, {outcome.psnr_db:.1f} dB",
        held=not outcome.deidentification.remaining and outcome.psnr_db >= DEFAULT_PSNR_DB,
    )
    return Released(sealed=item, outcome=outcome)


def _classify(run: Run) -> str:
    # Imported here, because it loads torch and nothing before it does.
    from medseal.pipeline.demo_classify import classify_slices  # noqa: PLC0415

    return classify_slices(run)


def _report(run: Run) -> str:
    """Write the report and the strip of pictures."""
    write_file(summary_strip(run), run.folders.picture)
    write_file(render(run).encode(), run.folders.report)
    held = sum(item.held for item in run.expectations)
    return f"{held} of {len(run.expectations)} expectations held"
