"""The parts of the throughput measurement, on a few images."""

import secrets
from pathlib import Path

from benchmarks.throughput import make_images, measure_seal, plain_loop
from medseal.imaging import read
from medseal.pipeline.workspace import Workspace


def test_the_plain_loop_and_sealing_treat_the_same_images(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "plain").mkdir()
    files = make_images(tmp_path / "images", 6)
    image = read(files[0])
    assert image.stored_values.shape == (1, 512, 512, 1)
    assert image.bits_stored == 16
    plain_loop(files, tmp_path / "plain", secrets.token_bytes(32))
    assert len(list((tmp_path / "plain").iterdir())) == len(files)
    with Workspace.create(tmp_path / "workspace", secrets.token_hex(8)) as workspace:
        result = measure_seal(files, workspace, tmp_path / "plain")
    assert result["images"] == len(files)
    assert result["ratio_of_totals"] > 0
