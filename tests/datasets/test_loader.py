import hashlib

import numpy as np
import pytest
from PIL import Image

from medseal.datasets import read_dataset
from medseal.datasets.brain_mri import read_brain_mri
from medseal.datasets.loader import Dataset
from medseal.errors import (
    ConfigurationError,
    DigestMismatchError,
    InputError,
    UnreadableImageError,
)

HEADER = "path,label,label_detail,group,modality,sha256\n"


def write_image(path, seed):
    generator = np.random.default_rng(seed)
    small = Image.fromarray(generator.integers(0, 256, (8, 8)).astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    small.resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    lines = []
    for seed, (name, label, detail) in enumerate(
        [("b/2.png", "tumour", "glioma"), ("b/1.png", "no_tumour", "notumor")]
    ):
        sha256 = write_image(tmp_path / name, seed)
        lines.append(f"{name},{label},{detail},g{seed},MRI brain,{sha256}\n")
    lines.append("x/3.png,normal,,g9,X-ray chest,\n")
    (tmp_path / "MANIFEST.csv").write_text(HEADER + "".join(lines))
    return tmp_path


def test_manifest_gives_brain_images_only_sorted(folder):
    dataset = read_brain_mri(folder)
    assert [record.path for record in dataset.records] == ["b/1.png", "b/2.png"]
    assert [dataset.label_index(record) for record in dataset.records] == [0, 1]
    assert dataset.read(dataset.records[0]).stored_values.shape == (1, 64, 64, 1)


def test_folder_below_the_manifest_keeps_names(folder):
    assert read_brain_mri(folder / "b").records == read_brain_mri(folder).records


def test_changed_image_is_refused(folder):
    write_image(folder / "b/1.png", 77)
    dataset = read_brain_mri(folder)
    with pytest.raises(DigestMismatchError, match=r"b/1\.png: the file is not the one"):
        dataset.read(dataset.records[0])


def test_missing_image_is_named(folder):
    (folder / "b/1.png").unlink()
    dataset = read_brain_mri(folder)
    with pytest.raises(UnreadableImageError, match=r"b/1\.png: cannot be read"):
        dataset.read(dataset.records[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label,group\n", "columns are missing: modality"),
        (HEADER + "../1.png,tumour,,g,MRI brain,\n", "leaves the folder"),
        (HEADER + "/1.png,tumour,,g,MRI brain,\n", "leaves the folder"),
        (HEADER + "1.png,stroke,,g,MRI brain,\n", "unknown labels stroke"),
        (HEADER, "no image of brain-mri"),
    ],
)
def test_wrong_manifests_are_refused(tmp_path, text, message):
    (tmp_path / "MANIFEST.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_brain_mri(tmp_path)


def test_class_folders_group_copies(tmp_path):
    write_image(tmp_path / "Training/glioma/a.png", 1)
    write_image(tmp_path / "Training/notumor/b.png", 2)
    image = Image.open(tmp_path / "Training/notumor/b.png")
    (tmp_path / "Testing/notumor").mkdir(parents=True)
    image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "Testing/notumor/c.png")
    image.resize((50, 50)).save(tmp_path / "Testing/notumor/d.jpg", quality=60)
    (tmp_path / "Testing/readme").mkdir()
    (tmp_path / "Testing/readme/e.png").write_bytes(b"not read")
    dataset = read_brain_mri(tmp_path)
    found = {record.path: record for record in dataset.records}
    assert sorted(found) == [
        "Testing/notumor/c.png",
        "Testing/notumor/d.jpg",
        "Training/glioma/a.png",
        "Training/notumor/b.png",
    ]
    copies = {found[name].group for name in found if "notumor" in name}
    assert len(copies) == 1
    assert found["Training/glioma/a.png"].group not in copies
    assert found["Training/glioma/a.png"].label == "tumour"
    assert all(dataset.read(record) is not None for record in dataset.records)


def test_unknown_name_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="known are brain-mri"):
        read_dataset("toes", tmp_path)


def test_selection_of_other_images_is_refused(folder):
    dataset = read_brain_mri(folder)
    assert dataset.select(["b/2.png"]) == (dataset.records[1],)
    with pytest.raises(InputError, match="not in the data set"):
        dataset.select(["b/9.png"])


def test_split_is_by_group(folder):
    dataset = read_brain_mri(folder)
    both = Dataset(
        name="x",
        root=folder,
        classes=dataset.classes,
        records=dataset.records,
    )
    assert sum(both.split(seed=1).counts.values()) == 2
