"""DICOM results: what other software reads in them, and what they refuse."""

from io import BytesIO
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from highdicom.sr import Comprehensive3DSR
from pydicom import dcmread
from pydicom.data import get_testdata_file

from medseal import weights
from medseal.classification import Prediction
from medseal.errors import UnsupportedImageError
from medseal.pipeline.dicom_results import (
    ResultContext,
    attention_segmentation,
    structured_report,
)


def context(*, abstained: bool = False) -> ResultContext:
    card = weights.read_card(Path(weights.__file__).parent / weights.default_for("tumour"))
    prediction = Prediction(
        label="tumour",
        probabilities=MappingProxyType({"no_tumour": 0.25, "tumour": 0.75}),
        model_id=card.id,
        calibrated=True,
        abstained=abstained,
    )
    return ResultContext(prediction=prediction, card=card, values_digest="sha256:" + "0" * 64)


@pytest.fixture(scope="module")
def mr_bytes() -> bytes:
    return Path(get_testdata_file("MR_small.dcm")).read_bytes()


def test_the_report_says_label_probability_model_and_image(mr_bytes: bytes) -> None:
    data = structured_report(mr_bytes, context())
    report = Comprehensive3DSR.from_dataset(dcmread(BytesIO(data)))
    source = dcmread(BytesIO(mr_bytes))
    [group] = report.content.get_image_measurement_groups()
    assert [float(m.value) for m in group.get_measurements()] == [0.25, 0.75]
    [evaluation] = group.get_qualitative_evaluations()
    assert evaluation.value.meaning == "tumour"
    assert (report.StudyInstanceUID, report.PatientID) == (
        source.StudyInstanceUID,
        source.PatientID,
    )
    assert str(context().card.sha256).encode() in data
    assert b"Not a medical device" in data
    assert (report.VerificationFlag, report.CompletionFlag) == ("UNVERIFIED", "PARTIAL")


def test_an_abstention_names_no_class(mr_bytes: bytes) -> None:
    data = structured_report(mr_bytes, context(abstained=True))
    report = Comprehensive3DSR.from_dataset(dcmread(BytesIO(data)))
    [group] = report.content.get_image_measurement_groups()
    [evaluation] = group.get_qualitative_evaluations()
    assert evaluation.value.meaning == "Abstained: a person decides"


def test_the_segmentation_is_the_hot_part(mr_bytes: bytes) -> None:
    heat = np.zeros((64, 64))
    heat[8:16, 20:40] = 0.9
    heat[0, 0] = 0.4
    found = dcmread(BytesIO(attention_segmentation(mr_bytes, heat, context())))
    assert found.SOPClassUID.name == "Segmentation Storage"
    assert found.StudyInstanceUID == dcmread(BytesIO(mr_bytes)).StudyInstanceUID
    pixels = found.pixel_array.reshape(-1, 64, 64)
    assert np.array_equal(pixels[0].astype(bool), heat >= 0.5)
    assert (
        "not a lesion"
        in found.SegmentSequence[0].SegmentedPropertyCategoryCodeSequence[0].CodeMeaning
    )


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (np.zeros((64, 64)), "nothing in the image"),
        (np.ones((32, 64)), "different sizes"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(
    mr_bytes: bytes, heat: np.ndarray, message: str
) -> None:
    with pytest.raises(UnsupportedImageError, match=message):
        attention_segmentation(mr_bytes, heat, context())


def test_several_frames_are_refused(mr_bytes: bytes) -> None:
    dataset = dcmread(BytesIO(mr_bytes))
    dataset.NumberOfFrames = 2
    buffer = BytesIO()
    dataset.save_as(buffer)
    data = buffer.getvalue()
    with pytest.raises(UnsupportedImageError, match="one frame"):
        attention_segmentation(data, np.ones((64, 64)), context())


def test_an_image_that_is_not_dicom_is_refused() -> None:
    with pytest.raises(UnsupportedImageError, match="need a DICOM image"):
        structured_report(b"\x89PNG\r\n\x1a\n" + bytes(200), context())


def test_an_image_without_a_study_is_refused(mr_bytes: bytes) -> None:
    dataset = dcmread(BytesIO(mr_bytes))
    del dataset.StudyInstanceUID
    buffer = BytesIO()
    dataset.save_as(buffer)
    with pytest.raises(UnsupportedImageError, match="no StudyInstanceUID"):
        structured_report(buffer.getvalue(), context())
