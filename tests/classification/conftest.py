import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseal.classification.train import train
from medseal.datasets import mr_phantom

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
