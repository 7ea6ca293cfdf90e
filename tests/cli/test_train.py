"""`medseal train` on a few generated slices of two sources."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

CONFIG = """
id = "tiny-svm"
version = "1"
task = "tumour"
modality = "MR"
method = "linear-svm"
dataset = "brain-mri"
limits = "made of noise for a test"
[data]
without = ["elsewhere"]
[preprocess]
rows = 64
columns = 64
[svm]
costs = [1e-3]
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eighty slices of noise, the ill ones brighter, every fourth from another source."""
    folder = tmp_path / "images"
    folder.mkdir()
    rows = []
    for index in range(80):
        ill = index % 2 == 1
        values = np.random.default_rng(index).integers(0, 120, (64, 64)).astype(np.uint8)
        values[16:48, 16:48] += 100 * ill
        Image.fromarray(values).save(folder / f"{index:02}.png")
        rows.append(
            {
                "path": f"{index:02}.png",
                "label": "tumour" if ill else "no_tumour",
                "group": f"patient{index}",
                "modality": "MRI brain",
                "source": "elsewhere" if index // 2 % 4 == 0 else "here",
            }
        )
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_left_out_source_and_validation(
    medseal: Callable[..., Any], images: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    command = ("train", tmp_path / "config.toml", "--data", images, "--output", tmp_path / "out")
    done = medseal(*command)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == f"{tmp_path / 'out' / 'tiny-svm'}: weights and card"
    place = lines.index("sources that were left out of the training:")
    assert f"  {'images':30} 20" in lines[place:]
    [found] = medseal(*command, "--no-test", "--json").json
    assert found["evaluation"]["part"] == "validation"
    assert "left_out" not in found["evaluation"]
