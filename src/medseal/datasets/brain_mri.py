"""Brain MRI, tumour or no tumour: 224x224 slices merged from several public collections."""

from pathlib import Path

from medseal.datasets.loader import Dataset
from medseal.datasets.named import read_named
from medseal.datasets.specification import DatasetSpec

__all__ = ["CLASSES", "NAME", "SPEC", "read_brain_mri"]

NAME = "brain-mri"
CLASSES = ("no_tumour", "tumour")
_TUMOURS = ("glioma", "meningioma", "pituitary")
SPEC = DatasetSpec(
    name=NAME,
    modality="MRI brain",
    classes=CLASSES,
    labels={
        **{
            name: "tumour"
            for kind in _TUMOURS
            for name in (kind, f"{kind}_tumor", f"{kind}_tumour")
        },
        **dict.fromkeys(("tumor", "brain_tumor", "brain_tumour", "yes", "positive", "1"), "tumour"),
        **dict.fromkeys(("notumor", "notumour", "no_tumor", "no_tumour", "no"), "no_tumour"),
        **dict.fromkeys(("normal", "healthy", "negative", "0"), "no_tumour"),
    },
)


def read_brain_mri(folder: Path) -> Dataset:
    """Return the brain MRI in a folder.

    Parameters
    ----------
    folder
        Holds ``MANIFEST.csv``, or lies below a folder with one that lists it, or holds class
        folders such as glioma, meningioma, pituitary, tumour, notumor, yes, no.

    Raises
    ------
    InputError
        No brain MRI is there, or the manifest is malformed.

    Notes
    -----
    Tumours and healthy brains come from different collections, so a model can score well by
    telling the collections apart.
    """
    return read_named(folder, spec=SPEC)
