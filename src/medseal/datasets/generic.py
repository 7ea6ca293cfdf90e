"""Labelled images of any task: class folders of any names, or a table (CSV)."""

import csv
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from medseal.datasets.dicom_labels import instance_labels, patient_of_dicom
from medseal.datasets.folders import image_paths, read_class_folders
from medseal.datasets.grouping import clusters, joined, without_copies
from medseal.datasets.loader import Dataset, Record
from medseal.datasets.manifest import MAX_MANIFEST_BYTES, relative_path
from medseal.datasets.provenance import collection_of, source_of
from medseal.datasets.specification import DatasetSpec, spelled
from medseal.datasets.split import part_of
from medseal.errors import InputError

__all__ = ["find_table", "ordered_classes", "read_dicom", "read_folders", "read_table"]

# A folder or label that starts with one of these says that nothing was found.
_NOTHING_FOUND = ("no", "non", "normal", "none", "negative", "healthy", "control", "benign", "0")
_MIN_CLASSES = 2

Row = dict[str, str]


def ordered_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels in the order of their numbers: what says that nothing was found comes first."""

    def rank(label: str) -> tuple[bool, str]:
        return spelled(label).split("_")[0] not in _NOTHING_FOUND, label

    return tuple(sorted(set(labels), key=rank))


def _folder_depth(folder: Path) -> tuple[int, set[str]]:
    """Return at which depth below parts and sources the class folders lie, and their names."""
    above: set[tuple[str, ...]] = set()
    for path in image_paths(folder):
        names = path.relative_to(folder).parts[:-1]
        above.add(names[1:] if names and part_of(names[0]) else names)
    tops = {names[0] for names in above if names}
    below = {
        top: {names[1] for names in above if names[:1] == (top,) and names[1:]} for top in tops
    }
    kinds = {frozenset(names) for names in below.values()}
    # Every top folder holds the same several folders: the tops are sources, those the classes.
    if len(tops) >= _MIN_CLASSES and len(kinds) == 1 and len(next(iter(kinds))) >= _MIN_CLASSES:
        return 1, set(next(iter(kinds)))
    return 0, tops


def read_folders(folder: Path) -> Dataset:
    """Return the images in class folders of any names.

    Parameters
    ----------
    folder
        Holds a folder a class, or ``train``, ``val`` and ``test`` with a folder a class each: that
        split is honoured. Where all top folders hold the same class folders, the top folders are
        the sources.

    Returns
    -------
    Dataset
        Classes are the names of the folders in lower case. Near-duplicates, and DICOM files of
        one patient, are one group; a copy of a test image is left out of training and counted.

    Raises
    ------
    InputError
        There are no two class folders, one is empty, or an image cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the class folders")
    depth, names = _folder_depth(folder)
    if len({spelled(name) for name in names}) < _MIN_CLASSES:
        raise InputError(f"{folder}: needs at least two folders with images, one for each class")
    _refuse_empty_classes(folder, names=names, depth=depth)
    classes = ordered_classes(spelled(name) for name in names)
    spec = DatasetSpec(name="class-folders", modality="", classes=classes, labels={})
    records = read_class_folders(folder, spec=spec)
    patients = [patient_of_dicom(folder / record.path) for record in records]
    # A known patient says more than likeness: slices of two patients can look the same.
    records = [
        replace(record, group=patient or record.group, part=_part_folder(record.path))
        for record, patient in zip(records, patients, strict=True)
    ]
    kept, notes = without_copies(records)
    return Dataset(
        name=spec.name, root=folder, classes=classes, records=tuple(kept), notes=tuple(notes)
    )


def _part_folder(path: str) -> str:
    return part_of(PurePosixPath(path).parts[0]) or ""


def _refuse_empty_classes(folder: Path, *, names: set[str], depth: int) -> None:
    """Refuse a folder beside the class folders that holds no image."""
    if depth:
        return
    tops = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    parts = [path for path in tops if part_of(path.name)]
    beside = [path for top in parts or [folder] for path in top.iterdir() if path.is_dir()]
    for path in sorted(beside):
        hidden = path.name.startswith((".", "__MACOSX"))
        if not hidden and path.name not in names and not part_of(path.name):
            raise InputError(
                f"class folder {path.name} holds no image; add images or remove the folder"
            )


