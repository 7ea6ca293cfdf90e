import numpy as np
import pytest

from benchmarks import pneumonia_mnist
from benchmarks.pneumonia_mnist import MACHINE, NETWORK, average_of, scored, with_seed
from medseal.classification.config import read_config
from medseal.classification.outcome import Outcome
from medseal.errors import ConfigurationError


def test_only_the_seed_changes(tmp_path):
    first, other = (tmp_path / name for name in ("1", "2"))
    configs = []
    for folder, seed in ((first, 1), (other, 7)):
        folder.mkdir()
        configs.append(with_seed(NETWORK, seed, folder).read_text().splitlines())
    changed = [(a, b) for a, b in zip(*configs, strict=True) if a != b]
    assert changed == [("seed = 1", "seed = 7")]
    assert read_config(other / f"{NETWORK}.toml").train.seed == 7


def test_both_rows_are_of_the_official_split():
    for name in (NETWORK, MACHINE):
        assert read_config(pneumonia_mnist.CONFIGS / f"{name}.toml").dataset == "pneumonia-mnist"


def test_a_configuration_without_a_seed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pneumonia_mnist, "CONFIGS", tmp_path)
    (tmp_path / "x.toml").write_text("split_seed = 1\n")
    with pytest.raises(ConfigurationError, match="must name its seed once, not 0 times"):
        with_seed("x", 2, tmp_path)


def outcome(ill):
    probabilities = np.stack([1 - np.array(ill), np.array(ill)], axis=1)
    return Outcome(
        labels=np.array([0, 1, 1, 0]),
        probabilities=probabilities,
        predicted=probabilities.argmax(axis=1),
        abstained=probabilities.max(axis=1) < 0.6,
        groups=("a", "b", "c", "d"),
    )


def test_the_average_decides_by_the_mean_of_the_probabilities():
    models = [outcome(ill) for ill in ([0.1, 0.9, 0.4, 0.45], [0.3, 0.8, 0.9, 0.5])]
    average = average_of(models)
    np.testing.assert_allclose(average.probabilities[:, 1], [0.2, 0.85, 0.65, 0.475])
    assert average.predicted.tolist() == [0, 1, 1, 0]
    assert average.abstained.tolist() == [False, False, False, True]
    figures = scored(average, classes=("normal", "pneumonia"))
    assert figures["accuracy"]["estimate"] == 1
    assert 0 < figures["calibration_error_expected_if_calibrated"]["estimate"] < 1


def test_data_are_needed(capsys):
    with pytest.raises(SystemExit):
        pneumonia_mnist.main([])
    assert "--data is needed" in capsys.readouterr().err
