"""`medseal train` on a few generated slices of two sources."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.protection.pictures import texture

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


WATERMARK = """
id = "tiny-mark"
version = "1"
task = "watermark"
modality = "any"
method = "watermark-cnn"
limits = "trained on generated images for one step"
[network]
embedding_channels = 4
embedding_blocks = 1
extraction_channels = 4
extraction_blocks = 1
[train]
steps = 1
batch_size = 1
validation_every = 1
bfloat16 = false
"""


@pytest.fixture
def covers(tmp_path: Path) -> Path:
    """Generated pictures of eight patients; by their names one is kept to validate on."""
    folder = tmp_path / "covers"
    folder.mkdir()
    lines = ["path,modality,group,split_hint"]
    for index in range(8):
        levels = np.clip(texture(384, 300, seed=index) * 255, 0, 255)
        Image.fromarray(levels.astype(np.uint8)).save(folder / f"{index}.png")
        lines.append(f"{index}.png,MRI brain,patient{index},train")
    (folder / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_a_watermark_is_trained_by_the_same_command(
    medseal: Callable[..., Any], covers: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(WATERMARK)
    command = ("train", tmp_path / "config.toml", "--data", covers, "--output", tmp_path / "out")
    done = medseal(*command, "--no-test", "--json")
    assert done.code == 0, done.err
    assert "step 1 of 1" in done.err
    [found] = done.json
    assert found["model"] == str(tmp_path / "out" / "tiny-mark")
    assert (tmp_path / "out" / "tiny-mark" / "card.toml").is_file()
    assert found["evaluation"]["part"] == "validation"
    assert 0 <= found["evaluation"]["coded_bits_right"] <= 1


BLIND = """
id = "tiny-blind"
version = "1"
task = "tamper-blind"
modality = "any"
method = "tamper-blind"
limits = "trained on generated images for one step"
[network]
channels = [4, 4, 4, 4]
blocks = [0, 0, 0, 0]
[train]
steps = 1
tile_sides = [64]
pairs = 2
bfloat16 = false
"""


def test_a_blind_detector_is_trained_by_the_same_command(
    medseal: Callable[..., Any], covers: Path, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text(BLIND)
    command = ("train", tmp_path / "config.toml", "--data", covers, "--output", tmp_path / "out")
    done = medseal(*command)
    assert done.code == 0, done.err
    assert "step 1 of 1" in done.err
    assert done.out.startswith(f"{tmp_path / 'out' / 'tiny-blind'}: weights and card")
    assert "auroc" in done.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WATERMARK.replace("steps = 1", "steps = 0"), "at least 1"),
        (CONFIG.replace("linear-svm", "watermark"), "method"),
        ("method =", "TOML"),
    ],
)
def test_a_wrong_configuration_is_one_line(
    medseal: Callable[..., Any], tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "config.toml").write_text(text)
    done = medseal("train", tmp_path / "config.toml", "--data", tmp_path, "--output", tmp_path)
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert words in done.err


RESTORATION = """
id = "tiny-restoration"
version = "1"
task = "cipher-restoration-unet"
modality = "any"
method = "cipher-analog"
limits = "trained on generated images for one step"
[network]
width = 4
[train]
steps = 1
batch_size = 1
patch_side = 32
bfloat16 = false
"""


def test_a_restoration_is_trained_by_the_same_command(
    medseal: Callable[..., Any], tmp_path: Path
) -> None:
    # By their names the second patient is kept to validate on.
    lines = ["path,modality,group,split_hint"]
    for index, group in enumerate(("g0", "g13")):
        levels = np.clip(texture(80, 72, seed=index) * 255, 0, 255)
        Image.fromarray(levels.astype(np.uint8)).save(tmp_path / f"{index}.png")
        lines.append(f"{index}.png,MRI brain,{group},train")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "config.toml").write_text(RESTORATION)
    command = ("train", tmp_path / "config.toml", "--data", tmp_path, "--output", tmp_path / "out")
    done = medseal(*command, "--json")
    assert done.code == 0, done.err
    [found] = done.json
    assert found["model"] == str(tmp_path / "out" / "tiny-restoration")
    assert found["evaluation"]["part"] == "validation"
