import dataclasses
import json

import numpy as np
import pytest
import torch

from benchmarks import gan
from benchmarks.gan import NAMES, SETTINGS, Parts, compare, figures_of, interval, main, thinned
from medseal.classification.examples import Examples
from medseal.errors import InputError


def examples(count=40):
    labels = (np.arange(count) % 4 == 0).astype(np.int64)
    images = np.zeros((count, 64, 64), np.uint8) + (200 * labels).astype(np.uint8)[:, None, None]
    return Examples(images=images, labels=labels)


class Bright(torch.nn.Module):
    """Decides by brightness, but wrongly on some of the 40 images."""

    def __init__(self, wrong=()):
        super().__init__()
        self.wrong, self.seen = wrong, 0
        self.level = torch.nn.Parameter(torch.tensor(0.4))

    def forward(self, images):
        scores = 10 * (images.mean(dim=(1, 2, 3)) - self.level)
        for index in range(len(images)):
            if self.seen + index in self.wrong:
                scores[index] *= -1
        self.seen = (self.seen + len(images)) % 40
        return torch.stack([-scores, scores], dim=1)


@pytest.fixture
def parts():
    groups = tuple(f"g{i // 2}" for i in range(40))
    return Parts(
        training=examples(),
        validation=examples(),
        test=examples(),
        groups=groups,
        rare=1,
        classes=2,
    )


def test_thinned_keeps_the_other_class_and_draws_the_same_images():
    first, again = (thinned(examples(), rare=1, kept=3) for _ in range(2))
    assert np.bincount(first.labels).tolist() == [30, 3]
    np.testing.assert_array_equal(first.images, again.images)
    with pytest.raises(InputError, match="has 10 training images: it cannot keep 10"):
        thinned(examples(), rare=1, kept=10)


def test_figures_are_those_of_the_rare_class(parts):
    weights = np.ones((1, 40))
    found = dict(zip(NAMES, figures_of(Bright(wrong=(0, 4, 1)), parts, weights)[0], strict=True))
    assert found["sensitivity"] == pytest.approx(0.8)  # 2 of 10 missed
    assert found["specificity"] == pytest.approx(29 / 30)
    assert found["accuracy"] == pytest.approx(37 / 40)


def test_differences_are_paired_and_have_their_sign(parts):
    networks = {
        "without": [Bright(wrong=(0, 4)), Bright(wrong=(0,))],
        "in_balance": [Bright(wrong=(0, 4)), Bright(wrong=(0,))],
        "with_gan": [Bright(), Bright()],
        "in_balance_with_gan": [Bright(), Bright()],
    }
    result = compare(networks, parts)
    better = result["differences"]["with_gan_minus_without"]["sensitivity"]
    assert better["estimate"] == pytest.approx(0.15)
    assert better["each_seed"] == pytest.approx([0.2, 0.1])
    assert 0 <= better["low"] < 0.15 < better["high"]
    same = result["differences"]["in_balance_minus_without"]["sensitivity"]
    assert same["estimate"] == 0


def test_interval_covers_images_and_seeds():
    draws = np.random.default_rng(1).normal(0, 1, (3, 2000)) + np.array([[-3.0], [0.0], [3.0]])
    found = interval(draws, 0.0)
    assert found["low"] < -2.4
    assert found["high"] > 2.4


def test_a_quick_run_writes_its_result_and_goes_on_where_it_was(tmp_path, monkeypatch, capsys):
    class Set:
        classes = ("benign", "malignant")

    small = dataclasses.replace(gan.QUICK, seeds=(1,), images_per_epoch=8)
    monkeypatch.setattr(gan, "QUICK", small)
    monkeypatch.setattr(gan, "RESAMPLES", 50)
    monkeypatch.setattr(gan, "read_dataset", lambda *_: Set())
    monkeypatch.setattr(
        gan,
        "read_parts",
        lambda *_: Parts(
            training=thinned(examples(), rare=1, kept=6),
            validation=examples(),
            test=examples(),
            groups=tuple(map(str, range(40))),
            rare=1,
            classes=2,
        ),
    )
    arguments = ["--data", str(tmp_path), "--output", str(tmp_path), "--quick", "--json"]
    arguments += ["--work", str(tmp_path / "work"), "--only", SETTINGS[0].data_set]
    main(arguments)
    first = json.loads(capsys.readouterr().out)["data_sets"][SETTINGS[0].data_set]
    main(arguments)
    again = json.loads(capsys.readouterr().out)["data_sets"][SETTINGS[0].data_set]
    assert first["training_images"] == {"benign": 30, "malignant": 6}
    assert first["differences"] == again["differences"]
    assert set(first["copies"]) == {"pictures", "features"}
    main([*arguments[:-1], SETTINGS[1].data_set])
    both = json.loads(capsys.readouterr().out)["data_sets"]
    assert both[SETTINGS[0].data_set]["differences"] == first["differences"]
    assert set(both) == {setting.data_set for setting in SETTINGS}


def test_it_needs_data():
    with pytest.raises(SystemExit, match="2"):
        main([])
