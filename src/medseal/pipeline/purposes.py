"""Purposes of grants: codes that stand openly on a ledger, so that none may name a person."""

from medseal.errors import AccessRefusedError
from medseal.ledger import EventKind
from medseal.pipeline.workspace import Workspace

__all__ = ["PURPOSES", "check_purpose", "purpose_word"]

# After the codes of HL7 for the purpose of use, in words that are spelt out.
PURPOSES = (
    "audit",
    "billing",
    "emergency",
    "operations",
    "patient-request",
    "public-health",
    "quality",
    "research",
    "second-opinion",
    "teaching",
    "treatment",
)


def purpose_word(purpose: str | None) -> str:
    """Return a purpose as the ledger holds it: lower case, hyphens for spaces; empty for none."""
    return "-".join((purpose or "").lower().split())


def check_purpose(workspace: Workspace, word: str, *, is_new: bool) -> None:
    """Refuse a word that would stand on a shared chain for the first time without being asked for.

    Nothing can be taken back from a chain, and a code of one's own may be a slip: a name, a number
    of a patient, a word that no use will state. What was granted before here is known.

    Raises
    ------
    AccessRefusedError
        The workspace is on a network, and the word is neither in `PURPOSES` nor known.
    """
    if is_new or not word or workspace.network is None or word in PURPOSES:
        return
    found = f'"purpose":"{word}"'.encode()
    for _, event in workspace.log.events(wanted=lambda leaf: found in leaf):
        if event.kind is EventKind.GRANT and event.details.get("purpose") == word:
            return
    raise AccessRefusedError(
        f"'{word}' was no purpose here before, and everybody on the network could read it for ever:"
        f" take one of {', '.join(PURPOSES)}, or add --new-purpose if it names nobody",
        reason="purpose",
    )
