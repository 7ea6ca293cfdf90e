import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medseal.classification.train import train
from medseal.datasets import mr_phantom

# Tiny arrays: threads that wait for each other cost more than they save.
torch.set_num_threads(1)

CNN_CONFIG = """
id = "tiny-cnn"
version = "1"
task = "tumour"
modality = "MR"
method = "five-layer-cnn"
dataset = "brain-mri"
limits = "made of phantoms for a test"
[preprocess]
rows = 64
columns = 64
[train]
batch_size = 8
max_epochs = 10
threads = 1
bfloat16 = false
"""

SVM_CONFIG = """
id = "tiny-svm"
version = "1"
task = "tumour"
modality = "MR"
method = "linear-svm"
dataset = "brain-mri"
limits = "made of phantoms for a test"
[preprocess]
rows = 64
columns = 64
"""


@pytest.fixture(scope="session")
def brain_folder(tmp_path_factory) -> Path:
    """Thirty pairs of generated slices, half with a lesion, with a manifest."""
    folder = tmp_path_factory.mktemp("brain")
    rows = []
    for index in range(60):
        lesion = index % 4 < 2
        image = mr_phantom(
            generator=np.random.default_rng(index), rows=64, columns=64, lesion=lesion
        )
        name = f"slice{index:02}.png"
        Image.fromarray((image.stored_values[0, :, :, 0] >> 4).astype(np.uint8)).save(folder / name)
        rows.append(
            {
                "path": name,
                "label": "tumour" if lesion else "no_tumour",
                "group": f"patient{index // 2}",
                "modality": "MRI brain",
            }
        )
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def trained(brain_folder, tmp_path_factory):
    """The tiny network, trained once for all tests that need a model."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "config.toml").write_text(CNN_CONFIG)
    return train(folder / "config.toml", data_dir=brain_folder, output_dir=folder)


@pytest.fixture(scope="session")
def trained_svm(brain_folder, tmp_path_factory):
    """The tiny linear SVM."""
    folder = tmp_path_factory.mktemp("trained-svm")
    (folder / "config.toml").write_text(SVM_CONFIG)
    return train(folder / "config.toml", data_dir=brain_folder, output_dir=folder)


COLOUR_CONFIG = """
id = "tiny-colour"
version = "1"
task = "shade"
modality = "any"
method = "edge-cnn"
dataset = "ct-lung"
limits = "made of squares for a test"
[data]
without = ["elsewhere"]
[preprocess]
rows = 32
columns = 32
colour = true
equalise_histogram = false
[network]
dropout = 0.1
mirror = true
[train]
learning_rate = 0.01
batch_size = 16
max_epochs = 8
threads = 1
bfloat16 = false
schedule = "cosine"
warmup_epochs = 0.5
label_smoothing = 0.02
weight_decay = 1e-4
balance = "label-source"
ema_decay = 0.9
select_by = "balanced-loss"
[augment]
mixup = [0.3, 0.2]
[storage]
precision = "int8"
[calibration]
balanced = true
offsets = true
"""


@pytest.fixture(scope="session")
def colour_folder(tmp_path_factory) -> Path:
    """Noise with a red, green or blue square for three classes, from three sources."""
    folder = tmp_path_factory.mktemp("colour")
    generator = np.random.default_rng(4)
    rows = []
    for index in range(120):
        label = index % 3
        image = generator.integers(0, 90, (40, 40, 3)).astype(np.uint8)
        image[10:30, 10:30, label] = 240
        name = f"square{index:03}.png"
        Image.fromarray(image).save(folder / name)
        rows.append(
            {
                "path": name,
                "label": ("normal", "benign", "malignant")[label],
                "group": f"patient{index}",
                "modality": "CT chest",
                "source": ("here", "there", "elsewhere")[index // 3 % 3],
            }
        )
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def trained_colour(colour_folder, tmp_path_factory):
    """A small network for colour images of three classes, tested on a source that was left out."""
    folder = tmp_path_factory.mktemp("trained-colour")
    (folder / "config.toml").write_text(COLOUR_CONFIG)
    return train(folder / "config.toml", data_dir=colour_folder, output_dir=folder)


@pytest.fixture(scope="session")
def trained_ensemble(trained, trained_svm, brain_folder, tmp_path_factory):
    """The tiny network and the tiny SVM, averaged."""
    folder = tmp_path_factory.mktemp("trained-ensemble")
    for member in (trained, trained_svm):
        shutil.copytree(member.folder, folder / member.folder.name)
    text = SVM_CONFIG.split("[preprocess]", maxsplit=1)[0].replace("tiny-svm", "tiny-both")
    text = text.replace("linear-svm", "ensemble")
    (folder / "config.toml").write_text(text + '[ensemble]\nmembers = ["tiny-cnn", "tiny-svm"]\n')
    return train(folder / "config.toml", data_dir=brain_folder, output_dir=folder)
