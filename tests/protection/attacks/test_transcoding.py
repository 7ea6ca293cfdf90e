import dataclasses

import numpy as np
import pytest

from medseal.errors import UnsupportedImageError
from medseal.imaging import display_values, encode, read_bytes
from medseal.protection.attacks import transcoding
from tests.protection.pictures import grey, picture, texture


def values(rows=60, columns=50, *, seed=1):
    return texture(rows, columns, seed=seed)


def signed():
    return picture(np.rint(values() * 3000 - 1000).astype(np.int16), bits=12)


def sixteen():
    return picture(np.rint(values() * 60000).astype(np.uint16))


def colour():
    planes = np.stack([values(seed=k) * 255 for k in range(3)], axis=2)
    return picture(planes.astype(np.uint8)[None], photometric="RGB")


def frames():
    stack = np.stack([values(seed=k) * 4000 for k in range(3)])
    return picture(stack.astype(np.uint16)[..., None], bits=12)


def windowed(*, function=None, several=False):
    """Return a CT as a scanner writes it: signed values, slope, intercept, window."""
    image = read_bytes(encode(signed(), "dicom"), name="x")
    dataset = transcoding.dataset_of(image)
    dataset.RescaleSlope, dataset.RescaleIntercept = 2, -30
    dataset.WindowCenter = ["40", "600"] if several else "900"
    dataset.WindowWidth = ["400", "90"] if several else "1500"
    dataset.add_new("PixelPaddingValue", "SS", -1000)
    if function is not None:
        dataset.VOILUTFunction = function
    return transcoding.with_dataset(image, dataset)


SAVED = {
    "DICOM": lambda image: transcoding.saved_again(image, format_name="dicom"),
    "TIFF": lambda image: transcoding.saved_again(image, format_name="tiff"),
    "JPEG-LS": transcoding.jpeg_ls,
    "JPEG 2000": transcoding.jpeg2000_lossless,
    "RLE": transcoding.rle,
}


@pytest.mark.parametrize("make", [grey, signed, sixteen, colour, frames, windowed])
@pytest.mark.parametrize("name", SAVED)
def test_every_value_is_kept(name, make):
    image = make()
    copy = SAVED[name](image)
    assert np.array_equal(copy.stored_values, image.stored_values)
    assert copy.stored_values.dtype == image.stored_values.dtype
    assert copy.photometric_interpretation == image.photometric_interpretation
    if name != "TIFF":
        # A TIFF states cells of whole bytes, and no window.
        assert copy.bits_stored == image.bits_stored
        assert np.array_equal(display_values(copy), display_values(image))


def test_the_file_is_really_compressed(monkeypatch):
    sizes = {}
    read = transcoding.read_bytes

    def measured(data, *, name):
        sizes[name] = len(data)
        return read(data, name=name)

    monkeypatch.setattr(transcoding, "read_bytes", measured)
    plain = len(encode(grey(), "dicom"))
    for name in ("JPEG-LS", "JPEG 2000", "RLE"):
        SAVED[name](grey())
        assert sizes["copy.dcm"] < 0.95 * plain


@pytest.mark.parametrize("make", [grey, signed, sixteen, colour, frames])
def test_near_lossless_stays_within_its_error(make):
    image = make()
    copy = transcoding.jpeg_ls_near(image, error=2)
    change = copy.stored_values.astype(int) - image.stored_values
    assert 1 <= np.abs(change).max() <= 2
    assert copy.bits_stored == image.bits_stored


@pytest.mark.parametrize("make", [transcoding.jpeg_ls, transcoding.rle])
def test_floats_cannot_be_compressed(make):
    image = picture(values().astype(np.float32))
    with pytest.raises(UnsupportedImageError, match="whole numbers"):
        make(image)
    with pytest.raises(UnsupportedImageError, match="whole numbers"):
        transcoding.jpeg_ls_near(image, error=1)


@pytest.mark.parametrize(
    "image",
    [
        grey(),
        signed(),
        windowed(),
        windowed(several=True),
        windowed(function="LINEAR_EXACT"),
        dataclasses.replace(sixteen(), photometric_interpretation="MONOCHROME1"),
    ],
)
def test_a_declared_inversion_looks_as_before(image):
    copy = transcoding.rewritten_inverted(image)
    assert copy.photometric_interpretation != image.photometric_interpretation
    assert not np.array_equal(copy.stored_values, image.stored_values)
    difference = display_values(copy).astype(int) - display_values(image)
    # Where the grey value lies half way between two levels, rounding may go either way.
    assert np.abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.02


def test_what_cannot_be_declared_inverted_is_refused():
    with pytest.raises(UnsupportedImageError, match="only whole grey values"):
        transcoding.rewritten_inverted(colour())
    image = windowed()
    dataset = transcoding.dataset_of(image)
    dataset.VOILUTSequence = []
    with pytest.raises(UnsupportedImageError, match="VOILUTSequence"):
        transcoding.rewritten_inverted(transcoding.with_dataset(image, dataset))


@pytest.mark.parametrize("make", [grey, frames, colour])
def test_rgb_shows_what_a_viewer_shows(make):
    image = make()
    copy = transcoding.grey_to_rgb(image)
    assert copy.photometric_interpretation == "RGB"
    for index in range(image.frames):
        shown = display_values(image, frame=index)
        shown = shown if shown.ndim == 3 else np.repeat(shown[:, :, None], 3, axis=2)
        assert np.array_equal(copy.stored_values[index], shown)
