"""The parts of the audit measurement, on a few images."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.audit import main, measured, page_lines, thinned, write_generated
from medseal.datasets import read_dataset


def test_only_the_set_of_two_cameras_is_called_confounded(tmp_path: Path) -> None:
    codes = []
    for confounded in (False, True):
        folder = tmp_path / str(confounded)
        write_generated(folder, confounded=confounded, count=64)
        dataset = read_dataset("class-folders", folder)
        found = measured(dataset)
        codes.append(found["exit_code"])
        assert found["images"] == 64
        assert len(thinned(dataset, 4).records) == 16
    assert codes == [0, 1]


def test_sets_that_are_missing_are_named(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = ["path,modality,label,group"]
    for index in range(16):
        values = np.random.default_rng(index).integers(0, 256, (8, 8)).astype(np.uint8)
        Image.fromarray(values).resize((40, 40)).save(data / f"{index}.png")
        rows.append(f"{index}.png,dermoscopy,{('benign', 'malignant')[index % 2]},g{index}")
    (data / "MANIFEST.csv").write_text("\n".join(rows))
    main(["--data", str(data), "--output", str(tmp_path), "--quick"])
    result = json.loads((tmp_path / "audit.quick.json").read_text())["result"]
    assert set(result["data_sets"]) == {"generated, one camera", "generated, two cameras", "skin"}
    assert result["data_sets"]["skin"]["images"] == 2
    rows = page_lines(result)
    assert rows[1].count("|") == rows[2].count("|") == rows[3].count("|")
    assert any(row.startswith("- generated, two cameras: problem: ") for row in rows)
    assert any(line.startswith("brain-mri: no image of brain-mri") for line in result["missing"])
