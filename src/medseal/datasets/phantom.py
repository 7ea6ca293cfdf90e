"""Generated MR-like brain slices and CT-like bodies: images to show things on without patients."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError
from medseal.imaging import MedicalImage

__all__ = ["MAX_FRAMES", "MAX_SIDE", "MIN_SIDE", "ct_phantom", "mr_phantom"]

# Pixels a side, and frames; bounds memory to about a gigabyte.
MIN_SIDE, MAX_SIDE = 64, 2048
MAX_FRAMES = 64
_DECODER = "medseal.datasets.phantom 1"

Plane = NDArray[np.float64]
# Hounsfield units of the tissues drawn below.
_AIR, _LUNG, _FAT, _MUSCLE, _ORGAN, _BONE = -1000.0, -820.0, -95.0, 45.0, 70.0, 700.0


def _check(rows: int, columns: int, frames: int) -> None:
    if min(rows, columns) < MIN_SIDE or max(rows, columns) > MAX_SIDE:
        raise ConfigurationError(f"a phantom has {MIN_SIDE} to {MAX_SIDE} rows and columns")
    if not 1 <= frames <= MAX_FRAMES:
        raise ConfigurationError(f"a phantom has 1 to {MAX_FRAMES} frames")


def _grid(rows: int, columns: int) -> tuple[Plane, Plane]:
    """Return y and x from -1 to 1, (rows, 1) and (1, columns)."""
    return np.linspace(-1, 1, rows)[:, None], np.linspace(-1, 1, columns)[None, :]


def _smooth_noise(
    generator: np.random.Generator, rows: int, columns: int, *, period: float
) -> Plane:
    """Return a random field with mean 0, deviation 1 and details of about `period` pixels."""
    white = generator.standard_normal((rows, columns))
    fy = np.fft.fftfreq(rows)[:, None]
    fx = np.fft.rfftfreq(columns)[None, :]
    kept = np.exp(-(fy**2 + fx**2) * (period**2))
    field = np.fft.irfft2(np.fft.rfft2(white) * kept, s=(rows, columns))
    field -= field.mean()
    result: Plane = field / max(float(field.std()), 1e-12)
    return result


def _ellipse(
    y: Plane, x: Plane, *, centre: tuple[float, float], axes: tuple[float, float]
) -> Plane:
    """Return the distance from an ellipse in units of its axes: below 1 inside."""
    distance: Plane = np.hypot((y - centre[0]) / axes[0], (x - centre[1]) / axes[1])
    return distance


def _soft(distance: Plane, *, edge: float, width: float = 0.02) -> Plane:
    """Return 1 inside `edge`, 0 outside, with a soft border of `width`."""
    mask: Plane = 1 / (1 + np.exp(np.clip((distance - edge) / width, -50, 50)))
    return mask


def _mr_slice(
    generator: np.random.Generator, rows: int, columns: int, *, height: float, lesion: bool
) -> Plane:
    """Return one slice, values in about [0, 1]; `height` from -1 (base) to 1 (top)."""
    y, x = _grid(rows, columns)
    side = min(rows, columns)
    size = np.sqrt(1 - 0.45 * height**2)
    wobble = 0.015 * _smooth_noise(generator, rows, columns, period=side / 4)
    head = _ellipse(y, x, centre=(0, 0), axes=(0.9 * size, 0.72 * size)) + wobble
    scalp, skull = _soft(head, edge=1.0), _soft(head, edge=0.94)
    fluid, brain = _soft(head, edge=0.88), _soft(head, edge=0.85)
    folds = np.sin(3.0 * _smooth_noise(generator, rows, columns, period=side / 14))
    depth = (0.85 - head) / 0.85
    white = _soft(-depth + 0.10 * folds, edge=-0.17, width=0.03)
    image = 0.72 * (scalp - skull) + 0.05 * (skull - fluid) + 0.16 * (fluid - brain)
    image = image + brain * (0.42 + 0.24 * white)
    sulci = _soft(-np.abs(folds) - 3 * depth.clip(0), edge=-0.28, width=0.05)
    image -= brain * (1 - sulci) * 0.20 * (depth < 0.25)  # noqa: PLR2004  # only the cortex folds
    spread = 0.75 + 0.25 * np.cos(height * np.pi / 2)
    for sign in (-1, 1):
        centre = (-0.05, sign * 0.11 * spread)
        horn = _ellipse(y, x + sign * 0.12 * y**2, centre=centre, axes=(0.26 * spread, 0.07))
        image = image + _soft(horn, edge=1.0, width=0.08) * brain * (0.12 - image)
    image = image - 0.25 * brain * np.exp(-((x / 0.008) ** 2)) * (np.abs(y) > 0.35)  # noqa: PLR2004  # the falx
    image += brain * 0.02 * _smooth_noise(generator, rows, columns, period=side / 60)
    if lesion:
        image = image + _mr_lesion(generator, (rows, columns), brain=brain, image=image)
    bias = 1 + 0.08 * _smooth_noise(generator, rows, columns, period=side / 1.5)
    return np.clip(image * bias, 0, None)


def _mr_lesion(
    generator: np.random.Generator, shape: tuple[int, int], *, brain: Plane, image: Plane
) -> Plane:
    """Return what a ring-enhancing mass with oedema around it adds to the slice."""
    y, x = _grid(*shape)
    angle, reach = generator.uniform(0, 2 * np.pi), generator.uniform(0.25, 0.42)
    centre = (float(reach * np.sin(angle)), float(0.8 * reach * np.cos(angle)))
    radius = float(generator.uniform(0.11, 0.18))
    ragged = 0.10 * _smooth_noise(generator, *shape, period=min(shape) / 16)
    mass = _ellipse(y, x, centre=centre, axes=(radius, radius)) + ragged
    rim = _soft(mass, edge=1.0, width=0.05) - _soft(mass, edge=0.72, width=0.05)
    core = _soft(mass, edge=0.72, width=0.05)
    oedema = _soft(mass, edge=1.7, width=0.15) - _soft(mass, edge=1.0, width=0.05)
    change: Plane = brain * (rim * (0.95 - image) + core * (0.30 - image) - 0.13 * oedema)
    return change


def mr_phantom(
    *,
    generator: np.random.Generator,
    rows: int = 256,
    columns: int = 256,
    frames: int = 1,
    bits_stored: Literal[12, 16] = 12,
    lesion: bool = False,
) -> MedicalImage:
    """Return an MR-like stack of axial brain slices.

    Parameters
    ----------
    generator
        Source of anatomy and noise; the same state gives the same image.
    rows, columns
        `MIN_SIDE` to `MAX_SIDE`.
    frames
        Slices from the base to the top of the head, 1 to `MAX_FRAMES`.
    bits_stored
        12 or 16, unsigned, MONOCHROME2.
    lesion
        Whether a ring-enhancing mass is drawn into the middle slices.

    Raises
    ------
    ConfigurationError
        A size is out of range.

    Notes
    -----
    Looks like T1 with contrast; it is no simulation of an acquisition. Noise is Rician, as in
    magnitude images (Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618).
    """
    _check(rows, columns, frames)
    heights = np.linspace(-0.6, 0.8, frames) if frames > 1 else np.array([0.1])
    top = 2**bits_stored - 1
    stored = np.empty((frames, rows, columns, 1), dtype=np.uint16)
    for index, height in enumerate(heights):
        shown = lesion and abs(float(height) - 0.1) < 0.35  # noqa: PLR2004  # the middle third
        plane = _mr_slice(generator, rows, columns, height=float(height), lesion=shown)
        real = plane + 0.012 * generator.standard_normal(plane.shape)
        imaginary = 0.012 * generator.standard_normal(plane.shape)
        magnitude = np.hypot(real, imaginary)
        stored[index, :, :, 0] = np.clip(np.rint(magnitude * 0.75 * top), 0, top)
    field_of_view_mm = 240.0
    return MedicalImage(
        stored_values=stored,
        bits_stored=bits_stored,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder=_DECODER,
        modality="MR",
        spacing_mm=(field_of_view_mm / rows, field_of_view_mm / columns),
    )


def _ct_slice(generator: np.random.Generator, rows: int, columns: int, *, lesion: bool) -> Plane:
    """Return one slice through the chest in Hounsfield units."""
    y, x = _grid(rows, columns)
    side = min(rows, columns)
    wobble = 0.012 * _smooth_noise(generator, rows, columns, period=side / 4)
    body = _ellipse(y, x, centre=(0.05, 0), axes=(0.66, 0.90)) + wobble
    image = np.full((rows, columns), _AIR)
    layers = [(_soft(body, edge=1.0), _FAT), (_soft(body, edge=0.91), _MUSCLE)]
    for sign in (-1, 1):
        lung = _ellipse(y, x, centre=(0.02, sign * 0.40), axes=(0.46, 0.30)) + 2 * wobble
        vessels = np.clip(_smooth_noise(generator, rows, columns, period=side / 50) - 1.3, 0, None)
        layers.append((_soft(lung, edge=1.0), _LUNG))
        layers.append((_soft(lung, edge=0.95) * np.clip(1.6 * vessels, 0, 1), _MUSCLE))
    heart = _ellipse(y, x, centre=(-0.08, 0.12), axes=(0.24, 0.26)) + wobble
    layers.append((_soft(heart, edge=1.0), _ORGAN))
    spine = _ellipse(y, x, centre=(0.42, 0), axes=(0.12, 0.12)) + 3 * wobble
    layers.append((_soft(spine, edge=1.0, width=0.05), _BONE))
    layers.append((_soft(spine, edge=0.75, width=0.05), 0.4 * _BONE))
    for angle in np.linspace(0.2, np.pi - 0.2, 7):
        for sign in (-1, 1):
            place = (0.05 - 0.56 * float(np.cos(angle)), sign * 0.77 * float(np.sin(angle)))
            rib = _ellipse(y, x, centre=place, axes=(0.035, 0.05))
            layers.append((_soft(rib, edge=1.0, width=0.15), _BONE))
    if lesion:
        place = (float(generator.uniform(-0.2, 0.2)), float(generator.choice([-0.42, 0.42])))
        ragged = 0.15 * _smooth_noise(generator, rows, columns, period=side / 40)
        nodule = _ellipse(y, x, centre=place, axes=(0.055, 0.055)) + ragged
        layers.append((_soft(nodule, edge=1.0, width=0.08), _MUSCLE))
    for mask, value in layers:
        image = image + mask * (value - image)
    # A table below the patient, as scanners show it.
    return np.where(np.abs(y - 0.86 - 0.05 * x**2) < 0.012, -300.0, image)  # noqa: PLR2004  # its thickness


def ct_phantom(
    *,
    generator: np.random.Generator,
    rows: int = 256,
    columns: int = 256,
    frames: int = 1,
    lesion: bool = False,
) -> MedicalImage:
    """Return a CT-like stack of chest slices in Hounsfield units.

    Parameters
    ----------
    generator
        Source of anatomy and noise; the same state gives the same image.
    rows, columns
        `MIN_SIDE` to `MAX_SIDE`.
    frames
        1 to `MAX_FRAMES`.
    lesion
        Whether a nodule is drawn into one lung.

    Returns
    -------
    MedicalImage
        Signed, 16 bits stored, -1024 to 3071, with a soft-tissue window as attributes.

    Raises
    ------
    ConfigurationError
        A size is out of range.
    """
    _check(rows, columns, frames)
    stored = np.empty((frames, rows, columns, 1), dtype=np.int16)
    for index in range(frames):
        plane = _ct_slice(generator, rows, columns, lesion=lesion)
        noise = 12 * _smooth_noise(generator, rows, columns, period=1.5)
        stored[index, :, :, 0] = np.clip(np.rint(plane + noise), -1024, 3071)
    field_of_view_mm = 380.0
    return MedicalImage(
        stored_values=stored,
        bits_stored=16,
        is_signed=True,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder=_DECODER,
        modality="CT",
        spacing_mm=(field_of_view_mm / rows, field_of_view_mm / columns),
        attributes={"WindowCenter": 40.0, "WindowWidth": 1200.0},
    )
