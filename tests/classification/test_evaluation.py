import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from medseal.classification import evaluate
from medseal.classification.evaluation import examine
from medseal.errors import ConfigurationError, InputError


def noise_slices(folder, seeds, *, classes=("notumor", "glioma")):
    """Write patches of noise into class folders: images that resemble no other."""
    for seed in seeds:
        values = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
        place = folder / classes[seed % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(values, np.ones((8, 8), np.uint8))).save(place / f"scan-{seed}.png")


def test_test_part_gives_the_figures_of_training(trained, brain_folder):
    found = evaluate(str(trained.folder), brain_folder, split="test")
    assert found["held_out"] is True
    assert found["headline"] == "inside"
    assert found["model_id"] == "tiny-cnn"
    for name in ("images", "confusion_matrix", "figures", "abstained"):
        assert found[name] == trained.evaluation[name]


def test_every_image_once_in_all(trained, brain_folder):
    counts = [
        evaluate(trained.folder, brain_folder, split=part)["images"]
        for part in ("train", "validation", "test", "all")
    ]
    assert sum(counts[:3]) == counts[3] == 60
    found = evaluate(trained.folder, brain_folder, split="train")
    assert found["held_out"] is False
    assert found["in_training"] == counts[0]


def test_a_collection_never_seen_is_the_headline(trained, brain_folder, tmp_path):
    noise_slices(tmp_path / "elsewhere", range(900, 912))
    found = evaluate(trained.folder, tmp_path / "elsewhere", trained_on=brain_folder)
    assert (found["headline"], found["images"]) == ("external", 12)
    assert found["held_out"] is True
    assert found["in_training"] == 0
    assert found["sources"]["elsewhere"]["external"]
    assert set(found["details"]) == {"glioma", "notumor"}


def test_copies_of_training_images_are_named(trained, brain_folder, tmp_path):
    folder = tmp_path / "elsewhere"
    noise_slices(folder, range(900, 906))
    with (brain_folder / "MANIFEST.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    known = examine(trained.folder, brain_folder, split="train").records[0]
    label = "glioma" if rows[known.path]["label"] == "tumour" else "notumor"
    (folder / label).mkdir(exist_ok=True)
    mirrored = Image.open(brain_folder / known.path).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(folder / label / "copied.png")
    found = evaluate(trained.folder, folder, trained_on=brain_folder)
    assert found["near_duplicates"] == [f"{label}/copied.png"]
    assert found["held_out"] is False
    assert found["external_without_near_duplicates"]["images"] == found["images"] - 1


def test_without_the_split_of_training_nothing_is_claimed(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "model" / trained.folder.name)
    noise_slices(tmp_path / "elsewhere", range(900, 912))
    found = evaluate(tmp_path / "model" / trained.folder.name, tmp_path / "elsewhere")
    assert found["held_out"] is None
    assert found["in_training"] is None
    assert found["near_duplicates_of_training"] is None


def test_split_file_tells_parts_of_a_changed_folder(trained, brain_folder, tmp_path):
    """The drawn split would differ, but the run beside the model holds the one of training."""
    lines = (brain_folder / "MANIFEST.csv").read_text().splitlines()
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines[:-2]) + "\n")
    for path in brain_folder.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    whole = {r.path for r in examine(trained.folder, brain_folder).records}
    found = examine(trained.folder, tmp_path)
    assert {r.path for r in found.records} <= whole
    assert evaluate(trained.folder, tmp_path)["held_out"] is True


def test_restriction_by_source(trained, brain_folder, tmp_path):
    with (brain_folder / "MANIFEST.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["source_dataset"] = "Far hospital" if row["path"] >= "slice30" else "not stated"
        shutil.copy(brain_folder / row["path"], tmp_path / row["path"])
    with (tmp_path / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = examine(trained.folder, tmp_path, sources=["Far hospital"], split="all")
    assert len(found.records) == 30
    with pytest.raises(InputError, match="no source 'Nowhere'"):
        evaluate(trained.folder, tmp_path, sources=["Nowhere"])


def test_refusals(trained, brain_folder, tmp_path):
    with pytest.raises(ConfigurationError, match="split must be one of"):
        evaluate(trained.folder, brain_folder, split="holdout")
    noise_slices(tmp_path, range(4), classes=("benign", "malignant"))
    with pytest.raises(InputError, match=r"tells no_tumour, tumour apart, but the classes of skin"):
        evaluate(trained.folder, tmp_path, data_set="skin")
