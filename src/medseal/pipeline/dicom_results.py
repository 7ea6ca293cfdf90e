"""A prediction as DICOM: structured report (TID 1500) and segmentation of the attention map."""

from dataclasses import dataclass
from io import BytesIO

import highdicom
import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    Comprehensive3DSR,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    Measurement,
    MeasurementReport,
    MeasurementsAndQualitativeEvaluations,
    ObservationContext,
    ObserverContext,
    QualitativeEvaluation,
    SourceImageForMeasurementGroup,
    TrackingIdentifier,
)
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import medseal
from medseal.classification import Prediction
from medseal.errors import UnsupportedImageError
from medseal.weights import Card

__all__ = ["ATTENTION_SHARE", "ResultContext", "attention_segmentation", "structured_report"]

# Part of the largest heat from which a place belongs to the segmentation.
ATTENTION_SHARE = 0.5
# Private coding scheme (PS3.16, 8.2): DICOM has no codes for the classes of a model.
_SCHEME = "99MEDSEAL"
_DISCLAIMER = "Not a medical device; not for diagnosis"
_SERIES_NUMBER, _SEGMENTATION_SERIES_NUMBER = 9001, 9002
_MANUFACTURER = "medseal"
# Patient, study and image level; without them neither object can refer to the image.
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
# VR LO, PS3.5, 6.2.
_MEANING_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultContext:
    """What a result object says about where it comes from.

    Attributes
    ----------
    prediction
        What the model said.
    card
        Of the model; its SHA-256 stands in the objects.
    values_digest
        Digest of the stored values that were classified.
    """

    prediction: Prediction
    card: Card
    values_digest: str

    @property
    def algorithm(self) -> AlgorithmIdentification:
        """Name, version and digests (TID 4019)."""
        return AlgorithmIdentification(
            name=self.card.id,
            version=self.card.version,
            parameters=[
                f"model {self.card.sha256}",
                f"stored values {self.values_digest}",
                f"calibrated {self.prediction.calibrated}",
                f"abstained {self.prediction.abstained}",
                _DISCLAIMER,
            ],
        )


