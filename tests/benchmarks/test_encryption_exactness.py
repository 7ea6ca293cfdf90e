import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import encryption_exactness as exactness
from medseal.protection.encryption.cnn import BACKBONES, integer
from medseal.protection.encryption.cnn.backends import available


def test_a_short_run_counts_every_round_trip_and_leaves_no_state(tmp_path: Path) -> None:
    assert exactness.main(["--draws", "2", "--quick", "--output", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "encryption_exactness.quick.json").read_text())["result"]
    assert result["draws"] == 2
    assert result["round_trips"] == result["exact"] == 2 * len(BACKBONES) * len(available())
    assert result["exact_share"] == 1
    assert "No security claim" in result["no_claim"]
    assert [path.name for path in tmp_path.iterdir()] == ["encryption_exactness.quick.json"]


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    setting = {"golden": {}, "backends": [], "files": 0}
    path.write_text(json.dumps({"setting": setting, "chunks": {"0-100": {"images": 100}}}))
    assert exactness._state_of(path, setting) == {"0-100": {"images": 100}}
    assert exactness._state_of(path, setting | {"files": 1}) == {}


def test_a_value_that_differs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    original = integer.decrypt

    def wrong(*inputs: object, **options: object) -> object:
        image = original(*inputs, **options)
        return image.with_stored_values(image.stored_values ^ 1)

    monkeypatch.setattr(integer, "decrypt", wrong)
    found = exactness.draw(3, files=(), backends=("numpy",))
    assert all(found[f"{backbone}/numpy/differs"] == 1 for backbone in BACKBONES)


def test_images_of_every_kind_are_drawn() -> None:
    images = [exactness._drawn(number, np.random.default_rng(number)) for number in range(300)]
    assert {values.dtype.str[1:] for values in images} == {"u1", "i1", "u2", "i2"}
    assert {values.shape[3] for values in images} == {1, 3}
    assert {values.shape[0] for values in images} == {1, 2, 3}
    assert min(values.size for values in images) < 8
    assert max(values.size for values in images) > exactness._SMALL_VALUES
