"""Brain MRI, tumour or no tumour: 224x224 slices merged from several public collections."""

from pathlib import Path

from medseal.datasets.loader import MANIFEST_NAME, Dataset, read_class_folders, read_manifest

__all__ = ["CLASSES", "NAME", "read_brain_mri"]

NAME = "brain-mri"
CLASSES = ("no_tumour", "tumour")
_MODALITY = "MRI brain"
# Folder names of the public collection.
_FOLDERS = {
    "glioma": "tumour",
    "meningioma": "tumour",
    "pituitary": "tumour",
    "notumor": "no_tumour",
    "tumour": "tumour",
    "tumor": "tumour",
    "no_tumour": "no_tumour",
    "no_tumor": "no_tumour",
}


def read_brain_mri(folder: Path) -> Dataset:
    """Return the brain MRI in a folder.

    Parameters
    ----------
    folder
        Holds ``MANIFEST.csv`` (or lies directly below a folder with it), or class folders named
        glioma, meningioma, pituitary, tumour, notumor, no_tumour.

    Raises
    ------
    InputError
        No brain MRI is there, or the manifest is malformed.

    Notes
    -----
    Tumours and healthy brains come from different collections, so a model can score well by
    telling the collections apart.
    """
    if any((place / MANIFEST_NAME).is_file() for place in (folder, folder.parent)):
        root, records = read_manifest(folder, keep=lambda row: row["modality"] == _MODALITY)
    else:
        root, records = folder, read_class_folders(folder, labels=_FOLDERS)
    return Dataset(name=NAME, root=root, classes=CLASSES, records=tuple(records))
