"""Labelled images in folders named after their class, grouped by patient and near-duplicates."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal.datasets.duplicates import near_duplicate_groups
from medseal.datasets.loader import Record
from medseal.datasets.provenance import collection_of, source_of
from medseal.datasets.specification import DatasetSpec
from medseal.errors import InputError, UnreadableImageError
from medseal.imaging import display_values, read_bytes
from medseal.imaging.preprocess import to_grey

__all__ = ["IMAGE_SUFFIXES", "clusters", "image_paths", "read_class_folders"]

IMAGE_SUFFIXES = frozenset({".dcm", ".jpeg", ".jpg", ".nii", ".png", ".tif", ".tiff"})


def image_paths(folder: Path) -> list[Path]:
    """Return the files with the suffix of an image below a folder, sorted; hidden ones not."""
    return sorted(
        path
        for path in folder.rglob("*")
        if (path.suffix.lower() in IMAGE_SUFFIXES or path.name.lower().endswith(".nii.gz"))
        and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    )


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
    groups = clusters([path for path, _ in found], root=folder, spec=spec)
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


def _label(path: Path, depth: int, folder: Path, spec: DatasetSpec) -> str | None:
    return spec.label_of(path.relative_to(folder).parts[depth])


def _is_skipped(path: Path, spec: DatasetSpec) -> bool:
    return spec.skipped is not None and spec.skipped.search(path.stem.lower()) is not None


def clusters(paths: Sequence[Path], *, root: Path, spec: DatasetSpec) -> list[str]:
    """Return the group of each image: near-duplicates, and one patient's images, are joined.

    Parameters
    ----------
    paths
        Images of any size.
    root
        What messages name paths relative to.
    spec
        Says how file names show the patient.

    Returns
    -------
    list
        ``cluster-N``, N being the place of the group's first image.

    Raises
    ------
    UnreadableImageError
        An image is missing or damaged.
    """
    near = near_duplicate_groups([_grey(path, root=root) for path in paths])
    parent = [int(name.removeprefix("cluster-")) for name in near]
    first: dict[tuple[str, str], int] = {}
    for index, path in enumerate(paths):
        patient = spec.patient_of(path.stem)
        if patient is None:
            continue
        # Numbers of patients begin anew in each source.
        source = source_of(path.relative_to(root).parts[:-1], otherwise="")
        home = first.setdefault((source, patient.lower()), index)
        old, new = sorted((parent[home], parent[index]), reverse=True)
        if old != new:
            parent = [new if number == old else number for number in parent]
    return [f"cluster-{number}" for number in parent]


def _grey(path: Path, *, root: Path) -> NDArray[np.uint8]:
    name = path.relative_to(root).as_posix()
    try:
        return to_grey(display_values(read_bytes(path.read_bytes(), name=path.name)))
    except (OSError, InputError) as error:
        raise UnreadableImageError(f"{name}: {error}; replace the file or move it away") from error
