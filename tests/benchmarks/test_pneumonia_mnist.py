import pytest

from benchmarks import pneumonia_mnist
from benchmarks.pneumonia_mnist import MACHINE, NETWORK, with_seed
from medseal.classification.config import read_config
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


def test_data_are_needed(capsys):
    with pytest.raises(SystemExit):
        pneumonia_mnist.main([])
    assert "--data is needed" in capsys.readouterr().err
