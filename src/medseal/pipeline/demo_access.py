"""Who may open what in a demo: refusals, grants, break-glass, erasure."""

import time
from collections.abc import Callable
from pathlib import Path

from medseal.digest import Digest
from medseal.errors import AccessRefusedError, UnknownImageError
from medseal.imaging import read, values_digest
from medseal.imaging.files import read_file
from medseal.ledger import now_ms
from medseal.pipeline.access import GrantRequest, break_glass, grant, revoke
from medseal.pipeline.demo_record import Decision, Released, Run, Sealed
from medseal.pipeline.erase import erase
from medseal.pipeline.identify import image_id_of
from medseal.pipeline.ledger import log_key_file, verify_receipt_file
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.restore import open_release_file

__all__ = ["RECIPIENT", "use_access_rules"]

# Whom the copies are for; made up.
RECIPIENT = "Dr. Demo"
_STRANGER = "Dr. Stranger"
_RESEARCHER = "Dr. Research"
_HOUR_MS = 60 * 60 * 1000
_SHORT_MS = 200
_REASON = "unconscious in the emergency room"
_PURPOSE = "trial 12"


def use_access_rules(run: Run) -> str:
    """Try every kind of access, open every image bit for bit, erase one."""
    run.folders.opened.mkdir()
    _one_image(run, _openable(run))
    if run.copies:
        _behind_a_release(run)
    _every_image(run)
    for item in run.of_kind("to-erase"):
        _erased(run, item)
    right = sum(decision.held for decision in run.decisions)
    refused = sum(decision.found.startswith("refused") for decision in run.decisions)
    return (
        f"{right} of {len(run.decisions)} decisions as expected, {refused} of them refusals; "
        f"{len(run.timings['open'])} times an original was opened and its SHA-256 compared"
    )


def _openable(run: Run) -> Sealed:
    return [*run.of_kind("slice"), *run.of_kind("dicom"), *run.of_kind("to-erase")][0]


def _decide(run: Run, who: str, what: str, expected: str, attempt: Callable[[], str]) -> None:
    """Note how an attempt ended: its own word, or the reason of its refusal."""
    try:
        found = attempt()
    except AccessRefusedError as error:
        found = f"refused ({error.reason})"
    except UnknownImageError:
        found = "gone"
    held = run.expect(
        "access", f"{who}: {what}", expected=expected, found=found, held=found == expected
    )
    run.decisions.append(Decision(who=who, what=what, expected=expected, found=found, held=held))


def _open(run: Run, item: Sealed, name: str, *, purpose: str | None = None) -> str:
    """Open an image for somebody, compare its digest with the sealed file, delete it again."""
    output = run.folders.opened / f"{item.image_id}{item.source.file.suffix}"
    with run.timed("open"):
        open_image(run.workspace, item.image_id or "", output, name=name, purpose=purpose)
    return _compared(output, item.source.file)


def _compared(output: Path, original: Path) -> str:
    same = Digest.plain(read_file(output)) == Digest.plain(read_file(original))
    output.unlink()
    return "opened, SHA-256 equal" if same else "opened, SHA-256 differs"


def _one_image(run: Run, item: Sealed) -> None:
    """Refuse, grant, expire, revoke and break the glass for one image."""
    workspace = run.workspace
    image_id = item.image_id or ""

    def give(
        name: str, until_ms: int, *, purpose: str | None = None, role: str | None = None
    ) -> None:
        request = GrantRequest(
            name=name,
            image_id=image_id,
            action="view",
            purpose=purpose,
            until_ms=until_ms,
            role=role,
        )
        grant(workspace, request)

    opened = "opened, SHA-256 equal"
    _decide(
        run,
        _STRANGER,
        "opens without a grant",
        "refused (no-grant)",
        lambda: _open(run, item, _STRANGER),
    )
    give(RECIPIENT, now_ms() + _HOUR_MS)
    _decide(run, RECIPIENT, "opens with a grant", opened, lambda: _open(run, item, RECIPIENT))
    give(RECIPIENT, now_ms() + _SHORT_MS)
    time.sleep(_SHORT_MS / 1000)
    _decide(
        run,
        RECIPIENT,
        "opens after the grant has expired",
        "refused (expired)",
        lambda: _open(run, item, RECIPIENT),
    )
    give(_RESEARCHER, now_ms() + _HOUR_MS, purpose=_PURPOSE, role="researcher")
    _decide(
        run,
        _RESEARCHER,
        "opens for another purpose than granted",
        "refused (purpose)",
        lambda: _open(run, item, _RESEARCHER, purpose="curiosity"),
    )
    _decide(
        run,
        _RESEARCHER,
        "opens for the purpose of the grant",
        opened,
        lambda: _open(run, item, _RESEARCHER, purpose=_PURPOSE),
    )
    give(RECIPIENT, now_ms() + _HOUR_MS)
    revoke(workspace, RECIPIENT, image_id, "view")
    _decide(
        run,
        RECIPIENT,
        "opens after the grant was revoked",
        "refused (revoked)",
        lambda: _open(run, item, RECIPIENT),
    )
    _decide(
        run,
        _RESEARCHER,
        "breaks the glass, being no clinician",
        "refused (not-clinical)",
        lambda: str(break_glass(workspace, _RESEARCHER, image_id, reason=_REASON)),
    )
    break_glass(workspace, RECIPIENT, image_id, reason=_REASON)
    _decide(
        run,
        RECIPIENT,
        "opens after breaking the glass with a reason",
        opened,
        lambda: _open(run, item, RECIPIENT),
    )


