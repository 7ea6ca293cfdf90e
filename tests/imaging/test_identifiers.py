"""Copies of known identifiers in kept attributes, and values that are no identifiers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medseal.errors import DeidentificationError
from medseal.imaging.confidentiality_profile import action_for
from medseal.imaging.deidentify import deidentify
from medseal.imaging.formats import encode
from tests.imaging.deidentification_cases import image_of, load, released

KEY = bytes(range(32))


def in_item(dataset: Dataset, depth: int) -> Dataset:
    for _ in range(depth):
        item = Dataset()
        dataset.AnatomicRegionSequence = [item]
        dataset = item
    return dataset


@pytest.mark.parametrize("depth", [0, 1, 4])
@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("ManufacturerModelName", "scanner of Winterbottom"),
        ("SequenceName", "winterbottom_7"),
        ("ScanOptions", "WINTERBOTTOM"),
        ("SoftwareVersions", "MRN-778812/b"),
        ("ConvolutionKernel", "K19610407"),
        ("FilterType", "born 07.04.1961"),
        ("TransmitCoilName", "1961-04-07"),
        ("ManufacturerModelName", "1.2.826.0.1.77.88.99"),
        ("Manufacturer", "St. Elsewhere  General"),
        ("ContrastBolusRoute", "BEATRICEWINTERB"),
        ("CodeMeaning", "Fracture after WINTERBOTTOM"),
        ("AcquisitionNumber", "1961040700"),
    ],
)
def test_a_copy_of_an_identifier_in_a_kept_attribute_is_replaced(
    keyword: str, text: str, depth: int
) -> None:
    dataset = load("CT_small.dcm")
    dataset.PatientName = "Winterbottom^Beatrice Winterb"
    dataset.PatientID = "MRN-778812"
    dataset.PatientBirthDate = "19610407"
    dataset.InstitutionName = "St. Elsewhere General"
    dataset.StudyInstanceUID = "1.2.826.0.1.77.88.99"
    setattr(in_item(dataset, depth), keyword, text)
    plain, report = deidentify(image_of(dataset), key=KEY)
    content = encode(plain, "dicom").lower()
    for needle in (b"winterb", b"778812", b"19610407", b"07.04.1961", b"1961-04-07", b"elsewhere"):
        assert needle not in content
    assert "copy-replaced" in {e.action for e in report.entries if e.keyword == keyword}


@pytest.mark.parametrize(
    ("character_set", "name", "part"),
    [
        ("ISO_IR 100", "Buc^Jérôme", "Jérôme"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东", "小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "山田"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "길동"),
        ("GB18030", "Wang^XiaoDong=王^小东", "小东"),
        ("ISO_IR 144", "Жилин^Филипп", "Жилин"),
    ],
)
def test_names_in_other_character_sets_are_found_in_kept_text(
    character_set: str | list[str], name: str, part: str
) -> None:
    dataset = load("CT_small.dcm")
    dataset.SpecificCharacterSet = character_set
    dataset.PatientName = name
    dataset.ManufacturerModelName = f"scanner {part} 3"
    content, again = released(dataset, key=KEY)
    assert again.ManufacturerModelName == "ANONYMIZED"
    assert part.encode() not in content
    assert str(again.PatientName) == ""


def test_short_and_common_values_raise_no_false_alarm() -> None:
    dataset = load("CT_small.dcm")
    dataset.PatientName = "Li^M"
    dataset.PatientID = "1"
    dataset.StudyID = "2"
    dataset.AccessionNumber = "0000"
    dataset.StationName = "CT"
    dataset.StudyTime = "120000"
    dataset.StudyDescription = "HEAD"
    dataset.BodyPartExamined = "HEAD"
    dataset.ManufacturerModelName = "Lightning 1 CT M"
    dataset.PatientBirthDate = "19000101"
    before = {e.tag: e.value for e in dataset if action_for(e.tag, e.VR) == "K" and e.VR != "SQ"}
    _, again = released(dataset)
    for tag, value in before.items():
        if tag.group != 0x7FE0:
            assert again[tag].value == value, keyword_for_tag(tag)


def test_a_description_that_is_also_a_code_meaning_is_no_leak() -> None:
    dataset = load("CT_small.dcm")
    dataset.StudyDescription = "CT of abdomen and pelvis"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "P5-0808E", "SRT"
    code.CodeMeaning = "CT of abdomen and pelvis"
    dataset.ProcedureCodeSequence = [code]
    _, again = released(dataset)
    assert again.ProcedureCodeSequence[0].CodeMeaning == "CT of abdomen and pelvis"
    assert "StudyDescription" not in again


def test_a_description_copied_into_free_text_is_replaced() -> None:
    dataset = load("CT_small.dcm")
    dataset.PatientComments = "found by her neighbour"
    dataset.ManufacturerModelName = "X found by her neighbour"
    _, again = released(dataset)
    assert again.ManufacturerModelName == "ANONYMIZED"


def test_an_identifier_that_cannot_be_replaced_refuses_the_copy_and_is_not_named() -> None:
    dataset = load("CT_small.dcm")
    dataset.PatientName = "Winterbottom^Beatrice"
    dataset.add_new(Tag("RedPaletteColorLookupTableDescriptor"), "US", [8, 0, 16])
    dataset.RedPaletteColorLookupTableData = b"Beatrice Winterbottom 19"
    with pytest.raises(DeidentificationError, match=r"copy of 0010,0010") as error:
        deidentify(image_of(dataset))
    assert "winter" not in str(error.value).lower()


@settings(max_examples=25, deadline=None)
@given(
    name=st.from_regex(r"[A-Za-z]{4,12}\^[A-Za-z]{4,12}", fullmatch=True),
    number=st.from_regex(r"[A-Z]{2}[0-9]{6,10}", fullmatch=True),
    keyword=st.sampled_from(
        ["ManufacturerModelName", "SequenceName", "ReceiveCoilName", "FilterType"]
    ),
    depth=st.integers(0, 6),
)
def test_any_name_or_id_is_gone_wherever_it_was_copied(
    name: str, number: str, keyword: str, depth: int
) -> None:
    dataset = load("CT_small.dcm")
    dataset.PatientName, dataset.PatientID = name, number
    setattr(in_item(dataset, depth), keyword, number)
    try:
        content, _ = released(dataset)
    except DeidentificationError:
        return  # refused: nothing left the house
    assert number.encode() not in content
    assert name.encode() not in content
