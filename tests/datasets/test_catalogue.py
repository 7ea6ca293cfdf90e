import pytest

from medseal.datasets import NAMES, read_dataset
from medseal.datasets.catalogue import SPECIFICATIONS
from medseal.errors import ConfigurationError, InputError, UnreadableImageError

TREES = {
    "brain-mri": {"yes/Y1.jpg": "tumour", "no/1 no.jpeg": "no_tumour"},
    "chest-xray": {
        "kermany/train/NORMAL/IM-0115-0001.jpeg": "normal",
        "kermany/test/PNEUMONIA/person1_virus_6.jpeg": "pneumonia",
        "nih/No_findings/00000001_000.png": "normal",
    },
    "skin": {
        "Benign/1.jpg": "benign",
        "MEL/2.jpg": "malignant",
        "Basal cell carcinoma/3.jpg": "malignant",
    },
    "fundus": {
        "normal/1_left.jpg": "normal",
        "cataract/_0_1.jpg": "cataract",
        "glaucoma/_1_1.jpg": "glaucoma",
        "diabetic_retinopathy/10_left.jpeg": "diabetic_retinopathy",
    },
    "fundus-dr": {
        "No_DR/a.png": "normal",
        "DR/b.png": "diabetic_retinopathy",
        "glaucoma/c.png": None,
    },
    "fundus-dr-rest": {
        "No_DR/a.png": "normal",
        "DR/b.png": "diabetic_retinopathy",
        "glaucoma/c.png": "normal",
    },
    "ct-lung": {
        "Bengin cases/1.jpg": "benign",
        "Malignant cases/1.jpg": "malignant",
        "Normal cases/1.jpg": "normal",
    },
    "breast-ultrasound": {
        "benign/benign (1).png": "benign",
        "benign/benign (1)_mask.png": None,
        "malignant/m.png": "malignant",
        "normal/n.png": "normal",
    },
}


def test_every_specification_has_a_tree_here():
    assert set(TREES) == set(SPECIFICATIONS)
    assert set(SPECIFICATIONS) < set(NAMES)


@pytest.mark.parametrize("name", TREES)
def test_class_folders_with_usual_spellings(tmp_path, write_image, name):
    for seed, path in enumerate(TREES[name]):
        write_image(tmp_path / path, seed, colour=True)
    dataset = read_dataset(name, tmp_path)
    found = {record.path: record.label for record in dataset.records}
    assert found == {path: label for path, label in TREES[name].items() if label is not None}
    assert dataset.read(dataset.records[0]).samples == 3


def test_sources_and_patients_of_a_tree(tmp_path, write_image):
    names = (
        "kermany/train/PNEUMONIA/person1_virus_6.jpeg",
        "kermany/test/PNEUMONIA/person1_bacteria_2.jpeg",
        "kermany/test/NORMAL/IM-0001-0001.jpeg",
        "nih/pneumonia/person1_virus_6.jpeg",
    )
    for seed, name in enumerate(names):
        write_image(tmp_path / name, seed)
    dataset = read_dataset("chest-xray", tmp_path)
    assert dataset.sources == ("kermany", "nih")
    groups = {record.path: record.group for record in dataset.records}
    assert groups[names[0]] == groups[names[1]]
    assert len(set(groups.values())) == 3
    assert {record.collection for record in dataset.records} == {"IM", "person"}


def test_source_of_a_plain_tree_is_its_folder(tmp_path, write_image):
    write_image(tmp_path / "BrainX/Training/yes/a.png", 1)
    write_image(tmp_path / "BrainX/Training/no/b.png", 2)
    assert read_dataset("brain-mri", tmp_path / "BrainX").sources == ("BrainX",)


def manifest(folder, rows, header="path,modality,label,label_detail,group,source_dataset"):
    (folder / "MANIFEST.csv").write_text("\n".join([header, *rows]) + "\n")


def test_manifest_with_other_folders_and_native_sizes(tmp_path):
    manifest(
        tmp_path,
        [
            "siteA/x/1.png,X-ray chest,normal,,a1,A",
            "siteB/2.png,x-ray CHEST,Pneumonia,,b1,B",
            "chest_xray_native/3.png,X-ray chest,normal,,c1,A",
            "siteC/4.png,CT chest,normal,,c2,C",
        ],
    )
    (tmp_path / "siteA/x").mkdir(parents=True)
    (tmp_path / "chest_xray_native").mkdir()
    dataset = read_dataset("chest-xray", tmp_path)
    assert [(r.path, r.label, r.source) for r in dataset.records] == [
        ("siteA/x/1.png", "normal", "A"),
        ("siteB/2.png", "pneumonia", "B"),
    ]
    below = read_dataset("chest-xray", tmp_path / "siteA/x")
    assert [record.path for record in below.records] == ["siteA/x/1.png"]
    assert below.root == tmp_path
    assert len(read_dataset("chest-xray", tmp_path / "chest_xray_native").records) == 1


