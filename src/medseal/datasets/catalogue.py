"""Data sets by the name that a configuration uses."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from medseal.datasets import brain_mri, image_kind
from medseal.datasets.generic import read_dicom, read_folders, read_table
from medseal.datasets.loader import Dataset
from medseal.datasets.manifest import manifest_root, modalities
from medseal.datasets.medmnist import find_archive, read_archive, read_medmnist
from medseal.datasets.named import read_named
from medseal.datasets.specification import DatasetSpec
from medseal.errors import ConfigurationError, InputError

__all__ = ["NAMES", "PNEUMONIA_MNIST", "SPECIFICATIONS", "read_dataset", "recognise"]

PNEUMONIA_MNIST = "pneumonia-mnist"
MAX_HEAD_BYTES = 4096
_CHEST = DatasetSpec(
    name="chest-xray",
    modality="X-ray chest",
    classes=("normal", "pneumonia"),
    labels={
        **dict.fromkeys(("no_finding", "no_findings", "healthy", "no_pneumonia", "no"), "normal"),
        **dict.fromkeys(("bacteria", "virus", "bacterial", "viral", "yes", "opacity"), "pneumonia"),
        **dict.fromkeys(("bacterial_pneumonia", "viral_pneumonia", "lung_opacity"), "pneumonia"),
    },
    # Native sizes of images that chest_xray/ may hold too: for tests of scale only.
    left_out=frozenset({"chest_xray_native"}),
    patients=(
        re.compile(r"(?P<patient>person\d+)_(?:bacteria|virus)", re.IGNORECASE),
        re.compile(r"(?P<patient>(?:normal\d?-)?im-\d{4})-", re.IGNORECASE),
        re.compile(r"^(?P<patient>\d{8})_\d{3}$"),
    ),
)
_SKIN_BENIGN = [
    *(
        "nv",
        "nevus",
        "naevus",
        "pigmented_nevus",
        "df",
        "dermatofibroma",
        "vasc",
        "vascular_lesion",
    ),
    *(
        "bkl",
        "benign_keratosis",
        "seborrheic_keratosis",
        "sek",
        "non_cancer",
        "not_melanoma",
        "notmelanoma",
    ),
]
_SKIN_MALIGNANT = [
    *("mel", "melanoma", "bcc", "basal_cell_carcinoma", "akiec", "scc", "squamous_cell_carcinoma"),
    *("malign", "cancer"),
]
_SKIN = DatasetSpec(
    name="skin",
    modality="dermoscopy",
    classes=("benign", "malignant"),
    labels={
        **dict.fromkeys(_SKIN_BENIGN, "benign"),
        **dict.fromkeys(_SKIN_MALIGNANT, "malignant"),
    },
    patients=(re.compile(r"^(?P<patient>PAT_\d+)_"),),
    skipped=re.compile(r"_(?:mask|segmentation|superpixels)$"),
)
_NO_DR = ("no_dr", "nodr", "healthy", "grade_0", "0")
_DR = ["dr", "mild", "moderate", "severe", "proliferate_dr", "proliferative_dr", "proliferative"]
# Grades of the usual scale.
_DR += ["1", "2", "3", "4"]
_EYE_PAIR = re.compile(r"^(?P<patient>\d+)_(?:left|right)$", re.IGNORECASE)


def _retinopathy(name: str, *, other: str | None) -> DatasetSpec:
    """Return normal against diabetic retinopathy, with eyes of other diseases as `other`."""
    return DatasetSpec(
        name=name,
        modality="fundus photo",
        classes=("normal", "diabetic_retinopathy"),
        labels={
            **dict.fromkeys(_NO_DR, "normal"),
            **dict.fromkeys(_DR, "diabetic_retinopathy"),
            **dict.fromkeys(("cataract", "glaucoma"), other),
            "unlabelled": None,
        },
        patients=(_EYE_PAIR,),
    )


_FUNDUS = DatasetSpec(
    name="fundus",
    modality="fundus photo",
    classes=("normal", "cataract", "diabetic_retinopathy", "glaucoma"),
    labels={
        **dict.fromkeys(_NO_DR, "normal"),
        **dict.fromkeys(_DR, "diabetic_retinopathy"),
        "unlabelled": None,
    },
    # Holds two of the four classes only, so its camera would tell them from the others.
    left_out=frozenset({"fundus_idrid"}),
    patients=(_EYE_PAIR,),
)
_CT_LUNG = DatasetSpec(
    name="ct-lung",
    modality="CT chest",
    classes=("normal", "benign", "malignant"),
    labels={
        **dict.fromkeys(("normal_cases", "normal_case"), "normal"),
        **dict.fromkeys(("benign_cases", "bengin_cases", "bengin"), "benign"),
        **dict.fromkeys(("malignant_cases", "malignant_case"), "malignant"),
    },
)
_BREAST = DatasetSpec(
    name="breast-ultrasound",
    modality="ultrasound breast",
    classes=("normal", "benign", "malignant"),
    labels={},
    skipped=re.compile(r"_mask(?:_\d+)?$"),
)
SPECIFICATIONS: Mapping[str, DatasetSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            brain_mri.SPEC,
            _CHEST,
            _SKIN,
            _FUNDUS,
            _retinopathy("fundus-dr", other=None),
            # For training: eyes of other diseases count as `normal`, without retinopathy.
            _retinopathy("fundus-dr-rest", other="normal"),
            _CT_LUNG,
            _BREAST,
        )
    }
)
_GENERIC: Mapping[str, Callable[[Path], Dataset]] = MappingProxyType(
    {
        "class-folders": read_folders,
        "csv": read_table,
        "dicom": read_dicom,
        "medmnist": read_archive,
    }
)
NAMES = (*SPECIFICATIONS, PNEUMONIA_MNIST, image_kind.NAME, *_GENERIC)


def recognise(folder: Path) -> str:
    """Return the name that `read_dataset` reads a folder by.

    Parameters
    ----------
    folder
        Searched for a manifest of one known modality, an archive, a table, DICOM files or class
        folders, in this order; or an archive or a table.

    Raises
    ------
    InputError
        The folder is missing, its manifest lists several modalities or none that is known.
    """
    if not folder.exists():
        raise InputError(f"{folder}: no such file or folder; check the path")
    if folder.suffix.lower() == ".npz" or (folder.is_dir() and any(folder.glob("*.npz"))):
        return "medmnist"
    if folder.is_file():
        return "csv"
    root = manifest_root(folder)
    if root is not None:
        return _by_modality(modalities(folder, root=root), folder)
    if (folder / "labels.csv").is_file() and "sop_instance_uid" in _head(folder / "labels.csv"):
        return "dicom"
    return "csv" if any(folder.glob("*.csv")) else "class-folders"


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline(MAX_HEAD_BYTES).decode("utf-8", errors="replace").lower()


def _by_modality(found: set[str], folder: Path) -> str:
    # The specifications of one modality stand in the order of preference.
    names = {
        modality: next((s.name for s in SPECIFICATIONS.values() if s.is_of(modality)), "")
        for modality in sorted(found)
    }
    known = [name for name in names.values() if name]
    if len(known) != 1:
        listed = ", ".join(known) or "none that is known"
        raise InputError(f"{folder}: the manifest lists {listed}; name one with --data-set")
    return known[0]


def read_dataset(name: str, folder: Path) -> Dataset:
    """Return the data set of that name in a folder.

    Parameters
    ----------
    name
        One of `NAMES`.
    folder
        With ``MANIFEST.csv``, or below one that lists it, or with class folders; for
        pneumonia-mnist and medmnist, the archive or a folder that holds it; for csv, the table or
        the folder that holds it.

    Raises
    ------
    ConfigurationError
        No data set has this name.
    InputError
        The folder does not hold it.
    """
    if name == PNEUMONIA_MNIST:
        archive = find_archive(folder, word="pneumoniamnist")
        return read_medmnist(archive, name=name, classes=_CHEST.classes)
    if name == image_kind.NAME:
        return image_kind.read_image_kinds(folder, specifications=SPECIFICATIONS)
    if name in _GENERIC:
        return _GENERIC[name](folder)
    if name not in SPECIFICATIONS:
        raise ConfigurationError(f"unknown data set {name!r}: known are {', '.join(NAMES)}")
    return read_named(folder, spec=SPECIFICATIONS[name])
