"""The profile at every depth: a value planted in each attribute of the table, none left."""

import datetime
import itertools
import json
import struct
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import Tag

from medseal.errors import DeidentificationError
from medseal.imaging.confidentiality_profile import action_for, table_tags
from medseal.imaging.deidentify import deidentify, deidentify_dataset
from medseal.imaging.formats import encode, read_bytes
from medseal.imaging.identifiers import collect_identifiers
from tests.imaging.deidentification_cases import file_bytes, image_of, load, released

KEY = bytes(range(32))
FILES = [
    "CT_small.dcm",
    "MR_small.dcm",
    "examples_rgb_color.dcm",
    "rtdose_1frame.dcm",
    "JPEG2000.dcm",
    "MR_small_bigendian.dcm",
]
LETTERS = str.maketrans("0123456789", "ABCDEFGHIJ")  # a name is told by its letters
# Numbers of two bytes or less cannot be told from other numbers.
TOO_SHORT_TO_SEARCH = frozenset({"US", "SS", "AT"})


class Planter:
    """Writes values that occur nowhere else and remembers their bytes."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.needles: dict[str, bytes] = {}

    def value(self, vr: str, where: str) -> object:
        number = next(self._numbers)
        day = datetime.date(1600, 1, 1) + datetime.timedelta(days=number)
        date = f"{day:%Y%m%d}"
        moment = f"{number % 24:02d}{number % 60:02d}{(number * 7) % 60:02d}.{number:06d}"
        word = f"PLANT{number:05d}"
        text = {
            "AS": f"{number % 1000:03d}Y",
            "DA": date,
            "DS": f"7.0{number:06d}3",
            "DT": f"{date}{moment}",
            "IS": str(700_000_000 + number),
            "PN": f"QX{number:05d}^Jane".translate(LETTERS),
            "TM": moment,
            "UI": f"1.2.999.{1_000_000 + number}.77",
            "UR": f"http://{word.lower()}.example",
        }
        value: object
        if vr in {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}:
            value = needle = (word + "......").encode()
        elif vr in {"FD", "FL"}:
            value = 12345.5 + number
            needle = struct.pack("<d" if vr == "FD" else "<f", value)
        elif vr in {"UL", "SL"}:
            value = 0x5A5A0000 + number
            needle = struct.pack("<L", value)
        elif vr in {"US", "SS"}:
            value, needle = number % 30000, b""
        else:
            value = text.get(vr, word)
            needle = str(value).split("^")[0].encode()
        if vr not in TOO_SHORT_TO_SEARCH:
            self.needles[where] = needle
        return value

    def plant(self, dataset: Dataset, where: str) -> None:
        """Put a value into every attribute of the table that the image does not need."""
        for number in sorted(table_tags()):
            tag = Tag(number)
            try:
                vr = dictionary_VR(tag).split(" or ")[0]
            except KeyError:
                continue
            if vr == "SQ":
                if action_for(tag, vr) == "K":
                    continue  # its items follow the table; planted by the caller
                item = Dataset()
                item.CodeMeaning = self.value("LO", f"{where}/{tag}/item")
                dataset.add_new(tag, "SQ", [item])
            elif tag.group not in (0x0002, 0x0000):
                dataset.add_new(tag, vr, self.value(vr, f"{where}/{tag}"))

    def plant_private(self, dataset: Dataset, where: str) -> None:
        block = dataset.private_block(0x0099, f"PLANTED {next(self._numbers):05d}", create=True)
        block.add_new(0x01, "LO", self.value("LO", f"{where}/private"))
        inner = Dataset()
        inner.PatientName = self.value("PN", f"{where}/private name")
        block.add_new(0x02, "SQ", [inner])
        block.add_new(0x03, "UN", self.value("UN", f"{where}/private bytes"))

    def plant_outside_the_table(self, dataset: Dataset, where: str) -> None:
        for group in (0x5000, 0x5002, 0x6000, 0x601E):
            for element, vr in ((0x0022, "LO"), (0x1500, "LO"), (0x3000, "OW"), (0x4000, "LT")):
                dataset.add_new((group, element), vr, self.value(vr, f"{where}/{group:x}{element}"))
        # Standard text that the table forgot, an unknown even group, an encrypted block.
        dataset.add_new((0x0040, 0xA160), "UT", self.value("UT", f"{where}/TextValue"))
        dataset.add_new((0x0008, 0x1190), "UR", self.value("UR", f"{where}/RetrieveURL"))
        dataset.add_new((0x0020, 0x9312), "UI", self.value("UI", f"{where}/frame of reference"))
        dataset.add_new((0x0046, 0x9999), "LO", self.value("LO", f"{where}/unknown"))
        dataset.add_new((0x0040, 0xA089), "OB", self.value("OB", f"{where}/opaque"))


def planted(name: str) -> tuple[Dataset, Planter]:
    dataset = load(name)
    planter = Planter()
    # Own values of the image that are needed to keep its identity are planted too.
    planter.plant(dataset, "top")
    planter.plant_private(dataset, "top")
    planter.plant_outside_the_table(dataset, "top")
    holder = dataset
    for depth in range(1, 6):
        item = Dataset()
        if depth in (1, 2, 5):
            planter.plant(item, f"depth {depth}")
            planter.plant_outside_the_table(item, f"depth {depth}")
        planter.plant_private(item, f"depth {depth}")
        # Two sequences that the profile keeps, by turns.
        holder.add_new((0x0008, 0x2218) if depth % 2 else (0x0008, 0x1140), "SQ", [item])
        holder = item
    meta = dataset.file_meta
    for element in (0x0016, 0x0017, 0x0018):
        meta.add_new((0x0002, element), "AE", planter.value("AE", f"meta {element:x}"))
    meta.add_new((0x0002, 0x0013), "SH", planter.value("SH", "meta version"))
    meta.add_new((0x0002, 0x0100), "UI", planter.value("UI", "meta creator"))
    meta.add_new((0x0002, 0x0102), "OB", planter.value("OB", "meta private"))
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = b"PLANTED PREAMBLE".ljust(128, b"\x01")
    planter.needles["preamble"] = b"PLANTED PREAMBLE"
    if not meta.TransferSyntaxUID.is_compressed:
        planter.needles["behind the pixels"] = b"PLANTED BEHIND"
        dataset.PixelData += b"PLANTED BEHIND"
    return dataset, planter


@pytest.mark.parametrize("name", FILES)
def test_no_planted_value_is_left_anywhere_in_the_file(name: str) -> None:
    original = image_of(load(name))
    dataset, planter = planted(name)
    source = file_bytes(dataset)
    swapped = name == "MR_small_bigendian.dcm"
    present = {k: v for k, v in planter.needles.items() if v in source}
    assert len(planter.needles) > 2000
    assert swapped or len(present) == len(planter.needles)

    plain, report = deidentify(read_bytes(source, name=name), key=KEY)
    content = encode(plain, "dicom")

    lowered = content.lower()
    left = [where for where, needle in planter.needles.items() if needle.lower() in lowered]
    assert left == []
    assert report.remaining == ()
    assert report.removed_private > 0
    assert "copy-replaced" not in {entry.action for entry in report.entries}  # the walk alone
    assert content[:128] == bytes(128)
    np.testing.assert_array_equal(plain.stored_values, original.stored_values)
    again = pydicom.dcmread(BytesIO(content))
    assert again.SOPClassUID == load(name).SOPClassUID
    assert again.file_meta.MediaStorageSOPInstanceUID == again.SOPInstanceUID
    np.testing.assert_array_equal(
        read_bytes(content, name=name).stored_values, original.stored_values
    )


def test_the_search_alone_finds_what_a_walk_would_leave() -> None:
    dataset, _ = planted("CT_small.dcm")
    identifiers = collect_identifiers(dataset)
    careless = load("CT_small.dcm")
    careless.remove_private_tags()
    careless.PatientName = ""
    assert len(identifiers) > 1000
    dataset.remove_private_tags()
    sources = set(identifiers.sources_in_bytes(file_bytes(dataset)))
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "InstitutionName"):
        tag = Tag(keyword)
        assert f"{tag.group:04x},{tag.element:04x}" in sources, keyword
    assert not collect_identifiers(Dataset()).sources_in_bytes(file_bytes(careless))


def in_item(dataset: Dataset, depth: int) -> Dataset:
    for _ in range(depth):
        item = Dataset()
        dataset.AnatomicRegionSequence = [item]
        dataset = item
    return dataset


def test_pixel_data_inside_an_item_and_unknown_elements_beside_it_are_removed() -> None:
    dataset = load("CT_small.dcm")
    item = in_item(dataset, 2)
    item.add_new(0x7FE00010, "OW", b"SECRET THUMBNAIL")
    dataset.add_new(0x7FE01234, "LO", "SECRET NOTE")
    content, again = released(dataset)
    assert b"SECRET" not in content
    assert again.PixelData == load("CT_small.dcm").PixelData


def test_each_attribute_of_the_table_has_one_action() -> None:
    assert len(table_tags()) > 650
    for number in table_tags():
        for vr in ("LO", "SQ", "UI"):
            assert action_for(Tag(number), vr) in {"X", "Z", "D", "U", "C", "K"}
    for keyword in ("PatientName", "PatientID", "StudyDate", "InstitutionName", "PatientAddress"):
        assert action_for(Tag(keyword), "LO") != "K"
    for keyword in ("Rows", "PixelSpacing", "Modality", "RescaleSlope", "WindowCenter"):
        assert action_for(Tag(keyword), "DS" if keyword != "Rows" else "US") == "K"


def test_content_sequences_hold_dummies_throughout() -> None:
    dataset = load("CT_small.dcm")
    inner, outer, code = Dataset(), Dataset(), Dataset()
    code.CodeValue, code.CodeMeaning = "121106", "Comment by the ward"
    inner.ValueType, inner.TextValue = "TEXT", "fell off a ladder"
    inner.ConceptNameCodeSequence = [code]
    outer.ContentSequence = [inner]
    dataset.ContentSequence = [outer]
    content, again = released(dataset)
    found = again.ContentSequence[0].ContentSequence[0]
    assert found.ValueType == "TEXT"
    assert found.ConceptNameCodeSequence[0].CodeMeaning == "ANONYMIZED"
    assert b"ladder" not in content
    assert b"ward" not in content


def with_vr(dataset: Dataset, keyword: str, vr: str, value: bytes) -> bytes:
    """Return a file in which one attribute has another VR than the dictionary says."""
    tag = Tag(keyword)
    dataset.pop(tag, None)
    written = "OB" if vr == "UN" else vr
    dataset.add_new(tag, written, value if written == "OB" else value.decode())
    header = struct.pack("<HH", tag.group, tag.element)
    content = file_bytes(dataset)
    assert content.count(header + written.encode()) == 1
    return content.replace(header + written.encode(), header + vr.encode())


@pytest.mark.parametrize("vr", ["UN", "OB", "LO", "SH"])
@pytest.mark.parametrize(
    "keyword",
    [
        *("AnatomicRegionSequence", "PatientAddress", "PatientBirthDate", "PatientName"),
        *("ProcedureCodeSequence", "RetrieveURL", "StudyInstanceUID", "KVP", "ICCProfile"),
    ],
)
def test_a_wrong_vr_opens_no_way_around_the_table(keyword: str, vr: str) -> None:
    dataset = load("CT_small.dcm")
    dataset.PatientID = "SECRET-4711"
    content = with_vr(dataset, keyword, vr, b"SECRET-4711 ")
    plain, _ = deidentify(read_bytes(content, name="test.dcm"), key=KEY)
    assert b"secret-4711" not in encode(plain, "dicom").lower()


def test_sequences_hidden_in_unknown_vr_are_searched() -> None:
    item, implicit = Dataset(), Dataset()
    item.PatientName = "Winterbottom^Beatrice"
    item.CodeMeaning = "kept"
    implicit.AnatomicRegionSequence = [item]
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = True, True
    write_dataset(buffer, implicit)
    encoded = buffer.getvalue()[8:]
    content = with_vr(load("CT_small.dcm"), "AnatomicRegionSequence", "UN", encoded)
    assert b"Winterbottom" in content
    plain, _ = deidentify(read_bytes(content, name="test.dcm"))
    again = encode(plain, "dicom")
    assert b"winterbottom" not in again.lower()
    kept = pydicom.dcmread(BytesIO(again)).AnatomicRegionSequence
    assert kept[0].CodeMeaning == "kept"


def test_the_report_is_json_and_holds_no_value() -> None:
    dataset, planter = planted("CT_small.dcm")
    _, report = deidentify(image_of(dataset), key=KEY)
    text = json.dumps(report.to_json()).lower()
    assert json.loads(text)["remaining"] == []
    assert not [
        where
        for where, needle in planter.needles.items()
        if len(needle) > 7 and needle.decode("latin-1").lower() in text
    ]
    actions = {entry.action for entry in report.entries}
    assert {"removed", "emptied", "dummy", "mapped", "added"} <= actions
    assert all(entry.count > 0 for entry in report.entries)


def test_sequences_nested_without_end_are_refused() -> None:
    dataset = Dataset()
    in_item(dataset, 40).PatientName = "Winterbottom^Beatrice"
    with pytest.raises(DeidentificationError, match="nested"):
        deidentify_dataset(dataset)
