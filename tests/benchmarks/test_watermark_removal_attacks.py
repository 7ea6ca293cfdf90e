import pytest

from benchmarks.watermark_removal_attacks import attacks_on_the_mark
from benchmarks.watermark_trials import sample
from medseal.imaging import write
from tests.protection.pictures import grey


@pytest.fixture
def items(tmp_path):
    lines = ["path,modality,group,split_hint"]
    (tmp_path / "skin").mkdir()
    for index in range(2):
        write(grey(288, 256, seed=index), tmp_path / "skin" / f"{index}.png")
        lines.append(f"skin/{index}.png,skin,g{index},test")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return sample(tmp_path, images=2)


def test_each_attack_says_how_often_the_mark_is_read_and_at_what_quality(items):
    found = attacks_on_the_mark(items, releases=(2,))
    assert found["a second mark with another key"]["trials"] == 2
    assert found["the second mark itself"]["still_read"] == 2
    strong = found["periodic part subtracted, three times as strong"]
    weak = found["periodic part subtracted, as strong as a mark"]
    assert strong["psnr_db_of_the_attacked"] < weak["psnr_db_of_the_attacked"]
    assert found["mean of 2 releases of one image: one is named that took no part"] == {
        "trials": 2,
        "still_read": 0,
        "psnr_db_of_the_attacked": pytest.approx(48, abs=4),
    }
    assert "mean residual of 2 images under one key subtracted" in found
    assert "mark copied by who has the unmarked image too" in found
