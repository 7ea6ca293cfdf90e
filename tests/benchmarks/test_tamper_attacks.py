import numpy as np
import pytest
import torch

from benchmarks import tamper_attacks
from benchmarks.tamper_attacks import (
    attacks,
    features_of,
    hidden_by_gradient,
    hidden_by_search,
    lesion,
    surrogate_network,
    tiny,
)
from benchmarks.tamper_trials import sample
from medseal.datasets.material import test_files as files_to_test
from medseal.imaging import write
from medseal.protection.tamper.canonical import TILE
from tests.protection.pictures import grey

IMAGE = grey(512, 512)
PLACE = (256.0 + TILE / 2, 200.0)
PLANTED = lesion((512, 512), PLACE, radius=7, contrast=0.2)


@pytest.fixture
def items(tmp_path):
    (tmp_path / "ct").mkdir()
    lines = ["path,modality,group,split_hint"]
    for name, side in (("large", 512), ("small", 200)):
        write(grey(side, side, seed=side), tmp_path / "ct" / f"{name}.png")
        lines.append(f"ct/{name}.png,ct,{name},test")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return sample(files_to_test(tmp_path), tmp_path, images=2)


def test_a_lesion_is_a_bump_at_its_place():
    assert PLANTED.max() == pytest.approx(51, abs=0.5)
    rows, columns = np.nonzero(PLANTED)
    assert abs(rows.mean() - PLACE[0]) < 0.5
    assert abs(columns.mean() - PLACE[1]) < 0.5
    assert np.ptp(rows) < 14


def test_tiny_edits_are_many_and_faint():
    change = tiny((512, 512), np.random.default_rng(1))
    assert 100 < np.count_nonzero(change) < 1200
    assert change.min() < 0 < change.max()


def test_a_search_keeps_to_a_window_and_to_a_bound(monkeypatch):
    monkeypatch.setattr(tamper_attacks, "_SEARCH_STEPS", 2)
    found = hidden_by_search(IMAGE, PLANTED, PLACE, np.random.default_rng(2))
    moved = found - PLANTED
    assert np.abs(moved).max() <= 12
    assert np.count_nonzero(moved) <= 64 * 64


def test_a_gradient_brings_the_features_nearer_and_leaves_the_lesion(monkeypatch):
    monkeypatch.setattr(tamper_attacks, "_GRADIENT_STEPS", 8)
    network = surrogate_network()
    found = hidden_by_gradient(network, IMAGE, PLANTED, PLACE)
    plane = IMAGE.stored_values[0, :, :, 0].astype(np.float32)
    features = [
        features_of(network, torch.tensor(np.clip(each, 0, 255)))
        for each in (plane, plane + PLANTED, plane + found)
    ]
    apart = [float((each - features[0]).square().sum()) for each in features]
    assert 0 < apart[2] < apart[1]
    assert np.abs(found - PLANTED).max() <= 12
    assert found[int(PLACE[0]), int(PLACE[1])] > 30


def test_each_attack_is_counted_on_images_of_512(items):
    found = attacks(items, searches=0)
    assert set(found) == {
        "no edit",
        "lesion in the middle of a tile",
        "lesion where four tiles meet",
        "many tiny edits",
        "hidden by a gradient on all features",
    }
    assert {row["images"] for row in found.values()} == {1}
    assert all(0 <= row["mean_score"] <= 1 for row in found.values())
