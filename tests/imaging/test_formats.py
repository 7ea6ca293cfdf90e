"""The format is told by content; files appear whole or not at all."""

import resource
import signal
import stat

import numpy as np
import pytest

from medseal.errors import (
    StorageError,
    StorageFullError,
    UnreadableImageError,
    UnsupportedImageError,
)
from medseal.imaging import encode, find_image_files, read, read_bytes, read_with_digests, write
from medseal.imaging.limits import MAX_FILE_BYTES
from tests.imaging.image_builders import PYDICOM_FILES, dicom_bytes, dicom_dataset, image

MADE = image(np.arange(20, dtype=np.uint16).reshape(1, 4, 5, 1), 12)
SUFFIXES = {
    ".dcm": "dicom",
    ".png": "png",
    ".tif": "tiff",
    ".TIFF": "tiff",
    ".nii": "nifti",
    ".nii.gz": "nifti",
}


@pytest.mark.parametrize(("suffix", "source_format"), SUFFIXES.items())
def test_written_files_are_read_again(tmp_path, suffix, source_format):
    path = tmp_path / f"image{suffix}"
    write(MADE, path)
    made = read(path)
    assert made.source_format == source_format
    np.testing.assert_array_equal(made.stored_values, MADE.stored_values)
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) & stat.S_IRUSR


@pytest.mark.parametrize("source_format", ["dicom", "png", "tiff", "nifti", "nifti.gz"])
def test_the_name_does_not_tell_the_format(tmp_path, source_format):
    path = tmp_path / "image.jpg"
    path.write_bytes(encode(MADE, source_format))
    assert read(path).source_format == source_format.partition(".")[0]


def test_dicom_with_a_tiff_header_in_its_preamble():
    data = dicom_bytes(dicom_dataset(np.zeros((4, 4), "<u2"), 12))
    both = b"II*\0" + data[4:]
    assert read_bytes(both, name="x").source_format == "dicom"
    assert read_with_digests(both, name="x")[0].source_format == "dicom"


@pytest.mark.parametrize("data", [b"text" * 100, bytes(1000), b"\x08\x00", b"GIF89a" + bytes(99)])
def test_what_is_no_image(data):
    with pytest.raises((UnsupportedImageError, UnreadableImageError), match=r"^x: "):
        read_bytes(data, name="x")


def test_unknown_suffix_and_format(tmp_path):
    with pytest.raises(UnsupportedImageError, match=r"use \.dcm, \.png"):
        write(MADE, tmp_path / "image.jpg")
    with pytest.raises(UnsupportedImageError, match="choose dicom, png"):
        encode(MADE, "gif")
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_read(tmp_path):
    with pytest.raises(UnreadableImageError, match="no such file"):
        read(tmp_path / "missing.dcm")
    with pytest.raises(UnreadableImageError, match="is a directory"):
        read(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(UnreadableImageError, match="empty"):
        read(tmp_path / "empty.png")


def test_a_file_beyond_the_limit_is_not_read(tmp_path):
    path = tmp_path / "sparse.dcm"
    with path.open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(Exception, match="the limit is") as caught:
        read(path)
    assert type(caught.value).__name__ == "ImageTooLargeError"


def test_a_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "image.tif"
    path.write_bytes(b"old")
    noise = np.random.default_rng(0).integers(0, 65536, (1, 200, 200, 1)).astype(np.uint16)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(StorageFullError, match="no space is left"):
            write(image(noise, 16), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder(tmp_path):
    with pytest.raises(StorageError, match="check the folder"):
        write(MADE, tmp_path / "missing" / "image.png")


def test_find_image_files(tmp_path):
    names = ["b.dcm", "a/IM0001", "a/notes.txt", "a/cut.png", ".hidden.dcm", "z"]
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"text that is no image at all")
    (tmp_path / "a/IM0001").write_bytes((PYDICOM_FILES / "CT_small.dcm").read_bytes())
    found = [str(path.relative_to(tmp_path)) for path in find_image_files([tmp_path])]
    assert found == ["a/IM0001", "a/cut.png", "b.dcm"]
    given = tmp_path / "a/notes.txt"
    assert list(find_image_files([given])) == [given], "a file that is named is always tried"
