"""DICOM files as labelled images: patient and instance from the header, labels from a table."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset as Header

from medseal.datasets.loader import Record
from medseal.datasets.provenance import source_of
from medseal.errors import InputError
from medseal.imaging.dicom_file import has_dicom_prefix, parse

__all__ = ["instance_labels", "patient_of_dicom"]

_DOMAIN = b"medseal/patient/v1/"
_HEX_DIGITS = 16
# Preamble and prefix.
_HEAD_BYTES = 132


def patient_of_dicom(path: Path) -> str | None:
    """Return the hashed patient, or study, of a DICOM file; None for other files.

    Raises
    ------
    InputError
        The file is damaged.

    Notes
    -----
    The hash keeps identifiers out of splits and reports. It is no protection against somebody who
    has a list of the identifiers: they can hash it too.
    """
    with path.open("rb") as file:
        if not has_dicom_prefix(file.read(_HEAD_BYTES)):
            return None
    return _patient(parse(path.read_bytes(), name=path.name).dataset)


def _patient(header: Header) -> str | None:
    for keyword in ("PatientID", "StudyInstanceUID"):
        value = str(header.get(keyword) or "").strip()
        if value:
            digest = hashlib.sha256(_DOMAIN + f"{keyword}/{value}".encode()).hexdigest()
            return f"patient-{digest[:_HEX_DIGITS]}"
    return None


def instance_labels(
    folder: Path, paths: Sequence[Path], labels: Mapping[str, str]
) -> tuple[list[Record], list[str]]:
    """Return the DICOM files that a table labels, and how many it does not.

    Parameters
    ----------
    folder
        Root of the paths.
    paths
        Files; those that are not DICOM are left out.
    labels
        SOP Instance UID to label.

    Raises
    ------
    InputError
        A UID of the table is not there or there twice, or a file names neither patient nor study.
    """
    seen: dict[str, str] = {}
    records: list[Record] = []
    unlabelled = 0
    for path in paths:
        data = path.read_bytes()
        if not has_dicom_prefix(data):
            continue
        header = parse(data, name=path.name).dataset
        name = path.relative_to(folder).as_posix()
        uid = str(header.get("SOPInstanceUID") or "")
        if uid not in labels:
            unlabelled += 1
            continue
        if uid in seen:
            raise InputError(f"{name} and {seen[uid]} are one instance; keep one of them")
        seen[uid] = name
        group = _patient(header)
        if group is None:
            raise InputError(
                f"{name}: neither PatientID nor StudyInstanceUID; list it in a CSV with a group"
            )
        records.append(
            Record(
                path=name,
                label=labels[uid],
                detail=labels[uid],
                group=group,
                sha256=hashlib.sha256(data).hexdigest(),
                source=source_of(
                    path.relative_to(folder).parts[:-1], otherwise=folder.resolve().name
                ),
            )
        )
    missing = sorted(set(labels) - set(seen))
    if missing:
        raise InputError(
            f"labels.csv: {len(missing)} instances are not there, the first is {missing[0]}; "
            "copy their files or drop the rows"
        )
    note = [f"{unlabelled} DICOM files left out: labels.csv does not name them"]
    return records, note if unlabelled else []
