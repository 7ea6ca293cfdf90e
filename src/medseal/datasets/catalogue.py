"""Data sets by the name that a configuration uses."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from medseal.datasets import brain_mri
from medseal.datasets.loader import Dataset
from medseal.datasets.medmnist import find_archive, read_medmnist
from medseal.datasets.named import read_named
from medseal.datasets.specification import DatasetSpec
from medseal.errors import ConfigurationError

__all__ = ["NAMES", "PNEUMONIA_MNIST", "SPECIFICATIONS", "read_dataset"]

PNEUMONIA_MNIST = "pneumonia-mnist"
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
    *("bkl", "benign_keratosis", "seborrheic_keratosis", "sek", "non_cancer", "not_melanoma"),
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
_NO_DR = ("no_dr", "nodr", "healthy", "grade_0", "dr_0", "retina_normal")
_DR = ("dr", "mild", "moderate", "severe", "proliferate_dr", "proliferative_dr", "proliferative")
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
NAMES = (*SPECIFICATIONS, PNEUMONIA_MNIST)


def read_dataset(name: str, folder: Path) -> Dataset:
    """Return the data set of that name in a folder.

    Parameters
    ----------
    name
        One of `NAMES`.
    folder
        With ``MANIFEST.csv``, or below one that lists it, or with class folders; for
        pneumonia-mnist, the archive or a folder that holds it.

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
    if name not in SPECIFICATIONS:
        raise ConfigurationError(f"unknown data set {name!r}: known are {', '.join(NAMES)}")
    return read_named(folder, spec=SPECIFICATIONS[name])
