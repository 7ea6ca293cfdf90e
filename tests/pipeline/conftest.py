"""A workspace and images to seal, made once for all tests of the use cases."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medseal.imaging import MedicalImage, write
from medseal.pipeline.workspace import Workspace

PASSPHRASE = "correct horse"  # noqa: S105 (of throw-away workspaces)
PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(scope="session")
def passphrase() -> str:
    return PASSPHRASE


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.create(tmp_path / "workspace", PASSPHRASE) as opened:
        yield opened


@pytest.fixture(scope="session")
def ct_file() -> Path:
    return PYDICOM_FILES / "CT_small.dcm"


@pytest.fixture
def mr_file(tmp_path: Path) -> Path:
    return _write_mr(tmp_path / "mr.dcm", seed=1)


@pytest.fixture(scope="session")
def write_mr() -> Callable[..., Path]:
    return _write_mr


def _write_mr(path: Path, *, seed: int, rows: int = 320, columns: int = 288) -> Path:
    """Write a 12-bit MR-like DICOM file with texture enough for a watermark."""
    generator = np.random.default_rng(seed)
    row, column = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    anatomy = 1800 * np.exp(-2 * (row**2 + column**2)) * (1.3 + np.sin(17 * row * column + seed))
    values = np.clip(anatomy + generator.normal(0, 40, anatomy.shape), 0, 4095).astype(np.uint16)
    image = MedicalImage(
        stored_values=values[np.newaxis, :, :, np.newaxis],
        bits_stored=12,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="generated",
        modality="MR",
    )
    write(image, path)
    return path
