"""Data sets for the tests of de-identification: loaded, encoded, de-identified, read again."""

import warnings
from io import BytesIO

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from medseal.imaging.deidentify import deidentify
from medseal.imaging.formats import encode, read_bytes
from medseal.imaging.image import MedicalImage


def load(name: str) -> Dataset:
    return pydicom.dcmread(get_testdata_file(name, download=False))


def file_bytes(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # planted values are unusual on purpose
        dataset.save_as(buffer)
    return buffer.getvalue()


def image_of(dataset: Dataset) -> MedicalImage:
    return read_bytes(file_bytes(dataset), name="test.dcm")


def released(dataset: Dataset, **options: object) -> tuple[bytes, Dataset]:
    plain, _ = deidentify(image_of(dataset), **options)
    content = encode(plain, "dicom")
    return content, pydicom.dcmread(BytesIO(content))
