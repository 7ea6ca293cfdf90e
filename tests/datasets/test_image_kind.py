"""Kinds of image: one sample of each named data set, labelled by its modality."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from medseal.datasets import read_dataset
from medseal.datasets.catalogue import SPECIFICATIONS
from medseal.datasets.image_kind import KINDS
from medseal.errors import InputError

COLUMNS = "path,modality,label,label_detail,source_dataset,licence,sha256,group"


def write(folder: Path, names: tuple[str, ...], *, images: int) -> Path:
    rows = [COLUMNS]
    for name in names:
        spec = SPECIFICATIONS[name]
        for number in range(images):
            path = f"{name}/{number}.png"
            (folder / name).mkdir(exist_ok=True)
            Image.new("L", (8, 8), number % 256).save(folder / path)
            label = spec.classes[number % len(spec.classes)]
            rows.append(f"{path},{spec.modality},{label},,{name},,,patient{number}")
    (folder / "MANIFEST.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_every_kind_is_there_under_its_dicom_modality(tmp_path: Path) -> None:
    dataset = read_dataset("image-kind", write(tmp_path, tuple(KINDS), images=12))
    assert dataset.classes == ("CT", "DX", "MR", "OP", "US", "XC")
    assert Counter(record.label for record in dataset.records) == dict.fromkeys(dataset.classes, 12)


def test_the_same_patient_number_of_two_sets_is_not_one_group(tmp_path: Path) -> None:
    dataset = read_dataset("image-kind", write(tmp_path, tuple(KINDS), images=3))
    assert len({record.group for record in dataset.records}) == 3 * len(KINDS)


def test_a_missing_set_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, tuple(name for name in KINDS if name != "skin"), images=3)
    with pytest.raises(InputError, match="skin"):
        read_dataset("image-kind", folder)