def _behind_a_release(run: Run) -> None:
    """Open the original behind a released file."""
    released = run.copies[0]

    def attempt() -> str:
        image_id = image_id_of(run.workspace, str(released.file))
        output = run.folders.opened / f"behind{released.sealed.source.file.suffix}"
        open_image(run.workspace, image_id, output)
        return _compared(output, released.sealed.source.file)

    _decide(
        run, "owner", "opens the original behind a released file", "opened, SHA-256 equal", attempt
    )
    carrier = next((item for item in run.copies if _carries_what_unmarks(item)), None)
    if carrier is not None:
        _unmarked(run, carrier)


def _carries_what_unmarks(item: Released) -> bool:
    """Return whether the file leads to the very stored values: of a palette, to its colours."""
    if item.outcome is None or not item.outcome.side_information_bytes:
        return False
    return not read(item.sealed.source.file).photometric_interpretation.startswith("PALETTE")


def _unmarked(run: Run, released: Released) -> None:
    """Take the watermark out of a released file, for somebody with a grant and for a stranger."""
    what = "takes the watermark out of a released file"

    def attempt(name: str) -> str:
        output = run.folders.opened / f"unmarked{released.file.suffix}"
        with run.timed("unmark"):
            outcome = open_release_file(run.workspace, released.file, output, name=name)
        before, after = (
            values_digest(read(file)) for file in (released.sealed.source.file, output)
        )
        output.unlink()
        return f"by its {outcome.source}, stored values {'equal' if before == after else 'differ'}"

    _decide(run, _STRANGER, what, "refused (no-grant)", lambda: attempt(_STRANGER))
    image_id = released.sealed.image_id or ""
    until = now_ms() + _HOUR_MS
    grant(
        run.workspace,
        GrantRequest(name=RECIPIENT, image_id=image_id, action="view", until_ms=until),
    )
    expected = "by its release-file, stored values equal"
    _decide(run, RECIPIENT, what, expected, lambda: attempt(RECIPIENT))


def _every_image(run: Run) -> None:
    """Open every sealed image as the owner."""
    items = [item for kind in ("dicom", "slice", "to-erase") for item in run.of_kind(kind)]

    def attempt() -> str:
        equal = sum(_open(run, item, "owner") == "opened, SHA-256 equal" for item in items)
        return f"{equal} of {len(items)} opened, SHA-256 equal"

    expected = f"{len(items)} of {len(items)} opened, SHA-256 equal"
    _decide(run, "owner", "opens every sealed image", expected, attempt)


def _erased(run: Run, item: Sealed) -> None:
    """Erase an image: it is gone, its package too, and the receipt of the erasure verifies."""
    workspace = run.workspace
    image_id = item.image_id or ""
    record = workspace.catalogue.image(image_id)
    package = record.package if record is not None else None
    copy = run.folders.opened / f"of-{image_id}.dcm"
    release(workspace, ReleaseRequest(image_id=image_id, to=RECIPIENT), copy)
    outcome = erase(workspace, image_id)
    _decide(
        run,
        "owner",
        "takes the watermark out of a release of an image that was erased",
        "gone",
        lambda: str(open_release_file(workspace, copy, copy.with_suffix(".png")).exact),
    )
    copy.unlink()
    _decide(
        run, "owner", "opens an image that was erased", "gone", lambda: _open(run, item, "owner")
    )
    _decide(
        run,
        "anybody",
        "looks for the package of the erased image",
        "gone",
        lambda: "gone" if package is None or package not in workspace.store else "still there",
    )
    _decide(
        run,
        "anybody",
        "verifies the receipt of the erasure with the public key",
        "holds (erase)",
        lambda: f"holds ({_kind(run, outcome.receipt)})",
    )


def _kind(run: Run, receipt: Path) -> str:
    return str(verify_receipt_file(receipt, log_key_file(run.folders.workspace))["kind"])
