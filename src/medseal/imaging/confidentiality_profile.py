"""The basic profile of DICOM PS3.15 Annex E, applied to a data set and all its items.

The table itself (Table E.1-1) comes as data from the package dicom-anonymizer; its actions are
not used, because its own walk leaves nested sequences, file meta and dates behind. What the
table does not name is decided here, and never more loosely than the table would.
"""

import base64
import hashlib
import hmac
import uuid
from collections import Counter
from typing import Final, Literal

from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as _table
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID_dictionary

from medseal.errors import DeidentificationError
from medseal.imaging.limits import MAX_SEQUENCE_DEPTH

__all__ = [
    "DUMMIES",
    "DUMMY_TEXT",
    "EDITION",
    "NUMERIC_TEXT_VRS",
    "PROFILE_NAME",
    "TEXT_VRS",
    "VALUE_ERRORS",
    "Action",
    "ProfileRewriter",
    "Pseudonyms",
    "action_for",
    "is_registered_uid",
    "table_tags",
]

EDITION: Final = "2026c"
PROFILE_NAME: Final = "DICOM PS3.15 Basic Application Level Confidentiality Profile"

Action = Literal["removed", "emptied", "dummy", "mapped", "copy-replaced", "unreadable", "added"]
TEXT_VRS: Final = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
NUMERIC_TEXT_VRS: Final = frozenset({"DS", "IS"})
# What pydicom raises when the bytes of one element do not fit its VR.
VALUE_ERRORS: Final = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    NotImplementedError,
    ArithmeticError,
    BytesLengthException,
)
DUMMY_TEXT: Final = "ANONYMIZED"
_DUMMY_BYTES: Final = b"\x00\x00"
DUMMIES: Final[dict[str, object]] = {
    **dict.fromkeys(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"), DUMMY_TEXT),
    **dict.fromkeys(("OB", "OD", "OF", "OL", "OV", "OW", "UN"), _DUMMY_BYTES),
    **dict.fromkeys(("AT", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"), 0),
    "AS": "000Y",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "TM": "000000",
    "UR": "http://anonymized.invalid",  # RFC 2606 reserves .invalid
}
_PATIENT_ID: Final = Tag("PatientID")

# X remove, Z empty, D dummy, U map the UID, K keep (a sequence: go through its items),
# C clean: a sequence whose items are replaced by dummies throughout.
_COLUMNS: Final = {
    "X_TAGS": "X",
    "Z_TAGS": "Z",
    "D_TAGS": "D",
    "U_TAGS": "U",
    "X_Z_TAGS": "X/Z",
    "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D",
    "Z_D_TAGS": "Z/D",
    "X_Z_U_STAR_TAGS": "X/Z/U*",
}
# A choice such as X/Z depends on the type of the attribute in its IOD. The answer taken is the
# one that is conformant for every type it may have; sequences are removed where X is offered.
_FOR_VALUES: Final = {"X/Z": "Z", "X/D": "D", "X/Z/D": "D", "Z/D": "D", "X/Z/U*": "K"}
_FOR_SEQUENCES: Final = {
    "D": "C",
    "X/Z": "Z",
    "X/D": "X",
    "X/Z/D": "X",
    "Z/D": "C",
    "X/Z/U*": "K",
}
# (3004,007F) Dose Calculation Model Name came into the table with edition 2026d.
_NEWER_THAN_EDITION: Final = {0x3004007F: "X"}


def _read_table() -> dict[int, str]:
    """Return the action of each single tag of Table E.1-1; repeating groups are in `_GROUPS`."""
    actions = dict(_NEWER_THAN_EDITION)
    for column, action in _COLUMNS.items():
        for row in getattr(_table, column):
            if len(row) == 2:  # noqa: PLR2004  group and element; four numbers are a group range
                actions[(row[0] << 16) | row[1]] = action
    return actions


_ACTIONS: Final = _read_table()

# Whole groups that never leave: command set, file meta, directory records, MAC parameters and
# signatures (they no longer fit), encrypted attributes, trailing padding.
_REMOVED_GROUPS: Final = frozenset({0x0000, 0x0002, 0x0004, 0x0400, 0x4FFE, 0xFFFA, 0xFFFC})
# Curves 50xx and overlays 60xx: the table removes data and comments, which leaves a description.
_REMOVED_GROUP_RANGES: Final = (0x5000, 0x6000)

# Not in the table, yet able to hold a person, a moment or a place: emptied.
_EMPTIED_VRS: Final = frozenset({"AE", "AS", "DA", "DT", "PN", "ST", "LT", "TM", "UR", "UT"})
# Opaque bytes are removed unless the attribute is known to be part of the image.
_OPAQUE_VRS: Final = frozenset({"OB", "UN"})
_KEPT_OPAQUE: Final = frozenset({"ICCProfile"})
# The pixel data of the image itself; inside an item it is removed.
_PIXEL_DATA: Final = frozenset(range(0x7FE00001, 0x7FE00004)) | {0x7FE00008, 0x7FE00009, 0x7FE00010}
_CODE_TEXT: Final = frozenset({"CodingSchemeURL", "URNCodeValue"})
# UIDs that name a kind of thing, not a thing.
_CLASS_UIDS: Final = frozenset(
    {
        "AvailableTransferSyntaxUID",
        "CodingSchemeUID",
        "ContextGroupExtensionCreatorUID",
        "ContextUID",
        "MappingResourceUID",
        "OriginalSpecializedSOPClassUID",
        "ReferencedSOPClassUID",
        "RelatedGeneralSOPClassUID",
        "SOPClassUID",
        "SOPClassesInStudy",
        "SOPClassesSupported",
        "StoredInstanceTransferSyntaxUID",
    }
)


def table_tags() -> frozenset[int]:
    """Return every single tag that Table E.1-1 names, as 32-bit numbers."""
    return frozenset(_ACTIONS)


def is_registered_uid(uid: str) -> bool:
    """Tell whether DICOM itself registered `uid` (a SOP class, a well-known frame of reference)."""
    return uid in UID_dictionary


def _removed_whatever_it_is(tag: BaseTag) -> bool:
    if tag.is_private or tag.element == 0 or tag.group in _REMOVED_GROUPS:
        return True
    return (tag.group & 0xFF00) in _REMOVED_GROUP_RANGES


def _beyond_the_table(tag: BaseTag, vr: str) -> str:
    """Return the action for a standard attribute that the table does not name."""
    if not dictionary_has_tag(tag):
        return "X"  # even group, but neither in the dictionary nor in the table: unknown
    stated = dictionary_VR(tag).split(" or ")
    if vr not in stated:
        # A wrong VR must not open a way around the rule of the right one.
        if "SQ" in (vr, *stated):
            return "X"
        return min((_by_vr(tag, each) for each in (vr, *stated)), key="XZUK".index)
    return _by_vr(tag, vr)


def _by_vr(tag: BaseTag, vr: str) -> str:
    keyword = keyword_for_tag(tag)
    if vr == "UI":
        return "K" if keyword in _CLASS_UIDS else "U"
    if vr in _OPAQUE_VRS:
        return "K" if keyword in _KEPT_OPAQUE else "X"
    if vr in _EMPTIED_VRS and keyword not in _CODE_TEXT:
        return "Z"
    return "K"


def action_for(tag: BaseTag, vr: str) -> str:
    """Return what happens to an attribute.

    Parameters
    ----------
    tag
        Group and element.
    vr
        Value representation of the attribute in the data set.

    Returns
    -------
    str
        ``X`` remove, ``Z`` empty, ``D`` dummy value, ``U`` replace the UID consistently, ``C``
        keep a sequence with dummies throughout, ``K`` keep; for a sequence: apply the table
        to its items.
    """
    if _removed_whatever_it_is(tag):
        return "X"
    if int(tag) in _PIXEL_DATA:
        return "K"
    action = _ACTIONS.get(int(tag))
    if action is None:
        return _beyond_the_table(tag, vr)
    if vr == "SQ":
        return _FOR_SEQUENCES.get(action, action)
    return _FOR_VALUES.get(action, action)


class Pseudonyms:
    """Replacements that are equal for equal originals under one key, and tell nothing else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _digest(self, kind: bytes, text: str) -> bytes:
        message = b"medseal/deidentify/v1/" + kind + b"\x00" + text.encode()
        return hmac.digest(self._key, message, hashlib.sha256)

    def uid(self, uid: str) -> str:
        """Return a UID under 2.25, which holds a UUID as one number (PS3.5, B.2)."""
        return f"2.25.{uuid.UUID(bytes=self._digest(b'uid', uid)[:16], version=4).int}"

    def patient_id(self, patient_id: str) -> str:
        """Return 16 characters for a patient's identifier."""
        digest = self._digest(b"patient-id", patient_id.strip())
        return base64.b32encode(digest[:10]).decode("ascii")


class ProfileRewriter:
    """Applies the profile to a data set and all its items, and counts what it did."""

    def __init__(self, pseudonyms: Pseudonyms) -> None:
        self._pseudonyms = pseudonyms
        self.counts: Counter[tuple[int, Action]] = Counter()
        self.removed_private = 0

    def rewrite(self, dataset: Dataset, *, depth: int = 0, only_dummies: bool = False) -> None:
        """Change `dataset` in place.

        Parameters
        ----------
        dataset
            The whole data set or an item.
        depth
            Sequences around it.
        only_dummies
            The item stands in a sequence whose content the profile replaces by dummies.

        Raises
        ------
        DeidentificationError
            Sequences are nested too deeply.
        """
        if depth > MAX_SEQUENCE_DEPTH:
            raise DeidentificationError(
                f"sequences are nested more than {MAX_SEQUENCE_DEPTH} deep; the file is not usable"
            )
        for tag in list(dataset.keys()):
            if tag.is_private:
                del dataset[tag]
                self.removed_private += 1
                continue
            try:
                element = dataset[tag]
                action = action_for(tag, element.VR)
                if depth > 0 and int(tag) in _PIXEL_DATA:
                    action = "X"
                if only_dummies:
                    action = _with_dummies(action, element.VR)
                self._apply(action, dataset, element, depth=depth)
            except VALUE_ERRORS:
                del dataset[tag]
                self.counts[int(tag), "unreadable"] += 1

    def _apply(self, action: str, dataset: Dataset, element: DataElement, *, depth: int) -> None:
        if element.VR == "SQ" and action in ("K", "C"):
            for item in element.value:
                self.rewrite(item, depth=depth + 1, only_dummies=action == "C")
        elif action == "X":
            del dataset[element.tag]
            self.counts[int(element.tag), "removed"] += 1
        elif action != "K" and not element.is_empty:
            self._replace(action, element)

    def _replace(self, action: str, element: DataElement) -> None:
        done: Action
        if element.tag == _PATIENT_ID:
            element.value = self._pseudonyms.patient_id(str(element.value))
            done = "mapped"
        elif element.VR == "UI" and action in ("U", "D"):
            done = self.map_uid(element)
        elif action == "D":
            element.value = DUMMIES[element.VR]
            done = "dummy"
        else:  # Z, or U in an element that cannot hold a UID
            element.value = Sequence() if element.VR == "SQ" else element.empty_value
            done = "emptied"
        self.counts[int(element.tag), done] += 1

    def map_uid(self, element: DataElement) -> Action:
        """Replace each UID of an element that DICOM did not register itself."""
        many = isinstance(element.value, MultiValue | list)
        mapped = [
            uid if is_registered_uid(uid) else self._pseudonyms.uid(uid)
            for uid in (element.value if many else [element.value])
        ]
        element.value = mapped if many else mapped[0]
        return "mapped"


def _with_dummies(action: str, vr: str) -> str:
    """Return the action inside a sequence that the profile replaces as a whole."""
    if action != "K":
        return action
    if vr == "SQ":
        return "C"
    # Coded strings and numbers of binary VRs keep the item readable and hold no free text.
    replaced = (TEXT_VRS | NUMERIC_TEXT_VRS) - {"CS"}
    return "D" if vr in replaced else "K"
