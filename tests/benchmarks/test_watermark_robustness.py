import json

import pytest

from benchmarks.watermark_robustness import QUICK_CONDITIONS, main, page_lines
from medseal.imaging import write
from tests.protection.pictures import grey


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,modality,group,split_hint"]
    for name, side in (("ct_lung", 400), ("skin", 300)):
        (folder / name).mkdir()
        write(grey(side, side, seed=side), folder / name / "one.png")
        lines.append(f"{name}/one.png,{name},{name},test")
    (folder / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return folder


def run(data, output, *more):
    main(["--quick", "--data", str(data), "--output", str(output), *more])
    return json.loads((output / "watermark_robustness.quick.json").read_text())["result"]


def test_a_table_of_methods_and_conditions_is_written_and_gone_on_with(data, tmp_path, capsys):
    chosen = ["--only", "robustness", "--work", str(tmp_path / "work"), "--methods"]
    first = run(data, tmp_path, *chosen, "block DCT", "medseal")
    large = first["robustness"]["large"]["methods"]
    assert set(large) == {"medseal", "block DCT"}
    assert set(large["medseal"]["conditions"]) == set(QUICK_CONDITIONS)
    assert large["medseal"]["quality"]["psnr_db"]["min"] >= 45
    assert large["medseal"]["conditions"]["none"]["exact_rate"]["estimate"] == 1
    assert large["medseal"]["wrong_payloads"] == 0
    assert large["block DCT"]["conditions"]["rotation 5"]["exact_rate"]["estimate"] == 0
    assert "small" in first["robustness"]
    assert any("| rotation 5 |" in line for line in page_lines(first))
    assert (tmp_path / "plots" / "watermark_large.png").is_file()
    assert "4 of 4" in capsys.readouterr().err
    again = run(data, tmp_path, *chosen, "block DCT", "medseal")
    assert again["robustness"]["large"]["paper"] == first["robustness"]["large"]["paper"]
    assert "of 4" not in capsys.readouterr().err


def test_parts_measured_alone_are_added_to_the_result(data, tmp_path):
    first = run(data, tmp_path, "--only", "false_positives")
    assert first["false_positives"]["unmarked"]["accepted"] == 0
    assert first["false_positives"]["wrong_key"]["accepted"] == 0
    assert 0 < first["false_positives"]["unmarked"]["derived_bound_an_image"] < 1e-6
    second = run(data, tmp_path, "--only", "removal")
    assert second["false_positives"] == first["false_positives"]
    assert second["removal"]["bit_exact"] == second["removal"]["images"] > 2


def test_what_cannot_be_measured_is_said(data, tmp_path):
    with pytest.raises(SystemExit, match="give the folder of images"):
        main(["--quick", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="lists an image here"):
        run(tmp_path, tmp_path)
    with pytest.raises(SystemExit, match="unknown method magic"):
        run(data, tmp_path, "--only", "robustness", "--methods", "magic")
    with pytest.raises(SystemExit, match="no such attack"):
        run(data, tmp_path, "--only", "robustness", "--attacks", "magic")
