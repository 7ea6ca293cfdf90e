import json

import pytest

from benchmarks.watermark import ATTACKS, main
from medseal.imaging import write
from tests.protection.pictures import grey


def test_the_measurement_writes_a_row_for_each_attack(tmp_path):
    data = tmp_path / "data"
    for folder in ("ct_lung", "skin"):
        (data / folder).mkdir(parents=True)
        write(grey(300, 320, seed=len(folder)), data / folder / "one.png")
    main(["--quick", "--data", str(data), "--output", str(tmp_path)])
    result = json.loads((tmp_path / "watermark.quick.json").read_text())["result"]
    assert result["images"] == 2
    assert result["psnr_db_min"] >= 45
    assert set(result["attacks"]) == set(ATTACKS)
    clean = result["attacks"]["none"]
    assert clean["all"]["exact_rate"] == 1.0
    assert clean["all"]["exact_rate_low"] < 1.0
    assert clean["bit_accuracy"] == 1.0
    assert result["attacks"]["mirrored"]["textbook_dct"]["exact_rate"] == 0.0
    assert result["false_positives"]["trials"] == 4
    assert result["false_positives"]["accepted"] == 0
    assert all(value > 0 for value in result["speed"].values())


def test_data_is_needed(tmp_path):
    with pytest.raises(SystemExit, match="give the folder of images"):
        main(["--quick", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="none of brain_mri"):
        main(["--quick", "--data", str(tmp_path), "--output", str(tmp_path)])
