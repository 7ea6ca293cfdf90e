import pytest

from medseal.datasets.provenance import collection_of, source_of


@pytest.mark.parametrize(
    ("path", "collection"),
    [
        ("brain_mri/glioma/Te-glTr_0000.jpg", "glTr"),
        ("brain_mri/notumor/Tr-no_0010.jpg", "no"),
        ("yes/Y12.jpg", "Br35H or Navoneel"),
        ("no/1 no.jpeg", ""),
        ("fundus/normal/2345_left.jpg", "ODIR"),
        ("fundus/diabetic_retinopathy/10003_left.jpeg", "EyePACS"),
        ("fundus/cataract/_12_345.jpg", "_N_N"),
        ("fundus/glaucoma/Glaucoma_001.png", "named png"),
        ("fundus_idrid/normal/train_IDRiD_118.jpg", "IDRiD"),
        ("chest_xray/pneumonia/train_person1_bacteria_2.jpeg", "person"),
        ("chest_xray/normal/test_NORMAL2-IM-0030-0001.jpeg", "IM"),
        ("chest_xray_nih/normal/00001280_000.png", "NIH"),
        ("skin/benign/ISIC_0024306.jpg", "ISIC"),
        ("skin/benign/ISIC_0024306_downsampled.jpg", "ISIC downsampled"),
        ("skin/malignant/PAT_8_15_820.png", "PAD-UFES-20"),
        ("scan.png", ""),
    ],
)
def test_file_names_show_the_collection(path, collection):
    assert collection_of(path) == collection


def test_folders_of_parts_name_no_source():
    assert source_of(("Training", "SiteA", "x"), otherwise="y") == "SiteA"
    assert source_of(("images", "test"), otherwise="y") == "y"
    assert source_of((), otherwise="y") == "y"
