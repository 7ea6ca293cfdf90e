import dataclasses
import sys
from subprocess import run

import numpy as np
import pytest

from medseal import weights
from medseal.digest import Digest
from medseal.errors import DigestMismatchError, UnknownModelError, WeightsError
from medseal.weights import store
from medseal.weights.card import Card

TENSORS = {
    "half": np.linspace(-1, 1, 12, dtype=np.float16).reshape(3, 4),
    "single": np.array([1.5], np.float32),
    "count": np.array(3, np.int64),
}


def make_card(model_id="a-model", **changes):
    fields = {
        "id": model_id,
        "version": "1",
        "task": "tumour",
        "modality": "MR",
        "method": "test",
        "sha256": Digest.plain(b""),
        "default": True,
        "limits": "Not a medical device.",
    }
    return Card(**{**fields, **changes})


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """An empty folder in the place of the shipped models."""
    monkeypatch.setattr(store, "_SHIPPED", tmp_path)
    return tmp_path


@pytest.fixture
def folder(shelf):
    weights.save(shelf, card=make_card(), tensors=TENSORS)
    return shelf / "a-model"


def test_saved_then_loaded_is_equal(folder):
    card, tensors = weights.load("a-model")
    assert card == dataclasses.replace(
        make_card(), sha256=Digest.plain((folder / store.WEIGHTS_NAME).read_bytes())
    )
    assert set(tensors) == set(TENSORS)
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        np.testing.assert_array_equal(tensor, TENSORS[name])
        assert not tensor.flags.writeable


def test_same_tensors_give_the_same_bytes(folder, tmp_path):
    (tmp_path / "other").mkdir()
    weights.save(tmp_path / "other", card=make_card(), tensors=dict(reversed(TENSORS.items())))
    again = tmp_path / "other" / "a-model"
    for name in (store.WEIGHTS_NAME, store.CARD_NAME):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_any_flipped_byte_is_refused_before_parsing(folder, monkeypatch):
    monkeypatch.setattr(store.safetensors, "load", lambda _: pytest.fail("was parsed"))
    path = folder / store.WEIGHTS_NAME
    data = path.read_bytes()
    for place in (0, 7, 8, 20, len(data) // 2, len(data) - 1):
        flipped = bytearray(data)
        flipped[place] ^= 1
        path.write_bytes(flipped)
        with pytest.raises(DigestMismatchError, match="not those on its card") as caught:
            weights.load("a-model")
        assert caught.value.expected == Digest.plain(data).value.hex()
    for cut in (data[:-1], data + b"\0"):
        path.write_bytes(cut)
        with pytest.raises(DigestMismatchError, match="not those on its card"):
            weights.load("a-model")


def test_right_digest_over_other_bytes_is_refused(folder):
    data = b"\x08\0\0\0\0\0\0\0not json"
    (folder / store.WEIGHTS_NAME).write_bytes(data)
    card = folder / store.CARD_NAME
    old = str(weights.read_card(folder).sha256)
    card.write_text(card.read_text().replace(old, str(Digest.plain(data))))
    with pytest.raises(WeightsError, match="are not safetensors"):
        weights.load("a-model")


def test_large_weights_are_neither_read_nor_written(folder, monkeypatch):
    monkeypatch.setattr(store, "MAX_WEIGHTS_BYTES", 100)
    with pytest.raises(WeightsError, match="more than 100 bytes"):
        weights.load("a-model")
    with pytest.raises(WeightsError, match="exceed 100 bytes"):
        weights.save(folder.parent, card=make_card("b"), tensors=TENSORS)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["a-model"]


def test_failed_save_leaves_the_old_folder(folder, monkeypatch):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        weights.save(folder.parent, card=make_card(version="2"), tensors=TENSORS)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["a-model"]


def test_save_replaces(folder):
    weights.save(folder.parent, card=make_card(version="2"), tensors={"x": np.ones(1)})
    card, tensors = weights.load("a-model")
    assert (card.version, set(tensors)) == ("2", {"x"})
    assert [path.name for path in folder.parent.iterdir()] == ["a-model"]


def test_folder_must_bear_the_id(folder):
    moved = folder.rename(folder.parent / "b-model")
    with pytest.raises(WeightsError, match="card in b-model belongs to a-model"):
        weights.load_folder(moved)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("model_id", ["b-model", "../a-model", "", "A"])
def test_unknown_models_are_refused(model_id):
    with pytest.raises(UnknownModelError, match="there are a-model"):
        weights.load(model_id)


def test_missing_weights_are_named(folder):
    (folder / store.WEIGHTS_NAME).unlink()
    with pytest.raises(WeightsError, match=r"weights\.safetensors cannot be read"):
        weights.load("a-model")


def test_default_is_found_by_task_and_modality(shelf):
    for name, changes in {
        "ct": {"modality": "CT"},
        "mr": {},
        "mr-second": {"default": False},
        "tamper": {"task": "tamper", "modality": "any"},
    }.items():
        weights.save(shelf, card=make_card(name, **changes), tensors=TENSORS)
    assert [card.id for card in weights.models()] == ["ct", "mr", "mr-second", "tamper"]
    assert weights.default_for("tumour", "MR") == "mr"
    assert weights.default_for("tumour", "CT") == "ct"
    assert weights.default_for("tamper", "US") == "tamper"
    assert weights.default_for("tamper") == "tamper"
    with pytest.raises(UnknownModelError, match="no default model for task tumour and modality US"):
        weights.default_for("tumour", "US")
    with pytest.raises(UnknownModelError, match="more than one default model for task tumour"):
        weights.default_for("tumour")


def test_shipped_models_together_are_small():
    shipped = weights.models()
    assert {"five-layer-cnn-brain-mri", "linear-svm-brain-mri"} <= {card.id for card in shipped}
    sizes = [path.stat().st_size for path in store._SHIPPED.glob(f"*/{store.WEIGHTS_NAME}")]
    assert sum(sizes) <= store.MAX_WEIGHTS_BYTES
    for card in shipped:
        assert weights.load(card.id)[0] == card


def test_weights_need_no_torch():
    code = "import sys; import medseal.weights; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603  # fixed code
