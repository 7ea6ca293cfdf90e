"""Labelled images in folders named after their class, grouped by patient and near-duplicates."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from medseal.datasets.grouping import clusters
from medseal.datasets.loader import Record
from medseal.datasets.provenance import collection_of, source_of
from medseal.datasets.specification import DatasetSpec
from medseal.imaging import find_image_files

__all__ = ["image_paths", "patients_by_name", "read_class_folders"]


def image_paths(folder: Path) -> list[Path]:
    """Return the files below a folder that suffix or content show to be images; no hidden ones."""
    return [
        path
        for path in find_image_files([folder])
        if not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]


def read_class_folders(folder: Path, *, spec: DatasetSpec) -> list[Record]:
    """Return the images in folders named after their class.

    Parameters
    ----------
    folder
        Searched to any depth; the class is the name of the nearest folder above an image that
        `spec` knows. Images outside of such folders are left out.
    spec
        Says which names mean which class.

    Returns
    -------
    list
        Sorted by path; the detail is the name of the class folder in lower case. The source is
        the first folder above the class folder that says more than train or test, else the name
        of `folder`.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    found: list[tuple[Path, int]] = []
    for path in image_paths(folder):
        above = path.relative_to(folder).parts[:-1]
        depths = [depth for depth, name in enumerate(above) if spec.knows(name)]
        if depths and not (above[0] in spec.left_out or _is_skipped(path, spec)):
            found.append((path, depths[-1]))
    found = [(path, depth) for path, depth in found if _label(path, depth, folder, spec)]
    paths = [path for path, _ in found]
    patients = patients_by_name(paths, root=folder, spec=spec)
    groups = clusters(paths, root=folder, patients=patients)
    records = []
    for (path, depth), group in zip(found, groups, strict=True):
        relative = path.relative_to(folder)
        records.append(
            Record(
                path=relative.as_posix(),
                label=_label(path, depth, folder, spec) or "",
                detail=relative.parts[depth].lower(),
                group=group,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                source=source_of(relative.parts[:depth], otherwise=folder.resolve().name),
                collection=collection_of(relative.as_posix()),
            )
        )
    return records


def patients_by_name(
    paths: Sequence[Path], *, root: Path, spec: DatasetSpec
) -> list[tuple[str, str] | None]:
    """Return source and patient of each image as far as its file name shows them."""
    patients: list[tuple[str, str] | None] = []
    for path in paths:
        patient = spec.patient_of(path.stem)
        # Numbers of patients begin anew in each source.
        source = source_of(path.relative_to(root).parts[:-1], otherwise="")
        patients.append(None if patient is None else (source, patient.lower()))
    return patients


def _label(path: Path, depth: int, folder: Path, spec: DatasetSpec) -> str | None:
    return spec.label_of(path.relative_to(folder).parts[depth])


def _is_skipped(path: Path, spec: DatasetSpec) -> bool:
    return spec.skipped is not None and spec.skipped.search(path.stem.lower()) is not None
