"""De-identification by the PS3.15 basic profile, checked by an independent search by value."""

import dataclasses
import re
import secrets
import warnings
from collections import Counter
from collections.abc import Collection, Iterator
from types import MappingProxyType
from typing import Final

from pydicom.charset import convert_encodings, python_encoding
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag, Tag

from medseal import __version__
from medseal.errors import DeidentificationError, InputError
from medseal.imaging.confidentiality_profile import (
    DUMMIES,
    DUMMY_TEXT,
    NUMERIC_TEXT_VRS,
    TEXT_VRS,
    Action,
    ProfileRewriter,
    Pseudonyms,
    action_for,
)
from medseal.imaging.deidentification_report import (
    METHOD,
    DeidentificationEntry,
    DeidentificationReport,
)
from medseal.imaging.dicom import dataset_of, with_dataset
from medseal.imaging.identifiers import (
    Identifiers,
    collect_identifiers,
    element_texts,
    tag_text,
)
from medseal.imaging.image import MedicalImage

__all__ = [
    "KEY_BYTES",
    "DeidentificationEntry",
    "DeidentificationReport",
    "deidentify",
    "deidentify_dataset",
]

KEY_BYTES: Final = 32
_CODE_VALUE: Final = "113100"
_CODE_MEANING: Final = "Basic Application Confidentiality Profile"
_OPAQUE_VRS: Final = frozenset({"OB", "UN"})
_SEARCHED_VRS: Final = TEXT_VRS | NUMERIC_TEXT_VRS | _OPAQUE_VRS | {"AS", "DA", "DT", "TM", "UI"}
_NUMBER: Final = re.compile(r"[0-9+\-.:eE\s]*")
_FIXED_TERMS: Final[dict[BaseTag, Collection[str]]] = {
    Tag("SpecificCharacterSet"): python_encoding,
    Tag("PhotometricInterpretation"): (
        *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"),
        *("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
    ),
}
_PIXEL_DATA_GROUP: Final = 0x7FE0
_CODE_TAGS: Final = range(0x00080100, 0x00080123)
# Written by this module; looked for copies in them would meet our own words.
_OWN_TAGS: Final = frozenset(
    map(
        Tag,
        (
            "PatientIdentityRemoved",
            "DeidentificationMethod",
            "DeidentificationMethodCodeSequence",
            "LongitudinalTemporalInformationModified",
        ),
    )
)
_OWN_TEXTS: Final = (METHOD, _CODE_MEANING, DUMMY_TEXT, "anonymized.invalid")


def _entries(counts: Counter[tuple[int, Action]]) -> tuple[DeidentificationEntry, ...]:
    """Return what was done, in the order of the tags."""
    return tuple(
        DeidentificationEntry(
            tag=tag_text(BaseTag(tag)), keyword=keyword_for_tag(tag), action=action, count=count
        )
        for (tag, action), count in sorted(counts.items())
    )


def _leaves(dataset: Dataset) -> Iterator[tuple[Dataset, DataElement]]:
    """Yield each element that is no sequence with the data set or item that holds it."""
    pending = [dataset]
    while pending:
        current = pending.pop()
        for element in current:
            if element.VR == "SQ":
                if element.tag not in _OWN_TAGS:
                    pending.extend(element.value)
            elif element.tag not in _OWN_TAGS:
                yield current, element


def _is_code(element: DataElement) -> bool:
    """Tell whether the element holds a defined term, a code or its meaning."""
    return element.VR == "CS" or int(element.tag) in _CODE_TAGS


def _source_of_copy(element: DataElement, identifiers: Identifiers) -> str | None:
    """Return the tag of an identifier that this element repeats, or None."""
    if element.VR not in _SEARCHED_VRS or _is_fixed_term(element):
        return None
    for text in element_texts(element):
        # Whatever the VR promises: a number is searched as a number, all else as text.
        if element.VR not in TEXT_VRS and _NUMBER.fullmatch(text):
            source = identifiers.source_in_digits(text)
        else:
            source = identifiers.source_in_text(text, is_code=_is_code(element))
        if source is not None:
            return source
    return None


def _is_fixed_term(element: DataElement) -> bool:
    """Tell whether the element is needed to read the file and says nothing but known terms."""
    terms = _FIXED_TERMS.get(element.tag)
    return terms is not None and all(text in terms for text in element_texts(element))


def _replace_copies(dataset: Dataset, identifiers: Identifiers, rewriter: ProfileRewriter) -> None:
    """Replace what the profile keeps and what nevertheless repeats an identifier."""
    for holder, element in list(_leaves(dataset)):
        if _source_of_copy(element, identifiers) is None:
            continue
        if element.VR == "UI":
            rewriter.map_uid(element)
        elif element.VR in _OPAQUE_VRS:
            del holder[element.tag]
        elif element.VR in TEXT_VRS:
            element.value = DUMMIES[element.VR]
        else:
            element.value = element.empty_value
        rewriter.counts[int(element.tag), "copy-replaced"] += 1


def _mark(dataset: Dataset, rewriter: ProfileRewriter) -> None:
    """Say in the data set that it was de-identified, and how (PS3.3, C.7.1.1 and C.12.1)."""
    code = Dataset()
    code.CodeValue = _CODE_VALUE
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = _CODE_MEANING
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    dataset.DeidentificationMethodCodeSequence = [code]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    for tag in _OWN_TAGS:
        rewriter.counts[int(tag), "added"] = 1


def _encoded(dataset: Dataset) -> bytes:
    """Return the data set as it will be written, without pixel data and without our own words."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = True
    buffer.is_implicit_VR = False
    header = Dataset()
    header.update({t: dataset[t] for t in dataset.keys() if t.group != _PIXEL_DATA_GROUP})  # noqa: SIM118  iterating a Dataset yields elements
    write_dataset(
        buffer, header, convert_encodings(dataset.get("SpecificCharacterSet") or "ISO_IR 6")
    )
    data: bytes = buffer.getvalue()
    for text in _OWN_TEXTS:
        data = data.replace(text.encode("ascii"), b"\x00" * len(text))
    return data


def _what_remains(dataset: Dataset, identifiers: Identifiers) -> tuple[str, ...]:
    """Return the tags of what should not be there.

    1. No attribute that the profile removes, at any depth.
    2. No text value that repeats an identifier.
    3. No identifier in the encoded bytes.
    """
    found: list[str] = []
    codes: list[str] = []
    pending = [dataset]
    while pending:
        for element in pending.pop():
            if element.tag in _OWN_TAGS:
                continue
            if action_for(element.tag, element.VR) == "X":  # 1
                found.append(tag_text(element.tag))
            elif element.VR == "SQ":
                pending.extend(element.value)
            elif _source_of_copy(element, identifiers) is not None:  # 2
                found.append(tag_text(element.tag))
            if _is_code(element):
                codes.extend(element_texts(element))
    # A description that is also the meaning of a kept code says no more than the code does.
    sources = identifiers.without_descriptions_in(codes).sources_in_bytes(_encoded(dataset))
    found.extend(f"copy of {source}" for source in sources)  # 3
    return tuple(dict.fromkeys(found))


def _checked_key(key: bytes | None) -> bytes:
    if key is None:
        return secrets.token_bytes(KEY_BYTES)
    if len(key) != KEY_BYTES:
        raise InputError(f"a de-identification key has {KEY_BYTES} bytes, not {len(key)}")
    return key


_NOT_READ: Final = "text burned into the stored values is not read; look at the image"


def _cautions(dataset: Dataset) -> tuple[str, ...]:
    """Return what the profile cannot see in this image."""
    cautions = [_NOT_READ]
    if str(dataset.get("RecognizableVisualFeatures", "")).strip().upper() == "YES":
        cautions.append("the data set says that a face or another visual feature is recognisable")
    return tuple(cautions)


def _refuse_burned_in(dataset: Dataset, *, allow_burned_in: bool) -> None:
    stated = str(dataset.get("BurnedInAnnotation", "")).strip().upper()
    if stated == "YES" and not allow_burned_in:
        raise DeidentificationError(
            "the data set says that text is burned into the image (0028,0301), and burned-in text "
            "is not read; mask it first, or allow it explicitly after looking at the image"
        )


def deidentify_dataset(
    dataset: Dataset, *, key: bytes | None = None, allow_burned_in: bool = False
) -> DeidentificationReport:
    """De-identify a data set in place.

    1. Known identifiers of the original are collected.
    2. The profile is applied at every depth; file meta and preamble are dropped.
    3. Kept values that repeat an identifier are replaced.
    4. The data set says that and how it was de-identified.
    5. The result is searched again, value by value and in its encoded bytes.

    Parameters
    ----------
    dataset
        With or without pixel data; changed in place, even if an error is raised.
    key
        32 bytes. The same key gives the same UIDs and patient identifier for the same originals,
        so that the instances of a study stay together; None takes a fresh random key.
    allow_burned_in
        Go on although Burned In Annotation is YES.

    Returns
    -------
    DeidentificationReport
        Its `remaining` is empty.

    Raises
    ------
    DeidentificationError
        An identifier remains, sequences are nested too deeply, or text is burned in.
    InputError
        The key has another length.

    References
    ----------
    DICOM PS3.15, annex E.
    """
    rewriter = ProfileRewriter(Pseudonyms(_checked_key(key)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns with the value of the element
        _refuse_burned_in(dataset, allow_burned_in=allow_burned_in)
        identifiers = collect_identifiers(dataset)  # 1
        dataset.preamble = None
        dataset.file_meta = FileMetaDataset()
        rewriter.rewrite(dataset)  # 2
        _replace_copies(dataset, identifiers, rewriter)  # 3
        _mark(dataset, rewriter)  # 4
        remaining = _what_remains(dataset, identifiers)  # 5
        cautions = _cautions(dataset)
    if remaining:
        raise DeidentificationError(
            f"identifiers remain after de-identification ({'; '.join(remaining[:8])}); nothing was "
            "written, remove these attributes first"
        )
    return DeidentificationReport(
        source_format="dicom",
        entries=_entries(rewriter.counts),
        removed_private=rewriter.removed_private,
        searched=len(identifiers),
        remaining=remaining,
        cautions=cautions,
    )


def deidentify(
    image: MedicalImage, *, key: bytes | None = None, allow_burned_in: bool = False
) -> tuple[MedicalImage, DeidentificationReport]:
    """Return a copy of an image without what identifies a person, and what was done.

    The stored values stay as they are. Of an image that does not come from DICOM no attribute is
    carried over: no EXIF, no text chunk, no free text of a header.

    Parameters
    ----------
    image
        From any format.
    key
        32 bytes, for DICOM: the same key gives the same UIDs and patient identifier for the same
        originals. None takes a fresh random key.
    allow_burned_in
        Go on although the data set says that text is burned into the image.

    Returns
    -------
    tuple
        The image, and a report without any value of the original.

    Raises
    ------
    DeidentificationError
        An identifier remains, sequences are nested too deeply, or text is burned in.
    InputError
        The key has another length.
    """
    if image.source_format == "dicom":
        dataset = dataset_of(image)
        report = deidentify_dataset(dataset, key=key, allow_burned_in=allow_burned_in)
        return with_dataset(image, dataset), report
    _checked_key(key)
    removed = len(image.attributes)
    stripped = DeidentificationEntry(tag="", keyword="attributes", action="removed", count=removed)
    return dataclasses.replace(image, attributes=MappingProxyType({})), DeidentificationReport(
        profile="all attributes left out",
        edition="",
        method=f"medseal {__version__}, all attributes left out",
        source_format=image.source_format,
        entries=(stripped,) if removed else (),
        removed_private=0,
        searched=0,
        remaining=(),
        cautions=(_NOT_READ,),
    )