def test_remarks_are_no_details(tmp_path):
    manifest(
        tmp_path,
        [
            "f/1_left.jpg,fundus photo,normal,.jpg,e1,K",
            "f/_1_2.jpg,fundus photo,cataract,.jpg,e2,K",
            "f/3_left.jpeg,fundus photo,diabetic_retinopathy,.jpeg,e3,K",
            "f/4_left.jpeg,fundus photo,diabetic_retinopathy,grade 4,e4,K",
            "c/1.jpg,fundus photo,unlabelled,,e5,CHASE",
        ],
    )
    dataset = read_dataset("fundus", tmp_path)
    assert [record.detail for record in dataset.records] == [
        "normal", "diabetic_retinopathy", "grade 4", "cataract"
    ]  # fmt: skip
    assert [record.collection for record in dataset.records] == [
        "ODIR",
        "EyePACS",
        "EyePACS",
        "_N_N",
    ]


def test_manifest_without_groups_gets_clusters(tmp_path, write_image):
    write_image(tmp_path / "a/1.png", 1)
    write_image(tmp_path / "a/2.png", 1)
    write_image(tmp_path / "a/3.png", 2)
    rows = [f"a/{n}.png,dermoscopy,benign" for n in (1, 2, 3)]
    manifest(tmp_path, rows, header="path,modality,label")
    dataset = read_dataset("skin", tmp_path)
    assert [record.group for record in dataset.records] == ["cluster-0", "cluster-0", "cluster-2"]
    assert dataset.sources == ("a",)
    manifest(tmp_path, ["a/1.png,dermoscopy,benign,g", "a/3.png,dermoscopy,benign,"],
             header="path,modality,label,group")  # fmt: skip
    with pytest.raises(InputError, match=r"a/3\.png has no group; fill the column"):
        read_dataset("skin", tmp_path)


def test_manifest_far_above_that_lists_other_things_is_ignored(tmp_path, write_image):
    manifest(tmp_path, ["other/1.png,dermoscopy,benign,,g,S"])
    write_image(tmp_path / "mine/benign/1.png", 1)
    dataset = read_dataset("skin", tmp_path / "mine")
    assert [record.path for record in dataset.records] == ["benign/1.png"]


def test_given_split_is_honoured(tmp_path):
    header = "path,modality,label,group,split"
    manifest(
        tmp_path,
        [
            f"{n}.png,dermoscopy,benign,g{n},{part}"
            for n, part in enumerate(["train", "val", "Test", "training"])
        ],
        header=header,
    )
    split = read_dataset("skin", tmp_path).split(seed=1)
    assert split.names("train") == ("0.png", "3.png")
    assert split.names("validation") == ("1.png",)
    assert split.names("test") == ("2.png",)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            ["1.png,dermoscopy,benign,g,train", "2.png,dermoscopy,benign,g,test"],
            "group g is in train and in test; move",
        ),
        (
            ["1.png,dermoscopy,benign,g,train", "2.png,dermoscopy,benign,h,"],
            "the split says '', not train",
        ),
        (["1.png,dermoscopy,benign,g,holdout"], "the split says 'holdout'"),
    ],
)
def test_impossible_splits_are_refused(tmp_path, rows, message):
    manifest(tmp_path, rows, header="path,modality,label,group,split")
    with pytest.raises(InputError, match=message):
        read_dataset("skin", tmp_path).split(seed=1)


def test_restriction_by_source_folder_and_collection(tmp_path):
    manifest(
        tmp_path,
        ["x/1_left.jpg,fundus photo,normal,,a,Old", "y/IDRiD_1.jpg,fundus photo,normal,,b,New"],
    )
    dataset = read_dataset("fundus-dr", tmp_path)
    assert dataset.sources == ("New", "Old")
    for name in ("Old", "x", "ODIR"):
        assert dataset.restrict(sources=[name]).sources == ("Old",)
        assert dataset.restrict(without=[name]).sources == ("New",)
    assert dataset.restrict() == dataset
    with pytest.raises(InputError, match="no source 'z': it has New, Old, x, y"):
        dataset.restrict(without=["z"])
    with pytest.raises(InputError, match="no image of fundus-dr"):
        dataset.restrict(sources=["x"], without=["ODIR"])


def test_missing_folder_and_damaged_image_are_named(tmp_path):
    with pytest.raises(InputError, match="no such folder; give the one with the images of skin"):
        read_dataset("skin", tmp_path / "nowhere")
    (tmp_path / "benign").mkdir()
    (tmp_path / "benign/bad.png").write_bytes(b"\x89PNG cut")
    with pytest.raises(
        UnreadableImageError, match=r"benign/bad\.png: .*; replace the file or move"
    ):
        read_dataset("skin", tmp_path)


def test_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(ConfigurationError, match="brain-mri, chest-xray, skin"):
        read_dataset("toes", tmp_path)
