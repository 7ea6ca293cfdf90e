"""Collections made of noise and lesions, with and without what gives the label away."""

import numpy as np
import pytest
from PIL import Image

from medseal.datasets import read_dataset
from medseal.datasets.audit import audit

COUNT = 72
SIDE = 48


def picture(generator, *, lesion, brightness=0.0):
    """Return a smooth picture with a small round lesion anywhere inside, or the same without."""
    coarse = generator.normal(0, 1, (6, 6))
    field = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    image = 110 + brightness + 22 * field + generator.normal(0, 4, (SIDE, SIDE))
    y, x = np.mgrid[:SIDE, :SIDE]
    row, column = generator.integers(16, 32, 2)
    disc = (y - row) ** 2 + (x - column) ** 2 < 16
    # A ring round the disc makes up for its brightness, so that the histogram shows little.
    ring = ~disc & ((y - row) ** 2 + (x - column) ** 2 < 32)
    image = image + (18.0 * disc - 18.0 * ring if lesion else 18.0 * ring - 18.0 * disc)
    return np.clip(image, 0, 255).astype(np.uint8)


def fill(folder, save):
    generator = np.random.default_rng(4)
    for index in range(COUNT):
        lesion = index % 2 == 1
        place = folder / ("lesion" if lesion else "normal")
        place.mkdir(parents=True, exist_ok=True)
        save(place / str(index), generator, lesion)
    return folder


def save_alike(path, generator, lesion):
    Image.fromarray(picture(generator, lesion=lesion)).save(path.with_suffix(".png"))


def save_confounded(path, generator, lesion):
    """Lesions come from a brighter camera that writes colour and stronger compression."""
    image = Image.fromarray(picture(generator, lesion=lesion, brightness=40.0 * lesion))
    if lesion:
        image.convert("RGB").save(path.with_suffix(".jpg"), quality=60)
    else:
        image.save(path.with_suffix(".jpg"), quality=95)


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    return read_dataset("class-folders", fill(tmp_path_factory.mktemp("clean"), save_alike))


@pytest.fixture(scope="session")
def confounded(tmp_path_factory):
    return read_dataset(
        "class-folders", fill(tmp_path_factory.mktemp("confounded"), save_confounded)
    )


@pytest.fixture(scope="session")
def clean_audit(clean):
    return audit(clean, progress=lambda _: None)


@pytest.fixture(scope="session")
def confounded_audit(confounded):
    return audit(confounded, progress=lambda _: None)
