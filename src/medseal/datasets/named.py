"""One reader for all named data sets: by manifest, or by class folders."""

from pathlib import Path

from medseal.datasets.folders import read_class_folders
from medseal.datasets.loader import Dataset
from medseal.datasets.manifest import manifest_root, read_manifest
from medseal.datasets.specification import DatasetSpec
from medseal.errors import InputError

__all__ = ["read_named"]


def read_named(folder: Path, *, spec: DatasetSpec) -> Dataset:
    """Return the images that belong to a specification.

    Parameters
    ----------
    folder
        Holds ``MANIFEST.csv``, or lies below a folder with one that lists it: then the names are
        relative to that folder. Otherwise class folders are read at any depth.
    spec
        Modality, classes and spellings.

    Raises
    ------
    InputError
        The folder is missing, no such image is there, or the manifest is malformed.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the one with the images of {spec.name}")
    root = manifest_root(folder)
    if root is None:
        records = read_class_folders(folder, spec=spec)
        return Dataset(name=spec.name, root=folder, classes=spec.classes, records=tuple(records))
    records = read_manifest(folder, root=root, spec=spec)
    return Dataset(name=spec.name, root=root, classes=spec.classes, records=tuple(records))
