"""Which images a learned part is trained on and which it is measured on, no patient in both."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medseal.errors import InputError

__all__ = ["Material", "is_held_out", "test_files", "training_files"]

MAX_MANIFEST_BYTES = 64 * 2**20
# Smaller DICOM files are test patterns for decoders.
MIN_DICOM_SIDE = 128
# DICOM objects that hold no picture of a patient.
_NO_IMAGE = frozenset({"ANN", "ECG", "RTDOSE", "RTPLAN", "SEG", "SR"})
# Collections of which nothing is trained on: another camera than all others.
_ONLY_TESTED = frozenset({"fundus_chase"})
# Collections whose own split has no test part: half of their groups is held out.
_HALVED = frozenset({"chest_xray_native"})
_TEST = "test"
_PREFIX = 4

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Material:
    """One file.

    Attributes
    ----------
    path
        Where it lies.
    modality
        ``MRI brain``, ``DICOM CT``...
    group
        Patient, lesion or cluster of near-duplicates.
    """

    path: Path
    modality: str
    group: str


def is_held_out(group: str) -> bool:
    """Return whether a group without a given part belongs to the test: half of all, for ever."""
    return int(hashlib.sha256(group.lower().encode()).hexdigest(), 16) % 2 == 1


def _rows(path: Path, *needed: str) -> list[Row]:
    if not path.is_file():
        return []
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: a manifest has at most {MAX_MANIFEST_BYTES} bytes")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8; export it again") from error
    missing = set(needed) - set(rows[0] if rows else needed)
    if missing:
        raise InputError(f"{path}: columns are missing: {', '.join(sorted(missing))}")
    return rows


def _placed(data: Path, text: str) -> Path:
    pure = PurePosixPath(text)
    if not text or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"{data}: the manifest's {text or 'empty path'} leaves the folder")
    return data / pure


def _listed(data: Path) -> Iterator[tuple[Material, bool]]:
    """Yield images and whether they are for the test."""
    needed = ("path", "modality", "group", "split_hint")
    for row in _rows(data / "MANIFEST.csv", *needed):
        path, folder = _placed(data, row["path"]), PurePosixPath(row["path"]).parts[0]
        item = Material(path=path, modality=row["modality"], group=row["group"])
        if folder in _HALVED:
            yield item, is_held_out(item.group)
        else:
            yield item, folder in _ONLY_TESTED or row["split_hint"] == _TEST


def _dicom_side(row: Row) -> int:
    sides = (row["rows"], row["columns"])
    return min(int(side) if side.isdigit() else 0 for side in sides)


def _listed_dicom(data: Path) -> Iterator[tuple[Material, bool]]:
    """Yield DICOM images and whether they are for the test: by patient, else by file name."""
    needed = ("path", "modality", "rows", "columns", "patient_id")
    for row in _rows(data / "MANIFEST_dicom.csv", *needed):
        if row["modality"] in _NO_IMAGE or _dicom_side(row) < MIN_DICOM_SIDE:
            continue
        name = PurePosixPath(row["path"]).stem.rpartition("__")[2]
        group = row["patient_id"] or name[:_PREFIX]
        item = Material(
            path=_placed(data, row["path"]), modality=f"DICOM {row['modality']}", group=group
        )
        yield item, is_held_out(group)


def _parts(data: Path) -> tuple[list[Material], list[Material]]:
    found = [*_listed(data), *_listed_dicom(data)]
    if not found:
        raise InputError(f"{data}: no MANIFEST.csv or MANIFEST_dicom.csv lists an image here")
    held_out = {item.group for item, tested in found if tested}
    training = [item for item, tested in found if not tested and item.group not in held_out]
    return training, [item for item, tested in found if tested]


def training_files(data: Path) -> tuple[Material, ...]:
    """Return the images to train on, sorted by path.

    Parameters
    ----------
    data
        Holds ``MANIFEST.csv`` (path, modality, group, split_hint), ``MANIFEST_dicom.csv`` (path,
        modality, rows, columns, patient_id), or both.

    Returns
    -------
    tuple
        What `test_files` leaves, without any image of a group that stands there.

    Raises
    ------
    InputError
        No image is listed, a manifest is malformed, or a path leaves the folder.
    """
    return tuple(sorted(_parts(data)[0]))


def test_files(data: Path) -> tuple[Material, ...]:
    """Return the images to measure on, sorted by path; parameters and errors as above.

    These are the test part that the manifest gives, every image of a camera kept for the test, and
    half of the patients of DICOM files and of large radiographs.
    """
    return tuple(sorted(_parts(data)[1]))
