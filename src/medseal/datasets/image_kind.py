"""Kinds of image: which modality an image is of, from the named data sets of one folder."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from medseal.datasets.loader import Dataset, Record
from medseal.datasets.named import read_named
from medseal.datasets.specification import DatasetSpec
from medseal.errors import InputError

__all__ = ["KINDS", "NAME", "read_image_kinds"]

NAME = "image-kind"
# Data set to the DICOM modality of its images (PS3.3, C.7.3.1.1.1).
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "brain-mri": "MR",
        "breast-ultrasound": "US",
        "chest-xray": "DX",
        "ct-lung": "CT",
        "fundus": "OP",
        "skin": "XC",
    }
)
# Kinds differ so plainly that more images of one teach nothing.
_IMAGES_A_KIND = 400


def read_image_kinds(folder: Path, *, specifications: Mapping[str, DatasetSpec]) -> Dataset:
    """Return images of all `KINDS`, labelled by their DICOM modality.

    Parameters
    ----------
    folder
        Holds a manifest that lists every data set of `KINDS`.
    specifications
        Data set to its specification.

    Returns
    -------
    Dataset
        At most 400 images a kind, chosen by the digest of their path.

    Raises
    ------
    InputError
        A data set is missing.
    """
    parts = {name: read_named(folder, spec=specifications[name]) for name in KINDS}
    roots = {part.root for part in parts.values()}
    if len(roots) != 1:
        raise InputError(f"{folder}: {NAME} needs one manifest that lists {', '.join(KINDS)}")
    records = [
        dataclasses.replace(
            record, label=KINDS[name], detail=KINDS[name], group=f"{name}/{record.group}", part=""
        )
        for name, part in parts.items()
        for record in _chosen(part.records)
    ]
    return Dataset(
        name=NAME,
        root=roots.pop(),
        classes=tuple(sorted(KINDS.values())),
        records=tuple(sorted(records, key=lambda record: record.path)),
    )


def _chosen(records: Sequence[Record]) -> list[Record]:
    """Return a sample that does not depend on the order and is the same every time."""
    return sorted(records, key=lambda r: hashlib.sha256(r.path.encode()).digest())[:_IMAGES_A_KIND]
