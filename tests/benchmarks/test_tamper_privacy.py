import numpy as np
import torch

from benchmarks.tamper_privacy import Decoder, decoded, privacy, seen
from medseal.imaging import write
from medseal.protection.tamper.reference.inference import load
from tests.protection.pictures import grey, texture


def shown(seed):
    return seen(np.asarray(texture(160, 160, seed=seed) * 255, np.float32), bytes(32), load())


def test_what_is_seen_is_a_coarse_picture_and_phases_of_features():
    one = shown(1)
    assert one.picture.shape == (128, 128)
    assert one.coarse.shape == (1, 32, 32)
    assert len(np.unique(one.coarse)) <= 8
    assert one.codes.shape[1:] == (32, 32)
    assert (
        np.corrcoef(one.picture.reshape(32, 4, 32, 4).mean((1, 3)).ravel(), one.coarse.ravel())[
            0, 1
        ]
        > 0.95
    )


def test_a_decoder_starts_from_the_coarse_picture():
    maps = torch.rand(2, 3, 32, 32)
    assert Decoder(3)(maps).shape == (2, 1, 128, 128)


def test_training_a_decoder_helps():
    training, test = [shown(seed) for seed in range(3)], [shown(9)]
    few, more = (decoded(training, test, lambda one: one.coarse, steps=steps) for steps in (1, 12))
    assert more > few > 5


def test_privacy_is_measured_on_other_patients(tmp_path):
    (tmp_path / "ct").mkdir()
    lines = ["path,modality,group,split_hint"]
    for index in range(4):
        write(grey(160, 160, seed=index), tmp_path / "ct" / f"{index}.png")
        lines.append(f"ct/{index}.png,ct,g{index},{'test' if index == 0 else 'train'}")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    found = privacy(tmp_path, images=3, steps=2)
    assert (found["training_images"], found["test_images"]) == (3, 1)
    assert all(found[name] > 5 for name in found if name.endswith("_db"))
