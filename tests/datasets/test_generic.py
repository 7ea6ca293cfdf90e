from io import BytesIO

import numpy as np
import pydicom
import pytest
from PIL import Image

from medseal.datasets import ct_phantom, read_dataset
from medseal.datasets.catalogue import recognise
from medseal.datasets.generic import ordered_classes
from medseal.errors import InputError
from medseal.imaging import encode


def test_what_says_nothing_found_comes_first():
    assert ordered_classes(["abnormal", "normal"]) == ("normal", "abnormal")
    assert ordered_classes(["COVID", "lesion", "No finding", "No finding"]) == (
        "No finding", "COVID", "lesion"
    )  # fmt: skip
    assert ordered_classes(["1", "0", "nodule"]) == ("0", "1", "nodule")


@pytest.fixture
def tree(tmp_path, write_image):
    def make(*names):
        for seed, name in enumerate(names):
            write_image(tmp_path / name, seed)
        return tmp_path

    return make


def test_class_folders_of_any_names(tree):
    folder = tree("Cyst/p1/a.png", "Stone/b.jpg", "Normal/c.tif", "readme.png")
    dataset = read_dataset("class-folders", folder)
    assert dataset.classes == ("normal", "cyst", "stone")
    assert [record.label for record in dataset.records] == ["cyst", "normal", "stone"]
    assert recognise(folder) == "class-folders"


def test_sources_above_class_folders(tree):
    dataset = read_dataset(
        "class-folders", tree("A/ill/1.png", "A/well/2.png", "B/ill/3.png", "B/well/4.png")
    )
    assert dataset.classes == ("ill", "well")
    assert dataset.sources == ("A", "B")


def test_folders_of_parts_are_honoured_and_copies_left_out(tree):
    folder = tree(
        "train/ill/1.png", "train/well/2.png", "train/ill/5.png", "val/ill/3.png", "test/well/4.png"
    )
    image = Image.open(folder / "test/well/4.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image.save(folder / "train/well/copy.png")
    dataset = read_dataset("class-folders", folder)
    split = dataset.split(seed=1)
    assert split.names("train") == ("train/ill/1.png", "train/ill/5.png", "train/well/2.png")
    assert split.names("validation") == ("val/ill/3.png",)
    assert dataset.notes == ("1 train images left out: they also stand in test",)


def test_validation_is_drawn_from_training_where_it_is_not_given(tree):
    folder = tree(*(f"train/{label}/{n}.png" for label in "xy" for n in range(10)), "test/x/a.png")
    split = read_dataset("class-folders", folder).split(seed=1)
    assert split.counts == {"train": 18, "validation": 2, "test": 1}


@pytest.mark.parametrize("names", [("only/1.png",), ("1.png", "2.png"), ("readme.txt",)])
def test_too_few_class_folders(tmp_path, write_image, names):
    for name in names:
        if name.endswith("png"):
            write_image(tmp_path / name, 1)
    with pytest.raises(InputError, match="needs at least two folders with images"):
        read_dataset("class-folders", tmp_path)


def test_empty_class_is_named(tree):
    folder = tree("train/ill/1.png", "train/well/2.png")
    (folder / "train/other").mkdir()
    with pytest.raises(InputError, match="class folder other holds no image; add images or remove"):
        read_dataset("class-folders", folder)


def table(folder, *rows, header="path,label", name="labels.csv"):
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


def test_table_with_groups_patients_sources_and_split(tree):
    folder = tree("a/1.png", "a/2.png", "b/3.png", "b/4.png")
    table(
        folder,
        "a/1.png,yes,g1,p1,S1,train",
        "a/2.png,no,,p1,S1,train",
        "b/3.png,no,g3,,S2,val",
        "b/4.png,no,,,,TEST",
        header="Path,LABEL,group,patient,source,split",
    )
    dataset = read_dataset("csv", folder)
    assert dataset.classes == ("no", "yes")
    assert [record.group for record in dataset.records] == ["g1", "g1", "g3", "b/4.png"]
    assert dataset.sources == ("S1", "S2", "b")
    assert dataset.split(seed=1).counts == {"train": 2, "validation": 1, "test": 1}
    assert recognise(folder) == "csv"
    assert read_dataset("csv", folder / "labels.csv") == dataset


def test_patient_in_two_parts_is_refused(tree):
    folder = tree("1.png", "2.png")
    table(folder, "1.png,yes,p,train", "2.png,no,p,test", header="path,label,patient,split")
    with pytest.raises(InputError, match=r"2\.png: its patient or group p is in train and in test"):
        read_dataset("csv", folder).split(seed=1)


def test_table_without_groups_gets_clusters(tree, write_image):
    folder = tree("1.png", "2.png")
    write_image(folder / "3.png", 0)
    table(folder, "1.png,yes", "2.png,no", "3.png,no", name="mine.csv")
    dataset = read_dataset("csv", folder)
    assert [record.group for record in dataset.records] == ["cluster-0", "cluster-1", "cluster-0"]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("path,class", ["1.png,a"], "columns are missing: label; add them to the first line"),
        ("path,label", [], "columns are missing: label, path"),
        ("path,label", ["1.png,a", "2.png,"], "line 3: label is empty; fill it or drop the row"),
        ("path,label", ["1.png,a", "9.png,b"], r"9\.png: listed, but not there; correct the path"),
        ("path,label", ["1.png,a", "1.png,b"], r"1\.png is listed twice; keep one row"),
        ("path,label", ["1.png,a", "../2.png,b"], "leaves the folder"),
        ("path,label", ["1.png,a", "2.png,a"], "at least two labels are needed, found a"),
    ],
)
def test_wrong_tables_are_refused(tree, header, rows, message):
    folder = tree("1.png", "2.png")
    table(folder, *rows, header=header)
    with pytest.raises(InputError, match=message):
        read_dataset("csv", folder)


