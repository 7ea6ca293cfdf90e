"""Labelled images listed in a manifest (CSV), for one named data set."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from medseal.datasets.folders import patients_by_name
from medseal.datasets.grouping import clusters
from medseal.datasets.loader import Record
from medseal.datasets.provenance import collection_of
from medseal.datasets.specification import DatasetSpec
from medseal.errors import InputError

__all__ = [
    "MANIFEST_NAME",
    "MAX_MANIFEST_BYTES",
    "manifest_root",
    "modalities",
    "read_manifest",
    "relative_path",
]

MANIFEST_NAME = "MANIFEST.csv"
MAX_MANIFEST_BYTES = 256 * 2**20
_REQUIRED = frozenset({"path", "label", "modality"})
# Folders above the given one that are searched for a manifest.
_LEVELS = 4

Row = dict[str, str]


def manifest_root(folder: Path) -> Path | None:
    """Return the folder whose manifest lists what lies in `folder`, or None.

    That is `folder`, or the nearest of the `_LEVELS` folders above it whose manifest names a path
    inside `folder`.
    """
    if (folder / MANIFEST_NAME).is_file():
        return folder
    place = folder.resolve()
    for root in place.parents[:_LEVELS]:
        if (root / MANIFEST_NAME).is_file():
            prefix = f"{place.relative_to(root).as_posix()}/"
            if any(row["path"].startswith(prefix) for row in _rows(root / MANIFEST_NAME)):
                return root
    return None


def _rows(path: Path) -> list[Row]:
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise InputError(f"{path}: a manifest has at most {MAX_MANIFEST_BYTES} bytes")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = _REQUIRED - set(reader.fieldnames or ())
            if missing:
                raise InputError(f"{path}: columns are missing: {', '.join(sorted(missing))}")
            return [{name: value or "" for name, value in row.items() if name} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8; export it again") from error


def modalities(folder: Path, *, root: Path) -> set[str]:
    """Return the modalities of the images in `folder` that the manifest in `root` lists."""
    prefix = _prefix(folder, root)
    return {
        row["modality"] for row in _rows(root / MANIFEST_NAME) if row["path"].startswith(prefix)
    }


def _prefix(folder: Path, root: Path) -> str:
    inside = folder.resolve().relative_to(root.resolve()).as_posix()
    return "" if inside == "." else f"{inside}/"


def read_manifest(folder: Path, *, root: Path, spec: DatasetSpec) -> list[Record]:
    """Return the records of one data set in a manifest.

    Parameters
    ----------
    folder
        Only images below it are taken; they keep their names below `root`.
    root
        Holds `MANIFEST_NAME`, with the columns path, label and modality and, optionally, group,
        label_detail, source_dataset (or source), licence, sha256 and split.
    spec
        Which modality and labels to take.

    Returns
    -------
    list
        Sorted by path. Without a column ``group``, near-duplicates and file names group them.

    Raises
    ------
    InputError
        The manifest is too large, lacks a column or is no CSV; a label is unknown; a path leaves
        the folder.
    """
    prefix = _prefix(folder, root)
    rows = [
        row
        for row in _rows(root / MANIFEST_NAME)
        if row["path"].startswith(prefix) and _wanted(row, spec, whole=not prefix)
    ]
    unknown = {row["label"] for row in rows if not spec.knows(row["label"])}
    if unknown:
        raise InputError(
            f"{spec.name}: unknown labels {', '.join(sorted(unknown))} in {root / MANIFEST_NAME}: "
            f"its classes are {', '.join(spec.classes)}"
        )
    found = [(row, spec.label_of(row["label"])) for row in rows]
    records = [_record(row, label) for row, label in found if label is not None]
    records.sort(key=lambda record: record.path)
    records = _with_true_details(records)
    if records and not any(record.group for record in records):
        paths = [root / record.path for record in records]
        patients = patients_by_name(paths, root=root, spec=spec)
        groups = clusters(paths, root=root, patients=patients)
        records = [replace(r, group=g) for r, g in zip(records, groups, strict=True)]
    ungrouped = [record.path for record in records if not record.group]
    if ungrouped:
        raise InputError(f"{root / MANIFEST_NAME}: {ungrouped[0]} has no group; fill the column")
    return records


def _wanted(row: Row, spec: DatasetSpec, *, whole: bool) -> bool:
    return spec.is_of(row["modality"]) and not (
        whole and PurePosixPath(row["path"]).parts[0] in spec.left_out
    )


def relative_path(text: str) -> str:
    """Return a path of a manifest, in one form.

    Raises
    ------
    InputError
        It is empty or leaves the folder.
    """
    pure = PurePosixPath(text)
    if not text or pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"{MANIFEST_NAME}: {text or 'an empty path'} leaves the folder")
    return pure.as_posix()


def _record(row: Row, label: str) -> Record:
    path = relative_path(row["path"])
    detail = row.get("label_detail") or row["label"]
    return Record(
        path=path,
        label=label,
        detail=detail,
        group=row.get("group", ""),
        sha256=row.get("sha256", ""),
        source=row.get("source_dataset")
        or row.get("source")
        or path.rpartition("/")[0].split("/")[0],
        licence=row.get("licence", ""),
        collection=collection_of(path),
        part=row.get("split", ""),
    )


def _with_true_details(records: Sequence[Record]) -> list[Record]:
    """Return records whose detail is a kind of their label.

    A remark that stands beside several labels, or a file suffix, is none: the label takes its
    place, so that the split is stratified by label.
    """
    labels: dict[str, set[str]] = defaultdict(set)
    for record in records:
        labels[record.detail].add(record.label)
    return [
        replace(record, detail=record.label)
        if len(labels[record.detail]) > 1 or record.detail.startswith(".")
        else record
        for record in records
    ]
