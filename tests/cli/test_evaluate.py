"""`medseal evaluate` on a collection that a shipped model has never seen."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SVM = "linear-svm-brain-mri"


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    folder = tmp_path / "far-hospital"
    for seed in range(6):
        place = folder / ("no", "yes")[seed % 2]
        place.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(seed).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(np.kron(values, np.ones((28, 28), np.uint8))).save(place / f"{seed}.png")
    return folder


def test_another_source_is_the_headline(medseal: Callable[..., Any], collection: Path) -> None:
    done = medseal("evaluate", SVM, "--data", collection)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{SVM} on brain-mri, part test"
    assert "sources that the model was not trained on (6 images)" in lines[1]
    assert lines[2].startswith("  held out: not known; the split of training is not at hand")
    [found] = medseal("evaluate", SVM, "--data", collection, "--json").json
    assert (found["headline"], found["held_out"], found["images"]) == ("external", None, 6)
    assert "balanced_accuracy" in found["figures"]


def test_other_classes_are_refused_in_one_line(
    medseal: Callable[..., Any], collection: Path
) -> None:
    (collection / "no").rename(collection / "benign")
    (collection / "yes").rename(collection / "malignant")
    done = medseal("evaluate", SVM, "--data", collection, "--data-set", "skin")
    assert done.code == 2
    [line] = done.err.splitlines()
    assert "tells no_tumour, tumour apart, but the classes of skin are benign, malignant" in line


def test_a_source_that_is_not_there(medseal: Callable[..., Any], collection: Path) -> None:
    done = medseal("evaluate", SVM, "--data", collection, "--source", "elsewhere")
    assert done.code == 2
    assert "has no source 'elsewhere'" in done.err
