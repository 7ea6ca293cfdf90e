import csv

import pytest

from medseal import weights
from medseal.classification.config import read_config
from medseal.classification.train import train
from medseal.errors import ConfigurationError, WeightsError

GAN = """
id = "gan-tiny"
version = "1"
task = "tumour"
modality = "MR"
method = "gan"
dataset = "brain-mri"
limits = "made of phantoms for a test"
[preprocess]
rows = 64
columns = 64
[gan]
latent = 8
width = 2
steps = 1
batch_size = 2
threads = 1
samples = 2
"""
CNN = """
id = "cnn-filled"
version = "1"
task = "tumour"
modality = "MR"
method = "five-layer-cnn"
dataset = "brain-mri"
limits = "made of phantoms for a test"
[data]
synthetic = "gan-tiny"
[preprocess]
rows = 64
columns = 64
[train]
batch_size = 8
max_epochs = 1
threads = 1
"""


def write(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def without_some_tumours(brain_folder, folder):
    """The same images; of the tumours every third pair is left out."""
    for path in brain_folder.glob("*.png"):
        (folder / path.name).symlink_to(path)
    with (brain_folder / "MANIFEST.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    kept = [
        row
        for row in rows
        if row["label"] == "no_tumour" or int(row["group"].removeprefix("patient")) % 3
    ]
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(kept)
    return folder


def test_generated_images_fill_up_the_smaller_class_of_a_later_run(brain_folder, tmp_path):
    (tmp_path / "data").mkdir()
    data = without_some_tumours(brain_folder, tmp_path / "data")
    train(write(tmp_path, "gan.toml", GAN), data_dir=data, output_dir=tmp_path)
    filled = train(write(tmp_path, "cnn.toml", CNN), data_dir=data, output_dir=tmp_path)
    card, _ = weights.load_folder(filled.folder)
    assert 0 < card.training["synthetic_images"] < 12
    assert card.training["train_images"] < 52


def test_a_generator_that_is_not_there_is_refused(brain_folder, tmp_path):
    with pytest.raises(WeightsError, match=r"gan-tiny: card\.toml cannot be read"):
        train(write(tmp_path, "cnn.toml", CNN), data_dir=brain_folder, output_dir=tmp_path)


def test_only_networks_take_generated_images(tmp_path):
    text = CNN.replace("five-layer-cnn", "linear-svm")
    with pytest.raises(ConfigurationError, match="linear-svm takes no synthetic images"):
        read_config(write(tmp_path, "svm.toml", text))
    with pytest.raises(ConfigurationError, match="synthetic is a model id"):
        read_config(write(tmp_path, "cnn.toml", CNN.replace('"gan-tiny"', '"../gan"')))
