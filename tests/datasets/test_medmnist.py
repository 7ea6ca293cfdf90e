import numpy as np
import pytest

from medseal.datasets import read_dataset
from medseal.datasets.catalogue import recognise
from medseal.errors import InputError


def archive(path, **changes):
    generator = np.random.default_rng(0)
    arrays = {}
    for key, count in (("train", 6), ("val", 4), ("test", 3)):
        arrays[f"{key}_images"] = generator.integers(0, 256, (count, 9, 9)).astype(np.uint8)
        arrays[f"{key}_labels"] = (np.arange(count) % 2).astype(np.uint8)[:, None]
    arrays["val_images"][1] = arrays["train_images"][2]
    arrays["train_images"][5] = arrays["train_images"][4]
    np.savez(path, **{**arrays, **changes})
    return arrays


def test_pneumonia_mnist_keeps_its_split_without_repeats(tmp_path):
    arrays = archive(tmp_path / "pneumoniamnist.npz")
    dataset = read_dataset("pneumonia-mnist", tmp_path)
    split = dataset.split(seed=1)
    assert split.counts == {"train": 6, "validation": 3, "test": 3}
    assert dataset.notes == ("1 validation images left out: they also stand in train",)
    records = dataset.select(split.names("train"))
    assert [record.label for record in records] == ["normal", "pneumonia"] * 3
    assert records[4].group == records[5].group
    stored = dataset.read(records[3]).stored_values
    assert np.array_equal(stored[0, :, :, 0], arrays["train_images"][3])
    assert read_dataset("pneumonia-mnist", tmp_path / "pneumoniamnist.npz") == dataset.__class__(
        **{name: getattr(dataset, name) for name in ("name", "classes", "records", "notes", "root")}
    )
    archive(tmp_path / "pneumoniamnist_64.npz")
    with pytest.raises(
        InputError, match=r"found pneumoniamnist\.npz, pneumoniamnist_64\.npz; name"
    ):
        read_dataset("pneumonia-mnist", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"val_labels": np.zeros((4, 2), np.uint8)}, "several labels an image"),
        ({"val_labels": np.full(4, 7)}, "labels are not the numbers of normal, pneumonia"),
        ({"test_images": np.zeros((3, 9, 9))}, "test images are not 8-bit"),
    ],
)
def test_wrong_archives_are_refused(tmp_path, changes, message):
    archive(tmp_path / "pneumoniamnist.npz", **changes)
    with pytest.raises(InputError, match=message):
        read_dataset("pneumonia-mnist", tmp_path)


def test_damaged_archive_is_refused(tmp_path):
    (tmp_path / "pneumoniamnist.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match=r"damaged or no \.npz file; copy it again"):
        read_dataset("pneumonia-mnist", tmp_path)
    np.savez(tmp_path / "pneumoniamnist.npz", train_images=np.zeros(3))
    with pytest.raises(InputError, match="it lacks train_labels"):
        read_dataset("pneumonia-mnist", tmp_path)


def test_archives_of_volumes_and_colour(tmp_path):
    generator = np.random.default_rng(0)
    arrays = {}
    for key, count in (("train", 4), ("val", 2), ("test", 2)):
        arrays[f"{key}_images"] = generator.integers(0, 256, (count, 5, 9, 9)).astype(np.uint8)
        arrays[f"{key}_labels"] = np.arange(count)[:, None] % 2
    np.savez(tmp_path / "organmnist3d.npz", **arrays)
    assert recognise(tmp_path) == recognise(tmp_path / "organmnist3d.npz") == "medmnist"
    dataset = read_dataset("medmnist", tmp_path)
    assert dataset.classes == ("0", "1")
    image = dataset.read(dataset.records[0])
    assert image.stored_values.shape == (5, 9, 9, 1)
    assert np.array_equal(image.stored_values[..., 0], arrays["test_images"][0])
    for key in ("train", "val", "test"):
        arrays[f"{key}_images"] = generator.integers(
            0, 256, (*arrays[f"{key}_labels"].shape[:1], 9, 9, 3)
        ).astype(np.uint8)
    np.savez(tmp_path / "organmnist3d.npz", **arrays)
    image = (dataset := read_dataset("medmnist", tmp_path)).read(dataset.records[0])
    assert image.photometric_interpretation == "RGB"