def find_table(folder: Path) -> Path:
    """Return the table in a folder, ``labels.csv`` or the only CSV file, or the given file.

    Raises
    ------
    InputError
        There is none, or several.
    """
    if folder.is_file():
        return folder
    if (folder / "labels.csv").is_file():
        return folder / "labels.csv"
    found = sorted(folder.glob("*.csv"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(f"{folder}: one CSV file is needed, found {names}; name it labels.csv")
    return found[0]


def table_rows(path: Path, *, required: frozenset[str]) -> list[Row]:
    """Return the rows of a CSV file, names of columns in lower case.

    Raises
    ------
    InputError
        Too large, no CSV, a column is missing, or a required cell is empty.
    """
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: a table has at most {MAX_MANIFEST_BYTES} bytes")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8; export it again") from error
    rows = [{k.strip().lower(): (v or "").strip() for k, v in row.items() if k} for row in lines]
    missing = required - set(rows[0] if rows else ())
    if missing:
        raise InputError(
            f"{path}: columns are missing: {', '.join(sorted(missing))}; add them to the first line"
        )
    for number, row in enumerate(rows, start=2):
        empty = sorted(name for name in required if not row[name])
        if empty:
            raise InputError(f"{path}, line {number}: {empty[0]} is empty; fill it or drop the row")
    return rows


def read_table(folder: Path) -> Dataset:
    """Return the images that a table lists.

    Parameters
    ----------
    folder
        The CSV file or the folder that holds it, with the columns path (below that folder) and
        label, and where known group, patient, split (train, val, test), source, sha256, licence.

    Returns
    -------
    Dataset
        Images of one group or one patient are one group. Without these columns near-duplicates
        are grouped, and a copy of a test image is left out of training and counted.

    Raises
    ------
    InputError
        A column or cell is missing, an image is missing or listed twice, or a label is alone.
    """
    path = find_table(folder)
    root = path.parent
    rows = table_rows(path, required=frozenset({"path", "label"}))
    records = [_record(row, root=root) for row in rows]
    counts = Counter(record.path for record in records)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise InputError(f"{path}: {repeated[0]} is listed twice; keep one row")
    notes: list[str] = []
    if any(row.get("group") or row.get("patient") for row in rows):
        records = _with_given_groups(rows, records)
    else:
        paths = [root / record.path for record in records]
        alike = clusters(paths, root=root, patients=[None] * len(paths))
        # A known patient says more than likeness: slices of two patients can look the same.
        groups = [patient_of_dicom(p) or name for p, name in zip(paths, alike, strict=True)]
        records = [replace(r, group=g) for r, g in zip(records, groups, strict=True)]
        records, notes = without_copies(records)
    return _dataset("csv", root, records, notes)


def _dataset(name: str, root: Path, records: Sequence[Record], notes: Sequence[str]) -> Dataset:
    classes = ordered_classes(record.label for record in records)
    if len(classes) < _MIN_CLASSES:
        found = classes[0] if classes else "none"
        raise InputError(f"{root}: at least two labels are needed, found {found}")
    ordered = tuple(sorted(records, key=lambda record: record.path))
    return Dataset(name=name, root=root, classes=classes, records=ordered, notes=tuple(notes))


def _record(row: Row, *, root: Path) -> Record:
    path = relative_path(row["path"])
    if not (root / path).is_file():
        raise InputError(f"{path}: listed, but not there; correct the path or drop the row")
    folders = PurePosixPath(path).parts[:-1]
    label = row["label"]
    return Record(
        path=path,
        label=label,
        detail=row.get("label_detail") or label,
        group="",
        sha256=row.get("sha256", "").lower(),
        source=row.get("source") or source_of(folders[:1], otherwise=root.resolve().name),
        licence=row.get("licence", ""),
        collection=collection_of(path),
        part=row.get("split", ""),
    )


def _with_given_groups(rows: Sequence[Row], records: Sequence[Record]) -> list[Record]:
    """Return the records grouped by the columns group and patient; a row without both is alone."""
    keys: list[list[Hashable | None]] = [
        [row.get(column) or None for row in rows] for column in ("group", "patient")
    ]
    numbers = joined(*keys)
    # The name that the table gives is what a person can look up.
    names = [
        row.get("group") or row.get("patient") or record.path
        for row, record in zip(rows, records, strict=True)
    ]
    return [replace(r, group=names[number]) for r, number in zip(records, numbers, strict=True)]


def read_dicom(folder: Path) -> Dataset:
    """Return DICOM files, labelled by a table of SOP Instance UIDs or by class folders.

    Parameters
    ----------
    folder
        Holds DICOM files at any depth and ``labels.csv`` with the columns sop_instance_uid and
        label, or class folders.

    Returns
    -------
    Dataset
        The group is the patient: a hash of PatientID or, without one, of StudyInstanceUID.

    Raises
    ------
    InputError
        A file is damaged or names no patient and no study, a UID of the table is not there, or
        fewer than two labels are left.
    """
    if not (folder / "labels.csv").is_file():
        dataset = read_folders(folder)
        return replace(dataset, name="dicom")
    rows = table_rows(folder / "labels.csv", required=frozenset({"sop_instance_uid", "label"}))
    labels = {row["sop_instance_uid"]: row["label"] for row in rows}
    records, notes = instance_labels(folder, image_paths(folder), labels)
    return _dataset("dicom", folder, records, notes)
