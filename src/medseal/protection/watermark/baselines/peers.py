"""Adapters that run other people's watermark packages where they are installed."""

import importlib
import importlib.util
import multiprocessing
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, InputError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.image import frozen
from medseal.protection.watermark.baselines.method import Method, Reading, as_bits, certain
from medseal.protection.watermark.payload import PAYLOAD_BYTES, derive

__all__ = ["BlindWatermark", "InvisibleWatermark", "installed_peers"]

Colour = NDArray[np.uint8]
_BITS_A_BYTE = 8
# RivaGAN's networks carry 32 bits, no more and no fewer.
_RIVAGAN_BYTES = 4
_LEAST_INVISIBLE = 256 * 256


def _package(name: str, project: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{project} is not installed; pip install {project}") from error


def _shown(image: MedicalImage, shape: tuple[int, int] | None = None) -> Colour:
    """Return what a viewer shows of the first frame as blue, green, red: (rows, columns, 3)."""
    shown = display_values(image, frame=0)
    colour = cv2.COLOR_GRAY2BGR if shown.ndim == 2 else cv2.COLOR_RGB2BGR  # noqa: PLR2004  axes
    found = cv2.cvtColor(shown, colour)
    if shape is not None and shape != found.shape[:2]:
        found = cv2.resize(found, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(found, np.uint8)


def _image_of(values: Colour, image: MedicalImage) -> MedicalImage:
    """Return an 8-bit colour image, also of a grey one: these packages mark the colour."""
    red_first = cv2.cvtColor(values, cv2.COLOR_BGR2RGB)
    return MedicalImage(
        stored_values=frozen(np.asarray(red_first, np.uint8)[None].copy()),
        bits_stored=_BITS_A_BYTE,
        is_signed=False,
        photometric_interpretation="RGB",
        source_format="png",
        decoder=image.decoder,
        modality=image.modality,
    )


@lru_cache(maxsize=1)
def _with_networks(package: Any) -> Any:
    package.WatermarkEncoder.loadModel()
    return package


@dataclass(frozen=True, slots=True, kw_only=True)
class InvisibleWatermark:
    """invisible-watermark, by Shield Mountain, at its own strength; it has no key.

    Attributes
    ----------
    mode
        ``dwtDct``, ``dwtDctSvd`` or ``rivaGan``.
    """

    mode: str = "dwtDct"

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"invisible-watermark {self.mode}"

    @property
    def payload_bytes(self) -> int:
        """Size of the payload."""
        return _RIVAGAN_BYTES if self.mode == "rivaGan" else PAYLOAD_BYTES

    def _package(self) -> Any:
        package = _package("imwatermark", "invisible-watermark")
        return _with_networks(package) if self.mode == "rivaGan" else package

    def embed(
        self,
        image: MedicalImage,
        payload: bytes,
        key: bytes,  # noqa: ARG002  of the interface
    ) -> MedicalImage:
        """Return an 8-bit colour copy with the payload.

        Raises
        ------
        InputError
            Fewer places than 256 x 256.
        ConfigurationError
            The package is not installed.
        """
        package = self._package()
        if image.rows * image.columns < _LEAST_INVISIBLE:
            raise InputError("invisible-watermark takes images of 256 x 256 and above")
        encoder = package.WatermarkEncoder()
        encoder.set_watermark("bytes", payload)
        return _image_of(np.asarray(encoder.encode(_shown(image), self.mode), np.uint8), image)

    def extract(
        self,
        image: MedicalImage,
        key: bytes,  # noqa: ARG002  of the interface
        *,
        shape: tuple[int, int] | None = None,
    ) -> Reading:
        """Return the bits; something is always returned, mark or not."""
        package = self._package()
        decoder = package.WatermarkDecoder("bits", self.payload_bytes * _BITS_A_BYTE)
        return certain(np.asarray(decoder.decode(_shown(image, shape), self.mode), np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindWatermark:
    """blind-watermark, by Guo Fei, at its own strength."""

    name: str = "blind-watermark"
    payload_bytes: int = PAYLOAD_BYTES

    def _marker(self, key: bytes) -> Any:
        if "blind_watermark" not in sys.modules:
            # On import it sets the start method, which raises in a process that has one.
            multiprocessing.set_start_method(None, force=True)
        package = _package("blind_watermark", "blind-watermark")
        package.bw_notes.close()
        seeds = np.frombuffer(derive(key, "blind-watermark", 8), "<u4")
        return package.WaterMark(password_wm=int(seeds[0]), password_img=int(seeds[1]))

    def embed(self, image: MedicalImage, payload: bytes, key: bytes) -> MedicalImage:
        """Return an 8-bit colour copy with the payload.

        Raises
        ------
        InputError
            The image has too few blocks for the payload.
        ConfigurationError
            The package is not installed.
        """
        marker = self._marker(key)
        marker.read_img(img=_shown(image))
        marker.read_wm(as_bits(payload).astype(bool), mode="bit")
        try:
            marked = marker.embed()
        except AssertionError as error:
            raise InputError("blind-watermark needs an image with more blocks than bits") from error
        return _image_of(np.asarray(np.rint(marked), np.uint8), image)

    def extract(
        self, image: MedicalImage, key: bytes, *, shape: tuple[int, int] | None = None
    ) -> Reading:
        """Return the bits; something is always returned, mark or not."""
        bits = self._marker(key).extract(
            embed_img=_shown(image, shape), wm_shape=self.payload_bytes * _BITS_A_BYTE, mode="bit"
        )
        return certain(bits)


def installed_peers() -> tuple[Method, ...]:
    """Return the adapters whose packages can be imported here."""
    peers: list[Method] = []
    for name, adapters in (
        ("imwatermark", [InvisibleWatermark(mode=mode) for mode in ("dwtDct", "dwtDctSvd")]),
        ("blind_watermark", [BlindWatermark()]),
    ):
        if importlib.util.find_spec(name) is not None:
            peers += adapters
    if importlib.util.find_spec("imwatermark") and importlib.util.find_spec("onnxruntime"):
        peers.append(InvisibleWatermark(mode="rivaGan"))
    return tuple(peers)
