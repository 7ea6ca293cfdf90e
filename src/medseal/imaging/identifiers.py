"""Known identifiers of a data set, and the search for copies of them by value.

This search knows nothing of what a de-identification did. It reads the original, takes every
value that can point at a person, a moment or a place, and looks for it in what is to be given
away: first in each text value, then in all encoded bytes outside the pixel data.

What counts as an identifier (anything shorter would be found by chance):

=============  ==================================================================================
names          each part of a person's name of 3 letters or more (2 outside Latin script), and
               family and given name written together
ids            values of at least 4 characters with a digit, 5 without; numbers of 5 digits
descriptions   whole values of at least 12 characters; looked for in free text, not in codes
dates          eight digits, also written as 2003-05-12 or 12.05.2003; not the usual dummy dates
times          six digits with seconds, or with a fraction
UIDs           whole values of 10 characters or more that DICOM did not register itself
=============  ==================================================================================

In raw bytes a match needs 4 bytes, because a VR and a length can look like three letters.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from medseal.imaging.confidentiality_profile import (
    TEXT_VRS,
    VALUE_ERRORS,
    action_for,
    is_registered_uid,
)

__all__ = [
    "Identifiers",
    "collect_identifiers",
    "element_texts",
    "tag_text",
]

_MIN_NAME: Final = 3  # letters
_MIN_NAME_OTHER_SCRIPT: Final = 2
_MIN_ID_WITH_DIGIT: Final = 4
_MIN_ID: Final = 5
_MIN_DESCRIPTION: Final = 12
_MIN_UID: Final = 10
_MIN_DISTINCT: Final = 3  # "0000" and "XXXX" say nothing
_MIN_DISTINCT_TIME: Final = 4
_MIN_PART: Final = 6  # from here on a part of a longer word counts too
_MIN_IN_NUMBER: Final = 8  # digits; shorter ids meet equal decimal numbers by chance
_MIN_RAW_BYTES: Final = 4
_DATE_DIGITS: Final = 8
_TIME_DIGITS: Final = 6
_LONGEST_DATE_RUN: Final = 26  # digits; longer runs are UIDs made with a key

# Words that stand for nobody: the placeholders of anonymisers and of test images.
_NOBODY: Final = frozenset(
    {
        *("anon", "anonymised", "anonymized", "anonymous", "deidentified", "dummy", "name"),
        *("noname", "none", "null", "patient", "phantom", "removed", "test", "unknown"),
    }
)
_ID_KEYWORD: Final = re.compile(
    r"Physician|Operator|Person|Observer|Institution|Residence|Address|Tele|Phone|Email|"
    r"Insurance|Accession|Serial|Station|Responsible|Admission|Order|Account|Subject|Sponsor|"
    r"Site|Issuer|Identifi|Number|AETitle|Visit|Barcode|Location|Machine|Organization|"
    r"CenterName|Locator|OwnerName|SlotID|Occupation|Originator|EntityTitle|AE$|IDs?$"
)
_DESCRIPTION_KEYWORD: Final = re.compile(
    r"Comments|Description|Diagnos|Reason|History|Notes|Text|Label|Arrangements|Treatment|Tracking"
)
# The rest of the file meta names software and formats.
_META_KEYWORDS: Final = (
    "MediaStorageSOPInstanceUID",
    "ReceivingApplicationEntityTitle",
    "SendingApplicationEntityTitle",
    "SourceApplicationEntityTitle",
)
# Versions of published code lists are the same in every hospital.
_PUBLIC_DATES: Final = frozenset(
    {"ContextGroupVersion", "ContextGroupLocalVersion", "EffectiveDateTime"}
)
_DUMMY_DATES: Final = frozenset({"00010101", "19000101", "19010101", "19700101", "99991231"})

_WORD: Final = re.compile(r"[^\W_]+")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_DOTTED: Final = re.compile(r"[0-9][0-9.]+")
_DIGITS: Final = re.compile(r"[0-9]{8,}")
_ISO_DATE: Final = re.compile(r"(?<![0-9])([0-9]{4})[-./]([0-9]{2})[-./]([0-9]{2})(?![0-9])")
_LOCAL_DATE: Final = re.compile(r"(?<![0-9])([0-9]{2})[-./]([0-9]{2})[-./]([0-9]{4})(?![0-9])")
# ISO 2022 escape sequences switch the character set inside a value.
_ESCAPES: Final = re.compile(rb"\x1b[$()*+,\-./]{0,2}[0-~]")


def tag_text(tag: BaseTag) -> str:
    """Return a tag as ``gggg,eeee`` in lower case."""
    return f"{tag.group:04x},{tag.element:04x}"


def element_texts(element: DataElement) -> list[str]:
    """Return the values of an element as text; of opaque bytes, what Latin-1 makes of them."""
    value: Any = element.value
    if value is None:
        return []
    values = value if isinstance(value, MultiValue | list | tuple) else [value]
    return [
        each.decode("latin-1") if isinstance(each, bytes | bytearray) else str(each)
        for each in values
    ]


@dataclass(slots=True, kw_only=True)
class Identifiers:
    """Identifying values of one data set, each with the tag it came from.

    Attributes
    ----------
    words
        Parts of names and ids of one word; lower case, compared with whole words.
    phrases
        Names and ids of at least 6 characters; lower case, found inside longer text too.
    descriptions
        Whole free texts; lower case.
    uids
        Instance UIDs.
    dates
        Eight digits, year first.
    times
        Six digits or more, as written.
    codecs
        Python codecs of the character sets that the data set names.
    """

    words: dict[str, str] = field(default_factory=dict)
    phrases: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    codecs: frozenset[str] = frozenset({"utf-8", "latin-1"})

    def __len__(self) -> int:
        groups = (self.words, self.phrases, self.descriptions, self.uids, self.dates, self.times)
        return sum(map(len, groups))

    def __repr__(self) -> str:
        """Return the number of values only: they name a person."""
        return f"Identifiers({len(self)} values)"

    def without_descriptions_in(self, texts: Iterable[str]) -> "Identifiers":
        """Return a copy without the descriptions that stand in one of `texts`."""
        spoken = {" ".join(text.casefold().split()) for text in texts}
        kept = {
            description: source
            for description, source in self.descriptions.items()
            if not any(description in text for text in spoken)
        }
        return dataclasses.replace(self, descriptions=kept)

    def source_in_text(self, text: str, *, is_code: bool) -> str | None:
        """Return the tag of an identifier that `text` repeats, or None.

        Parameters
        ----------
        text
            One decoded value.
        is_code
            The text is a code or a defined term: whole descriptions are not looked for.
        """
        folded = " ".join(text.casefold().split())
        for word in {*_WORD.findall(folded), *_LETTERS.findall(folded)}:
            if word in self.words:
                return self.words[word]
        for terms in (self.phrases,) if is_code else (self.phrases, self.descriptions):
            for term, source in terms.items():
                if term in folded:
                    return source
        return self.source_in_digits(folded)

    def source_in_digits(self, text: str) -> str | None:
        """Return the tag of a UID, date, time or long number that `text` repeats, or None."""
        for token in _DOTTED.findall(text):
            number = token.rstrip(".")
            source = self.uids.get(number) or self.times.get(number)
            if source is None and len(number) >= _MIN_IN_NUMBER:
                source = self.words.get(number)
            if source is not None:
                return source
        return next((self.dates[date] for date in _dates_in(text) if date in self.dates), None)

    def sources_in_bytes(self, data: bytes) -> list[str]:
        """Return the tags of all identifiers found in encoded bytes without pixel data.

        Parameters
        ----------
        data
            An encoded data set, as written; any character set.
        """
        lowered = data.lower()
        found = []
        for terms, whole in (
            (self.words, True),
            (self.phrases, False),
            (self.descriptions, False),
        ):
            for term, source in terms.items():
                if any(_holds(lowered, each, whole=whole) for each in self._encoded(term)):
                    found.append(source)
        text = lowered.decode("latin-1")
        for token in _DOTTED.findall(text):
            if token.rstrip(".") in self.uids:
                found.append(self.uids[token.rstrip(".")])
        found.extend(self.dates[date] for date in _dates_in(text) if date in self.dates)
        return found

    def _encoded(self, term: str) -> set[bytes]:
        """Return `term` as bytes in each character set that can write it."""
        needles = set()
        for codec in self.codecs:
            try:
                needle = _ESCAPES.sub(b"", term.encode(codec)).lower()
            except (UnicodeEncodeError, LookupError):
                continue
            if len(needle) >= _MIN_RAW_BYTES:
                needles.add(needle)
        return needles

    def add(self, element: DataElement) -> None:
        """Take up the values of one element of the original."""
        source = tag_text(element.tag)
        for text in element_texts(element):
            if element.VR == "PN":
                self._add_name(text, source)
            elif element.VR == "UI":
                self._add_uid(text, source)
            elif element.VR in ("DA", "DT"):
                self._add_date(text, source, element.keyword)
            elif element.VR == "TM":
                self._add_time(text, source)
            elif element.VR in TEXT_VRS and element.VR != "CS":
                self._add_text(text, source, element.keyword)

    def _add_name(self, text: str, source: str) -> None:
        for group in text.split("="):  # alphabetic, ideographic, phonetic
            parts = [part for part in _LETTERS.findall(group.casefold()) if part not in _NOBODY]
            for part in parts:
                least = _MIN_NAME if part.isascii() else _MIN_NAME_OTHER_SCRIPT
                if len(part) >= least and len(set(part)) > 1:
                    self._add_term(part, source)
            if len(parts) > 1:
                for joined in (parts[0] + parts[1], parts[1] + parts[0]):
                    if len(joined) >= _MIN_PART:
                        self.phrases.setdefault(joined, source)

    def _add_term(self, term: str, source: str) -> None:
        """File a name or an id where its length allows it to be searched."""
        if _WORD.fullmatch(term):
            self.words.setdefault(term, source)
        if not (term.isdigit() and len(term) < _MIN_IN_NUMBER) and len(term) >= _MIN_PART:
            self.phrases.setdefault(term, source)

    def _add_text(self, text: str, source: str, keyword: str) -> None:
        folded = " ".join(text.casefold().split())
        distinct = len(set(folded))
        if folded in _NOBODY or distinct < (_MIN_DISTINCT if len(folded) < _MIN_PART else 2):
            return
        if _ID_KEYWORD.search(keyword) and not _DESCRIPTION_KEYWORD.search(keyword):
            has_digit = any(map(str.isdigit, folded)) and not folded.isdigit()
            if len(folded) >= (_MIN_ID_WITH_DIGIT if has_digit else _MIN_ID):
                self._add_term(folded, source)
        elif len(folded) >= _MIN_DESCRIPTION:
            self.descriptions.setdefault(folded, source)

    def _add_uid(self, text: str, source: str) -> None:
        if len(text) >= _MIN_UID and not is_registered_uid(text):
            self.uids.setdefault(text, source)

    def _add_date(self, text: str, source: str, keyword: str) -> None:
        digits = text.replace(".", "").replace("-", "")[:_DATE_DIGITS]
        if keyword in _PUBLIC_DATES or digits in _DUMMY_DATES:
            return
        if len(digits) == _DATE_DIGITS and digits.isdigit() and digits[4:6] <= "12":
            self.dates.setdefault(digits, source)

    def _add_time(self, text: str, source: str) -> None:
        whole, _, fraction = text.replace(":", "").strip().partition(".")
        if len(whole) != _TIME_DIGITS or len(set(whole)) < _MIN_DISTINCT_TIME:
            return
        if whole[4:] != "00" or fraction.strip("0"):
            self.times.setdefault(whole, source)
            self.times.setdefault(f"{whole}.{fraction}".rstrip("."), source)


def _dates_in(text: str) -> Iterator[str]:
    """Yield all that could be a date, as eight digits with the year first."""
    for run in _DIGITS.findall(text):
        if len(run) <= _LONGEST_DATE_RUN:
            for start in range(len(run) - _DATE_DIGITS + 1):
                yield run[start : start + _DATE_DIGITS]
    for year, month, day in _ISO_DATE.findall(text):
        yield year + month + day
    for first, second, year in _LOCAL_DATE.findall(text):
        yield year + second + first
        yield year + first + second


def _is_word_byte(byte: int, *, digits: bool) -> bool:
    # A number is not a match inside a longer decimal number: the point belongs to it.
    if digits and byte == ord("."):
        return True
    return chr(byte).isalnum() if byte < 0x80 else True  # noqa: PLR2004  the end of ASCII


def _holds(data: bytes, needle: bytes, *, whole: bool) -> bool:
    """Tell whether `data` holds `needle`, as a whole word if asked for."""
    start = data.find(needle)
    while start >= 0 and whole:
        end = start + len(needle)
        digits = needle.isdigit()
        before = start > 0 and _is_word_byte(data[start - 1], digits=digits)
        after = end < len(data) and _is_word_byte(data[end], digits=digits)
        if not before and not after:
            return True
        start = data.find(needle, start + 1)
    return start >= 0


def collect_identifiers(dataset: Dataset) -> Identifiers:
    """Return the identifying values of a data set, at every depth.

    Taken are all values that the confidentiality profile does not keep, of standard attributes;
    of private attributes the names of persons. Elements that cannot be read are passed over:
    they are never kept.
    """
    found = Identifiers(codecs=_codecs(dataset))
    meta = getattr(dataset, "file_meta", None) or Dataset()
    for keyword in _META_KEYWORDS:
        if keyword in meta:
            found.add(meta[keyword])
    pending = [dataset]
    while pending:
        current = pending.pop()
        for tag in current.keys():  # noqa: SIM118  iterating a Dataset converts each element
            try:
                element = current[tag]
                if element.VR == "SQ":
                    pending.extend(element.value)
                elif _identifies(element):
                    found.add(element)
            except VALUE_ERRORS:
                continue
    return found


def _identifies(element: DataElement) -> bool:
    if element.tag.is_private:
        return bool(element.VR == "PN")
    return action_for(element.tag, element.VR) != "K"


def _codecs(dataset: Dataset) -> frozenset[str]:
    try:
        stated = convert_encodings(dataset.get("SpecificCharacterSet", None) or [])
    except VALUE_ERRORS:
        stated = []
    return frozenset({"utf-8", "latin-1", *stated})
