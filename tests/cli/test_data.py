"""`medseal data` as a user sees it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medseal.datasets import Split

Run = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(12):
        small = np.random.default_rng(index).integers(0, 256, (8, 8)).astype(np.uint8)
        path = tmp_path / "images" / ("ill", "well")[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((40, 40), Image.Resampling.BICUBIC).save(path)
    return tmp_path / "images"


def test_audit_of_a_sound_folder(medseal: Run, folder: Path) -> None:
    finished = medseal("data", "audit", folder, "--json", "--output", "report.json")
    assert finished.code == 0
    [line] = finished.json
    assert line["images"] == 12
    assert line["exit_code"] == 0
    assert line["findings"] == []
    assert "medseal: reading" in finished.err
    assert "as class-folders" in finished.err
    written = json.loads(Path("report.json").read_text())
    assert written == {name: value for name, value in line.items() if name != "exit_code"}


def test_audit_with_a_leaking_split_exits_1(medseal: Run, folder: Path) -> None:
    Image.open(folder / "ill/0.png").save(folder / "ill/copy.png")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    rows = [f"{name},{'test' if name == 'ill/copy.png' else 'train'}" for name in names]
    Path("split.csv").write_text("\n".join(["path,split", *rows]))
    finished = medseal("data", "audit", folder, "--split", "split.csv", "--output", "report.html")
    assert finished.code == 1
    assert "PROBLEM: 1 pairs of copies stand in two parts of the split" in finished.out
    assert "report.html: report" in finished.out
    assert "ill/copy.png" in Path("report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no such file or folder"),
        (["images", "--split", "none.csv"], "no such file; give a split file or a table"),
        (["images", "--output", "report.pdf"], r"report.pdf: a report ends with .html or .json"),
        (["images", "--data-set", "skin"], "no image of skin below images"),
    ],
)
def test_bad_input_is_one_line(
    medseal: Run, folder: Path, arguments: list[str], message: str
) -> None:
    assert folder.is_dir()
    finished = medseal("data", "audit", *arguments)
    assert finished.code == 2
    assert message in finished.err.splitlines()[-1]
    assert not list(Path().glob("report*"))


def test_split_is_written_and_serves_the_audit(medseal: Run, folder: Path) -> None:
    finished = medseal("data", "split", folder, "--output", "split.json", "--json")
    assert finished.code == 0
    [line] = finished.json
    split = Split.read(Path("split.json"))
    assert line["digest"] == str(split.digest)
    assert sum(split.counts.values()) == 12
    assert medseal("data", "audit", folder, "--split", "split.json").code == 0
    text = medseal("data", "split", folder, "--output", "again.json").out
    assert text.startswith("again.json: train ")
    assert Path("again.json").read_bytes() == Path("split.json").read_bytes()