def structured_report(source: bytes, context: ResultContext) -> bytes:
    """Return a Comprehensive 3D SR (TID 1500) with label and probabilities of one instance.

    Parameters
    ----------
    source
        The DICOM file that was classified.
    context
        Result, model, digest.

    Returns
    -------
    bytes
        A DICOM file, explicit VR little endian. Verification flag UNVERIFIED, completion flag
        PARTIAL: a person has to confirm it.

    Raises
    ------
    UnsupportedImageError
        The source is not DICOM, or names no study, series or instance.

    References
    ----------
    DICOM PS3.16, TID 1500, 1501 and 4019.
    """
    dataset = _evidence(source)
    prediction = context.prediction
    group = MeasurementsAndQualitativeEvaluations(
        source_images=[SourceImageForMeasurementGroup(dataset.SOPClassUID, dataset.SOPInstanceUID)],
        tracking_identifier=TrackingIdentifier(
            uid=generate_uid(), identifier=f"{context.card.task} by {context.card.id}"
        ),
        algorithm_id=context.algorithm,
        finding_sites=_sites(dataset),
        qualitative_evaluations=[
            QualitativeEvaluation(
                name=_private("classification", "Classification by a model"),
                value=_private("abstained", "Abstained: a person decides")
                if prediction.abstained
                else _private(
                    f"class-{list(prediction.probabilities).index(prediction.label)}",
                    prediction.label,
                ),
            )
        ],
        measurements=[
            Measurement(
                name=_private(f"probability-{number}", f"Probability of {label}"),
                value=float(probability),
                unit=codes.UCUM.NoUnits,
            )
            for number, (label, probability) in enumerate(prediction.probabilities.items())
        ],
    )
    observer = ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=DeviceObserverIdentifyingAttributes(
            uid=generate_uid(entropy_srcs=[str(context.card.sha256)]),
            name=context.card.id,
            manufacturer_name=_MANUFACTURER,
            model_name=context.card.method,
        ),
    )
    report = MeasurementReport(
        observation_context=ObservationContext(observer_device_context=observer),
        procedure_reported=_private("ai-class", "Classification of an image by a model"),
        imaging_measurements=[group],
    )
    document = Comprehensive3DSR(
        evidence=[dataset],
        content=report,
        series_instance_uid=generate_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=_MANUFACTURER,
        is_complete=False,
        is_verified=False,
        performed_procedure_codes=[],
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    document.SeriesDescription = _DISCLAIMER
    return _to_bytes(document)


def attention_segmentation(
    source: bytes, heat: NDArray[np.float64], context: ResultContext
) -> bytes:
    """Return a segmentation object with the places that drove the classification.

    The segment is the part of the attention map at or above `ATTENTION_SHARE` of its peak. It is
    not the outline of a lesion, and its description says so.

    Parameters
    ----------
    source
        The DICOM file that was classified.
    heat
        float64 in [0, 1], (rows, columns), of the first frame, as
        `medseal.classification.explain` gives it.
    context
        Result, model, digest.

    Returns
    -------
    bytes
        A DICOM file of the Segmentation class, binary, one segment.

    Raises
    ------
    UnsupportedImageError
        The source is not DICOM, has several frames, is of another size than the map, lacks what
        the object has to copy, or the map is empty.

    References
    ----------
    DICOM PS3.3, A.51.
    """
    dataset = _evidence(source)
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise UnsupportedImageError(
            "the attention map is that of one frame: export a single-frame instance"
        )
    mask = (heat >= ATTENTION_SHARE) & (heat > 0)
    if mask.shape != (dataset.get("Rows"), dataset.get("Columns")):
        raise UnsupportedImageError("attention map and image have different sizes")
    if not mask.any():
        raise UnsupportedImageError("nothing in the image spoke for the class: no segment to write")
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=context.card.id,
        family=codes.DCM.ArtificialIntelligence,
        version=context.card.version,
        parameters={"model": str(context.card.sha256), "map": "Grad-CAM"},
    )
    segment = highdicom.seg.SegmentDescription(
        segment_number=1,
        segment_label=f"attention for {context.prediction.label}"[:_MEANING_CHARS],
        segmented_property_category=_private("attention", "Where a network looked, not a lesion"),
        segmented_property_type=_private("grad-cam", "Grad-CAM at half its peak or above"),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
    )
    try:
        document = highdicom.seg.Segmentation(
            source_images=[dataset],
            pixel_array=mask[np.newaxis].astype(np.uint8),
            segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[segment],
            series_instance_uid=generate_uid(),
            series_number=_SEGMENTATION_SERIES_NUMBER,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer=_MANUFACTURER,
            manufacturer_model_name=context.card.id,
            software_versions=medseal.__version__,
            device_serial_number=context.card.sha256.value.hex()[:_MEANING_CHARS],
            omit_empty_frames=False,
            series_description=_DISCLAIMER,
        )
    except (AttributeError, KeyError, ValueError) as error:
        raise UnsupportedImageError(
            f"the image lacks what a segmentation object copies from it ({error})"
        ) from error
    return _to_bytes(document)


def _evidence(source: bytes) -> Dataset:
    """Return the data set of the image, with empty values where type 2 elements are missing."""
    try:
        dataset = dcmread(BytesIO(source), stop_before_pixels=True)
    except InvalidDicomError as error:
        raise UnsupportedImageError(
            "DICOM results need a DICOM image: this file is of another format"
        ) from error
    missing = [keyword for keyword in _NEEDED if not dataset.get(keyword)]
    if missing:
        raise UnsupportedImageError(f"the DICOM image has no {', '.join(missing)}")
    # PS3.3, C.7.1.1 and C.7.2.1: type 2, so an image may carry them empty, but some leave them out.
    for keyword in (
        "PatientID",
        "PatientName",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "ReferringPhysicianName",
    ):
        if keyword not in dataset:
            setattr(dataset, keyword, None)
    return dataset


def _sites(dataset: Dataset) -> list[FindingSite] | None:
    """Return the anatomic region where the image codes one."""
    regions = dataset.get("AnatomicRegionSequence")
    if not regions:
        return None
    return [FindingSite(anatomic_location=CodedConcept.from_dataset(regions[0]))]


def _private(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value=value, scheme_designator=_SCHEME, meaning=meaning[:_MEANING_CHARS])


def _to_bytes(document: Dataset) -> bytes:
    buffer = BytesIO()
    document.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
