import json
from pathlib import Path

import numpy as np
import pytest

import medseal.errors
from medseal.protection.tamper.canonical import CanonicalGrid
from medseal.protection.tamper.reference.codes import BACK_GAIN, MIXTURES, Readout, to_bits
from medseal.protection.tamper.reference.picture import QUANTILES, RANKS
from medseal.protection.tamper.reference.record import (
    MAX_FRAME_BYTES,
    _frame_key,
    frame_records,
    model_tag,
)

ROOT = Path(__file__).parents[4]
VECTORS = ROOT / "tests" / "vectors" / "tamper-robust-part"
RECORDS = [path for path in sorted(VECTORS.glob("*.json")) if "robust" in path.read_text()]
READOUTS = sorted(VECTORS.glob("readout-*.json"))


def records_of(vector):
    down, across = vector["grid"]
    grid = CanonicalGrid(down=down, across=across)
    return frame_records(bytes.fromhex(vector["robust"]), frames=vector["frames"], grid=grid)


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_record(path):
    vector = json.loads(path.read_text())
    if "error" in vector:
        with pytest.raises(getattr(medseal.errors, vector["error"]), match=vector["message"]):
            records_of(vector)
        return
    robust = bytes.fromhex(vector["robust"])
    assert model_tag(robust).hex() == vector["model"]
    for number, record in enumerate(records_of(vector)):
        assert record.picture.coarse.ravel().tolist() == vector["coarse"][number]
        assert record.picture.error == pytest.approx(vector["errors"][number], abs=1e-5)
        assert record.picture.ranked.tolist() == vector["ranked"][number]
        bounds = [one.ravel().tolist() for one in record.picture.bounds]
        assert bounds == vector["bounds"][number]
        readout = json.loads((VECTORS / f"readout-{number}.json").read_text())
        assert record.codes.ravel().tolist() == readout["codes"]
        assert to_bits(record.codes, 2) in robust


@pytest.mark.parametrize("path", READOUTS, ids=lambda path: path.stem)
def test_readout(path):
    vector = json.loads(path.read_text())
    down, across = vector["shape"]
    record, copy = (np.array(vector[name]).reshape(-1, down, across) for name in ("record", "copy"))
    key = _frame_key(bytes.fromhex(vector["key"]), vector["frame"])
    read = Readout.of(key, tiles=down * across, features=len(record))
    assert (read.offsets.ravel() * 2**30).tolist() == vector["offsets"]
    assert "".join("1" if sign < 0 else "0" for sign in read.signs.ravel()) == vector["signs"]
    codes = read.codes(record)
    assert codes.ravel().tolist() == vector["codes"]
    residual, energy = read.residual(copy, codes)
    assert energy.ravel() == pytest.approx(vector["energy"], abs=1e-6)
    assert residual.reshape(len(record), -1) == pytest.approx(
        np.array(vector["residual"]), abs=1e-6
    )


def test_grids():
    for one in json.loads((VECTORS / "grids.json").read_text())["grids"]:
        found = CanonicalGrid.of(*one["image"])
        assert (found and [found.down, found.across]) == one["grid"], one


def test_ranks():
    ranks = json.loads((VECTORS / "ranks.json").read_text())["ranks"]
    assert RANKS.tolist() == pytest.approx(ranks, abs=1e-12)


def test_the_page_says_what_the_code_does():
    page = " ".join((ROOT / "docs" / "spec" / "tamper-robust-part.md").read_text().split())
    assert f"{QUANTILES} quantiles" in page
    assert f"`MAX_FRAME_BYTES` = {MAX_FRAME_BYTES} for" in page
    assert f"{MIXTURES} codes of 2 bits" in page
    assert f"is {BACK_GAIN:g} / sqrt(F) times the sum" in page
    step = np.linspace(-0.5, 0.5, 100_001)
    whole = np.linspace(-2, 2, 100_001)
    means = [float(np.mean(x**2 / (x**2 + 0.5))) for x in (step, whole)]
    assert f"on average {means[0]:.3f} for equal ones, {means[1]:.3f} for" in page
