"""Labelled images from a manifest (CSV) or from class folders, verified and grouped."""

import csv
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medseal.datasets.duplicates import near_duplicate_groups
from medseal.datasets.split import Member, Split, make_split
from medseal.errors import DigestMismatchError, InputError, UnreadableImageError
from medseal.imaging import MedicalImage, display_values, read_bytes
from medseal.imaging.preprocess import to_grey

__all__ = [
    "MANIFEST_NAME",
    "MAX_MANIFEST_BYTES",
    "Dataset",
    "Record",
    "read_class_folders",
    "read_manifest",
]

MANIFEST_NAME = "MANIFEST.csv"
MAX_MANIFEST_BYTES = 256 * 2**20
_REQUIRED = frozenset({"path", "label", "group", "modality"})
_SUFFIXES = frozenset({".dcm", ".jpeg", ".jpg", ".nii", ".png", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One labelled image.

    Attributes
    ----------
    path
        Relative to the root of the data set, with forward slashes.
    label, detail
        Class, and what it consists of; the detail equals the label where none is given.
    group
        Patient, lesion or cluster of near-duplicates.
    sha256
        Of the file, in hexadecimal; empty where unknown.
    source, licence
        As the manifest says; empty where it does not.
    """

    path: str
    label: str
    detail: str
    group: str
    sha256: str = ""
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Labelled images below one folder.

    Attributes
    ----------
    name
        For example ``brain-mri``.
    root
        Folder that the paths are relative to.
    classes
        Labels in the order of their numbers.
    records
        Sorted by path.

    Raises
    ------
    InputError
        No image, or a label that is no class.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    records: tuple[Record, ...]

    def __post_init__(self) -> None:
        if not self.records:
            raise InputError(f"no image of {self.name} below {self.root}")
        unknown = {record.label for record in self.records} - set(self.classes)
        if unknown:
            raise InputError(f"{self.name}: unknown labels {', '.join(sorted(unknown))}")

    def split(self, *, seed: int) -> Split:
        """Return the 80/10/10 split by group, stratified by detail."""
        return make_split(
            [
                Member(name=r.path, group=r.group, stratum=r.detail, sha256=r.sha256)
                for r in self.records
            ],
            seed=seed,
        )

    def select(self, names: Iterable[str]) -> tuple[Record, ...]:
        """Return the records with these paths, in that order; InputError if one is missing."""
        by_path = {record.path: record for record in self.records}
        chosen = tuple(by_path.get(name) for name in names)
        if None in chosen:
            raise InputError(f"{self.name}: the split names images that are not in the data set")
        return tuple(record for record in chosen if record is not None)

    def label_index(self, record: Record) -> int:
        """Return the number of the record's class."""
        return self.classes.index(record.label)

    def read(self, record: Record) -> MedicalImage:
        """Return the image of a record; its bytes are compared with the manifest first.

        Raises
        ------
        DigestMismatchError
            The file is not the one that the manifest names.
        InputError
            The file is missing or not a supported image.
        """
        path = self.root / record.path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UnreadableImageError(
                f"{record.path}: cannot be read below {self.root}"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if record.sha256 and found != record.sha256:
            raise DigestMismatchError(
                f"{record.path}: the file is not the one in the manifest",
                expected=record.sha256,
                actual=found,
            )
        return read_bytes(data, name=path.name)


def read_manifest(
    folder: Path, *, keep: Callable[[dict[str, str]], bool]
) -> tuple[Path, list[Record]]:
    """Return the root and the records of a manifest.

    Parameters
    ----------
    folder
        Holds `MANIFEST_NAME`, or lies directly below the folder that holds it: then only the
        images below `folder` are taken, under the same names.
    keep
        Says which rows to take.

    Returns
    -------
    tuple
        Folder of the manifest, and records sorted by path.

    Raises
    ------
    InputError
        No manifest, too large, a column is missing, or a path leaves the folder.
    """
    root, prefix = folder, ""
    if not (folder / MANIFEST_NAME).is_file():
        root, prefix = folder.parent, f"{folder.name}/"
    path = root / MANIFEST_NAME
    if not path.is_file() or path.stat().st_size > MAX_MANIFEST_BYTES:
        raise InputError(f"{folder}: no {MANIFEST_NAME} of at most {MAX_MANIFEST_BYTES} bytes")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = _REQUIRED - set(reader.fieldnames or ())
        if missing:
            raise InputError(f"{path}: columns are missing: {', '.join(sorted(missing))}")
        rows = [row for row in reader if row["path"].startswith(prefix) and keep(row)]
    records = [_record(row) for row in rows]
    return root, sorted(records, key=lambda record: record.path)


def _record(row: dict[str, str]) -> Record:
    pure = PurePosixPath(row["path"])
    if pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"{MANIFEST_NAME}: {row['path']} leaves the folder")
    return Record(
        path=row["path"],
        label=row["label"],
        detail=row.get("label_detail") or row["label"],
        group=row["group"],
        sha256=row.get("sha256") or "",
        source=row.get("source_dataset") or "",
        licence=row.get("licence") or "",
    )


def read_class_folders(folder: Path, *, labels: dict[str, str]) -> list[Record]:
    """Return the images in folders named after their class, grouped by near-duplicates.

    Parameters
    ----------
    folder
        Searched to any depth; the class is the name of the folder that directly holds an image.
    labels
        Name of a class folder, in lower case, to label; other folders are left out.

    Returns
    -------
    list
        Sorted by path; the detail is the name of the class folder.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and path.parent.name.lower() in labels
    )
    data = [path.read_bytes() for path in paths]
    grey = [
        to_grey(display_values(read_bytes(item, name=path.name)))
        for path, item in zip(paths, data, strict=True)
    ]
    return [
        Record(
            path=path.relative_to(folder).as_posix(),
            label=labels[path.parent.name.lower()],
            detail=path.parent.name.lower(),
            group=group,
            sha256=hashlib.sha256(item).hexdigest(),
        )
        for path, item, group in zip(paths, data, near_duplicate_groups(grey), strict=True)
    ]