def test_several_tables_are_refused(tree):
    folder = tree("1.png")
    table(folder, "1.png,a", name="one.csv")
    table(folder, "1.png,a", name="two.csv")
    with pytest.raises(InputError, match=r"found one\.csv, two\.csv; name it labels\.csv"):
        read_dataset("csv", folder)


def dicom(path, *, patient, seed):
    image = ct_phantom(generator=np.random.default_rng(seed), rows=64, columns=64)
    header = pydicom.dcmread(BytesIO(encode(image, "dicom")))
    header.PatientID = patient
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path)
    return str(header.SOPInstanceUID)


def test_dicom_labelled_by_instance(tmp_path):
    uids = [dicom(tmp_path / f"s/{n}.dcm", patient=f"P{n // 2}", seed=n) for n in range(4)]
    rows = [f"{uid},{label}" for uid, label in zip(uids, ["no", "no", "yes"], strict=False)]
    table(tmp_path, *rows, header="sop_instance_uid,label")
    assert recognise(tmp_path) == "dicom"
    dataset = read_dataset("dicom", tmp_path)
    groups = [record.group for record in dataset.records]
    assert groups[0] == groups[1] != groups[2]
    assert all("P0" not in group for group in groups)
    assert dataset.notes == ("1 DICOM files left out: labels.csv does not name them",)
    assert dataset.read(dataset.records[0]).modality == "CT"
    table(tmp_path, *rows, "1.2.3,no", header="sop_instance_uid,label")
    with pytest.raises(InputError, match=r"1 instances are not there, the first is 1\.2\.3; copy"):
        read_dataset("dicom", tmp_path)


@pytest.mark.parametrize("suffix", [".dcm", ""])
def test_dicom_in_class_folders_groups_patients(tmp_path, suffix):
    for n in range(4):
        dicom(tmp_path / ("no", "yes")[n % 2] / f"IM{n}{suffix}", patient=f"P{n // 2}", seed=n)
    groups = {record.path: record.group for record in read_dataset("dicom", tmp_path).records}
    names = [f"{label}/IM{n}{suffix}" for n, label in enumerate(["no", "yes", "no"])]
    assert groups[names[0]] == groups[names[1]] != groups[names[2]]


def test_dicom_without_patient_and_study_is_refused(tmp_path):
    uid = dicom(tmp_path / "1.dcm", patient="", seed=1)
    header = pydicom.dcmread(tmp_path / "1.dcm")
    del header.StudyInstanceUID
    header.save_as(tmp_path / "1.dcm")
    table(tmp_path, f"{uid},no", header="sop_instance_uid,label")
    with pytest.raises(InputError, match=r"1\.dcm: neither PatientID nor StudyInstanceUID"):
        read_dataset("dicom", tmp_path)


def test_volumes_are_one_record_each(tmp_path):
    for n, label in enumerate(["no", "yes", "no"]):
        image = ct_phantom(generator=np.random.default_rng(n), rows=64, columns=64, frames=3)
        path = tmp_path / label / f"{n}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode(image, "nifti"))
    dataset = read_dataset("class-folders", tmp_path)
    assert [record.path for record in dataset.records] == [
        "no/0.nii.gz",
        "no/2.nii.gz",
        "yes/1.nii.gz",
    ]
    assert dataset.read(dataset.records[0]).frames == 3


def test_recognition_names_what_a_manifest_lists(tmp_path):
    header = "path,modality,label,group"
    table(tmp_path, "a/1.png,dermoscopy,benign,g", header=header, name="MANIFEST.csv")
    assert recognise(tmp_path) == "skin"
    table(
        tmp_path,
        "a/1.png,dermoscopy,benign,g",
        "b/1.png,CT chest,normal,h",
        header=header,
        name="MANIFEST.csv",
    )
    with pytest.raises(
        InputError, match="the manifest lists ct-lung, skin; name one with --data-set"
    ):
        recognise(tmp_path)
    (tmp_path / "b").mkdir()
    assert recognise(tmp_path / "b") == "ct-lung"
    with pytest.raises(InputError, match="no such file or folder"):
        recognise(tmp_path / "c")
