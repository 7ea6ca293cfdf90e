from pathlib import Path

import numpy as np
import pytest

from benchmarks.encryption_images import (
    MAX_FILE_BYTES,
    attack_images,
    grey_images,
    resized,
    spread,
    trained_images,
)
from medseal.datasets.material import Material
from medseal.errors import InputError
from tests.benchmarks.encryption_material import stored


def test_files_are_taken_from_all_modalities_by_turns(tmp_path: Path) -> None:
    files = stored(tmp_path)
    assert [item.modality for item in spread(files, 4)] == ["CT", "MRI", "CT", "MRI"]
    assert len({item.group for item in spread([*files, *files], 99)}) == 6
    files[0].path.write_bytes(bytes(MAX_FILE_BYTES + 1))
    assert files[0] not in spread(files, 99)


def test_images_are_read_grey_and_small_and_kept(tmp_path: Path) -> None:
    stored(tmp_path)
    work = tmp_path / "work"
    images = attack_images(tmp_path, 9, 16, folder=work)
    assert images.shape == (3, 16, 16)
    assert images.dtype == np.uint8
    (tmp_path / "0.png").unlink()
    assert np.array_equal(attack_images(tmp_path, 9, 16, folder=work), images)
    assert trained_images(tmp_path, 2, 16).shape == (2, 16, 16)
    assert resized(images, 8).shape == (3, 8, 8)


def test_no_readable_image_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match="none of the images"):
        grey_images([Material(path=path, modality="CT", group="a")], 16)
