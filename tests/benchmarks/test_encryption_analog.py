import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import encryption_analog
from benchmarks.encryption_analog import CHANNELS, EXACT_DB, main, summaries
from medseal.protection.encryption.cipher_image import NO_CLAIM
from tests.protection.pictures import picture, texture


def folder(path: Path) -> Path:
    """Write a test image, and one too small to be used."""
    lines = ["path,modality,group,split_hint"]
    for number, (rows, columns) in enumerate(((70, 66), (40, 90))):
        values = np.rint(texture(rows, columns, seed=number) * 255).astype(np.uint8)
        cv2.imwrite(str(path / f"{number}.png"), values)
        lines.append(f"{number}.png,CT chest,group{number},test")
    (path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("channel", [name for name in CHANNELS if name != "none"])
def test_a_channel_damages_as_much_as_it_says(channel: str) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (120, 100), dtype=np.uint8)
    damaged = CHANNELS[channel](picture.copy(), np.random.default_rng(2))
    assert (damaged.shape, damaged.dtype) == (picture.shape, np.uint8)
    changed = float(np.mean(damaged != picture))
    if channel.startswith(("crop", "salt")):
        stated = int(channel.split(" %", maxsplit=1)[0].rsplit(maxsplit=1)[-1]) / 100
        assert changed == pytest.approx(stated, rel=0.2)
    else:
        assert changed > 0.5


def test_an_interrupted_run_goes_on_and_all_is_summed_up(tmp_path: Path, capsys) -> None:
    data = tmp_path / "data"
    data.mkdir()
    decoders = ("linear", "mask, raw")
    options = ["--data", str(folder(data)), "--output", str(tmp_path), "--images", "2"]
    options += ["--work", str(tmp_path / "work"), "--decoders"]
    main([*options, decoders[0]])
    records = tmp_path / "work" / "encryption_analog.jsonl"
    first = records.read_text()
    main([*options, *decoders])
    assert records.read_text().startswith(first)
    assert capsys.readouterr().out.count("encryption_analog.json") == 2
    found = json.loads((tmp_path / "encryption_analog.json").read_text())["result"]
    assert found["claim"] == NO_CLAIM
    clean = found["decoders"]["none"]["linear"]
    assert (clean["images"], clean["groups"], clean["psnr_db"]) == (1, 1, EXACT_DB)
    assert clean["layers"] == {"clean": 1}
    assert set(found["decoders"]["JPEG 50"]) == set(decoders)
    ours, raw = (found["decoders"]["JPEG 50"][name] for name in decoders)
    assert ours["psnr_db"] > raw["psnr_db"] + 10
    assert ours["psnr_db_low"] <= ours["psnr_db"] <= ours["psnr_db_high"]


def test_refused_images_are_counted_and_in_no_mean() -> None:
    row = {"side": 512, "channel": "JPEG 30", "decoder": "unet", "modality": "CT chest"}
    read = {**row, "group": "a", "layer": "base", "psnr_db": 30.0, "ssim": 0.9}
    found = summaries([read, {**row, "group": "b", "layer": "refused"}])
    part = found["decoders"]["JPEG 30"]["unet"]
    assert (part["images"], part["groups"], part["psnr_db"]) == (2, 1, 30.0)
    assert part["layers"] == {"base": 1, "refused": 1}
    assert found["modalities"]["JPEG 30"]["CT chest"] == part


def test_images_are_needed(capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "--data" in capsys.readouterr().err


def test_deep_images_are_measured_over_their_own_range() -> None:

    deep = picture(np.array([[100, 1100]], np.uint16), bits=12)
    assert encryption_analog._range(deep) == 1000
    assert encryption_analog._range(picture(np.zeros((2, 2), np.uint8))) == 255
