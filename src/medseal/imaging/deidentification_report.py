"""What a de-identification did: tags and counts, never a value."""

import dataclasses
from dataclasses import dataclass
from typing import Final

from medseal import __version__
from medseal.digest import JsonValue
from medseal.imaging.confidentiality_profile import EDITION, PROFILE_NAME, Action

__all__ = ["METHOD", "DeidentificationEntry", "DeidentificationReport"]

METHOD: Final = f"medseal {__version__}, PS3.15 basic profile {EDITION}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentificationEntry:
    """What was done to one attribute, at whatever depth it stood.

    Attributes
    ----------
    tag
        ``gggg,eeee``; empty for a format without tags.
    keyword
        DICOM keyword, or the name of the group of attributes.
    action
        ``removed``, ``emptied``, ``dummy``, ``mapped`` (a UID or an identifier replaced
        consistently), ``copy-replaced`` (kept by the profile, but it repeated an identifier),
        ``unreadable`` (removed because its bytes do not fit its VR) or ``added``.
    count
        How many times.
    """

    tag: str
    keyword: str
    action: Action
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeidentificationReport:
    """What a de-identification did. It holds tags and counts, never a value.

    Attributes
    ----------
    profile, edition, method
        The rules, their edition and the text written to (0012,0063).
    source_format
        Format of the image.
    entries
        By tag and action.
    removed_private
        Private elements removed, at every depth; the content of a removed one is not counted.
    searched
        Number of identifying values of the original that were looked for in the result.
    remaining
        Tags of identifiers still there. Always empty in a report that is returned.
    cautions
        What this method cannot see in this image.
    """

    profile: str = PROFILE_NAME
    edition: str = EDITION
    method: str = METHOD
    source_format: str
    entries: tuple[DeidentificationEntry, ...]
    removed_private: int
    searched: int
    remaining: tuple[str, ...]
    cautions: tuple[str, ...]

    def to_json(self) -> dict[str, JsonValue]:
        """Return the report as plain JSON values."""
        return {
            "profile": self.profile,
            "edition": self.edition,
            "method": self.method,
            "source_format": self.source_format,
            "entries": [dataclasses.asdict(entry) for entry in self.entries],
            "removed_private": self.removed_private,
            "searched": self.searched,
            "remaining": list(self.remaining),
            "cautions": list(self.cautions),
        }
