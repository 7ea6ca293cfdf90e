"""Small images of random blocks, no two alike."""

import hashlib

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def write_image():
    def write(path, seed, *, colour=False):
        shape = (8, 8, 3) if colour else (8, 8)
        small = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((64, 64), Image.Resampling.BICUBIC).save(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    return write
