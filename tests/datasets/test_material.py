import pytest

from medseal.datasets import material
from medseal.datasets.material import is_held_out, training_files
from medseal.errors import InputError

LISTED = """path,modality,group,split_hint
ct_lung/a.png,CT chest,a,train
ct_lung/b.png,CT chest,b,test
ct_lung/c.png,CT chest,b,train
ct_lung/d.png,CT chest,d,val
fundus_chase/e.png,fundus photo,e,train
"""
DICOM = """path,modality,rows,columns,patient_id
dicom/CT__x__one.dcm,CT,512,512,{held}
dicom/CT__y__two.dcm,CT,512,512,{held}
dicom/MR__x__one.dcm,MR,512,512,{trained}
dicom/SEG__x__one.dcm,SEG,512,512,{held}
dicom/CT__x__small.dcm,CT,64,64,{held}
dicom/CT__x__none.dcm,CT,,,{held}
"""


def group(held):
    return next(name for name in map(str, range(50)) if is_held_out(name) == held)


def names(items):
    return [item.path.name for item in items]


@pytest.fixture
def data(tmp_path):
    (tmp_path / "MANIFEST.csv").write_text(LISTED)
    dicom = DICOM.format(held=group(True), trained=group(False))
    (tmp_path / "MANIFEST_dicom.csv").write_text(dicom)
    return tmp_path


def test_no_group_is_on_both_sides(data):
    training, tested = training_files(data), material.test_files(data)
    assert names(training) == ["a.png", "d.png", "MR__x__one.dcm"]
    assert names(tested) == ["b.png", "CT__x__one.dcm", "CT__y__two.dcm", "e.png"]
    assert not {item.group for item in training} & {item.group for item in tested}
    assert training[-1].modality == "DICOM MR"


def test_half_of_the_groups_without_a_part_are_held_out(tmp_path):
    rows = "".join(f"chest_xray_native/{n}.png,X-ray chest,g{n},train\n" for n in range(200))
    (tmp_path / "MANIFEST.csv").write_text("path,modality,group,split_hint\n" + rows)
    assert 80 < len(material.test_files(tmp_path)) < 120
    assert len(training_files(tmp_path)) == 200 - len(material.test_files(tmp_path))


def test_a_file_without_patient_goes_by_the_start_of_its_name(tmp_path):
    rows = "".join(
        f"dicom/CT__a{n}__{n:02}00-{i}.dcm,CT,256,256,\n" for n in range(9) for i in "ab"
    )
    (tmp_path / "MANIFEST_dicom.csv").write_text("path,modality,rows,columns,patient_id\n" + rows)
    sides = training_files(tmp_path), material.test_files(tmp_path)
    assert all(len(side) % 2 == 0 for side in sides)
    assert {item.group for item in sides[0]}.isdisjoint(item.group for item in sides[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,group\nx/a.png,a\n", "columns are missing: modality, split_hint"),
        ("path,modality,group,split_hint\n../a.png,CT,a,test\n", "leaves the folder"),
        ("path,modality,group,split_hint\n", "lists an image here"),
    ],
)
def test_a_bad_manifest_is_refused(tmp_path, text, message):
    (tmp_path / "MANIFEST.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        training_files(tmp_path)


def test_a_manifest_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "MANIFEST.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a CSV file"):
        training_files(tmp_path)


def test_a_manifest_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(material, "MAX_MANIFEST_BYTES", 10)
    (tmp_path / "MANIFEST.csv").write_text(LISTED)
    with pytest.raises(InputError, match="at most 10 bytes"):
        training_files(tmp_path)
