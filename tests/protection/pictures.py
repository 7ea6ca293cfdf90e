"""Generated images with the texture of real ones, for watermark, tamper and attacks."""

import numpy as np

from medseal.imaging import MedicalImage

KEY = bytes(range(32))
PAYLOAD = b"release1"


def texture(rows, columns, *, seed=0):
    """Return a head-like disc of smoothed noise on flat air, levels 0 to 1: (rows, columns)."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft2(rng.normal(size=(rows, columns)))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    noise = np.fft.irfft2(spectrum / (frequency + 0.02) ** 1.7, s=(rows, columns))
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    row, column = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    inside = np.hypot(row, column) < 0.9
    return np.where(inside, 0.2 + 0.6 * noise + 0.008 * rng.normal(size=(rows, columns)), 0.0)


def picture(values, *, bits=None, photometric="MONOCHROME2", attributes=None):
    """Return an image of these stored values: (frames, rows, columns, samples) or less axes."""
    if values.ndim == 2:
        values = values[None, :, :, None]
    return MedicalImage(
        stored_values=values,
        bits_stored=bits if bits is not None else values.dtype.itemsize * 8,
        is_signed=values.dtype.kind != "u",
        photometric_interpretation=photometric,
        source_format="png",
        decoder="generated",
        **({"attributes": attributes} if attributes else {}),
    )


def grey(rows=320, columns=288, *, seed=0):
    """Return an 8-bit grey image."""
    return picture(np.clip(texture(rows, columns, seed=seed) * 255, 0, 255).astype(np.uint8))


def loud(rows=512, columns=512, *, seed=0):
    """Return an 8-bit disc of dither, black and 180: far louder than any mark."""
    drawn = np.random.default_rng(seed).random((rows, columns)) < 0.4
    row, column = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return picture(np.where(drawn & (np.hypot(row, column) < 0.9), 180, 0).astype(np.uint8))
