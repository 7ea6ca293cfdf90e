"""Images and DICOM files that the imaging tests share."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medseal.imaging import MedicalImage

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def image(values, bits_stored, photometric="MONOCHROME2", **fields):
    """An image that comes from no file."""
    values = np.asarray(values)
    return MedicalImage(
        stored_values=values,
        bits_stored=bits_stored,
        is_signed=values.dtype.kind != "u",
        photometric_interpretation=photometric,
        source_format="png",
        decoder="none",
        **fields,
    )


def dicom_dataset(values, bits_stored, photometric="MONOCHROME2", samples=1):
    """A minimal instance; values (rows, columns) or (frames, rows, columns) or with samples."""
    values = np.asarray(values)
    frames = values.shape[0] if values.ndim > 2 + (samples > 1) else 1
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.PatientID = "TEST"
    dataset.Modality = "OT"
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = photometric
    if samples > 1:
        dataset.PlanarConfiguration = 0
    axis = values.ndim - 2 - (samples > 1)
    dataset.Rows, dataset.Columns = values.shape[axis], values.shape[axis + 1]
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.BitsAllocated = values.dtype.itemsize * 8
    dataset.BitsStored = bits_stored
    dataset.HighBit = bits_stored - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    data = values.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if values.dtype.itemsize == 1 else "OW"
    return dataset


def dicom_bytes(dataset, syntax=ExplicitVRLittleEndian):
    """The dataset as a file; the caller has encoded the pixel data for this syntax."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = BytesIO()
    pydicom.dcmwrite(
        stream,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        enforce_file_format=True,
    )
    return stream.getvalue()
