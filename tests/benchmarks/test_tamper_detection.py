import json

import pytest

from benchmarks.tamper_detection import main, page_lines
from medseal.datasets.material import training_files
from medseal.imaging import write
from medseal.protection.tamper.reference.images import is_calibration
from tests.protection.pictures import grey

METHODS = ("medseal", "SHA-256 of the values", "error level analysis")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    lines = ["path,modality,group,split_hint"]
    (folder / "skin").mkdir()
    for index in range(24):
        name = f"skin/{index}.png"
        write(grey(160, 160, seed=index), folder / name)
        lines.append(f"{name},skin,g{index},{'test' if index < 2 else 'train'}")
    (folder / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return folder


def run(data, output, *more):
    main(["--quick", "--data", str(data), "--output", str(output), "--workers", "1", *more])
    return json.loads((output / "tamper_detection.quick.json").read_text())["result"]


def test_tables_are_written_and_gone_on_with(data, tmp_path, capsys):
    chosen = ["--only", "trials", "--work", str(tmp_path / "work"), "--methods", *METHODS]
    first = run(data, tmp_path, *chosen)
    record = first["trials"]["with_record"]
    assert set(record["overall"]) == set(METHODS[:2])
    assert set(first["trials"]["blind"]["overall"]) == {METHODS[2]}
    missed = record["asked"]["one stored value by one level, missed"]
    assert missed["methods"]["medseal"]["count"] == 0
    assert missed["reached"] is True
    assert any("one value by one level" in text for text in page_lines(first))
    assert (tmp_path / "plots" / "tamper_curves.png").is_file()
    assert "units" in capsys.readouterr().err
    again = run(data, tmp_path, *chosen)
    assert again["trials"] == first["trials"]
    assert "units" not in capsys.readouterr().err
    records = tmp_path / "work" / "trials.jsonl"
    records.write_text("".join(records.read_text().splitlines(keepends=True)[:-9]))
    part = run(data, tmp_path, *chosen, "--workers", "0")
    counted = part["trials"]["with_record"]["about"]
    assert sum(counted.values()) < sum(record["about"].values())


def test_parts_measured_alone_are_added_to_the_result(data, tmp_path):
    first = run(data, tmp_path, "--only", "record_bytes")
    second = run(data, tmp_path, "--only", "bad_inputs")
    assert second["record_bytes"] == first["record_bytes"]
    assert second["bad_inputs"]["authentic_though_not_count"] == 0


def test_calibration_runs_on_training_patients_that_are_kept_back(data, tmp_path, capsys):
    assert any(is_calibration(item) for item in training_files(data))
    work = tmp_path / "work"
    chosen = ["--only", "calibration", "--methods", "medseal", "--work", str(work)]
    main(["--quick", "--data", str(data), "--output", str(tmp_path), "--workers", "1", *chosen])
    printed = json.loads(capsys.readouterr().out)
    quantiles = printed["medseal"]["benign_quantiles"]
    assert quantiles["0.5"] <= quantiles["1.0"]
    lines = (work / "calibration.jsonl").read_text().splitlines()
    images = {json.loads(line)["image"] for line in lines}
    kept = {f"skin/{item.path.name}" for item in training_files(data) if is_calibration(item)}
    assert images <= kept
    assert not (tmp_path / "tamper_detection.quick.json").exists()


def test_what_cannot_be_measured_is_said(data, tmp_path):
    with pytest.raises(SystemExit, match="give the folder of images"):
        main(["--quick", "--output", str(tmp_path)])
    with pytest.raises(SystemExit, match="lists an image here"):
        run(tmp_path, tmp_path, "--only", "trials")
    with pytest.raises(SystemExit, match="unknown method magic"):
        run(data, tmp_path, "--only", "trials", "--methods", "magic")
