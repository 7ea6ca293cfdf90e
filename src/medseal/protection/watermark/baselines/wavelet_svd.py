"""The textbook DWT-DCT-SVD watermark: the largest singular value of each block, quantised."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.watermark.baselines.block_dct import bit_of_block
from medseal.protection.watermark.baselines.method import (
    Plane,
    Reading,
    as_bits,
    certain,
    changed,
)
from medseal.protection.watermark.frame import resample
from medseal.protection.watermark.levels import FULL_LEVEL, Levels
from medseal.protection.watermark.payload import (
    PAYLOAD_BITS,
    PAYLOAD_BYTES,
    check_key,
    check_payload,
)

__all__ = ["WaveletSvd"]

# Of the low band, so 8 x 8 in the image.
_BLOCK = 4


def _low_band(plane: Plane) -> Plane:
    """Return the low band of one level of the orthonormal Haar transform, even sides only."""
    rows, columns = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    even = plane[:rows, :columns]
    quarters = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return np.asarray(quarters / 2, np.float32)


def _blocks(plane: Plane) -> NDArray[np.float64]:
    """Return the DCT of the whole 4 x 4 blocks of the low band: (blocks, 4, 4)."""
    low = _low_band(plane)
    down, across = low.shape[0] // _BLOCK, low.shape[1] // _BLOCK
    whole = low[: down * _BLOCK, : across * _BLOCK].astype(np.float64)
    blocks = whole.reshape(down, _BLOCK, across, _BLOCK).transpose(0, 2, 1, 3)
    basis = cv2.dct(np.eye(_BLOCK))
    return np.asarray(basis @ blocks.reshape(-1, _BLOCK, _BLOCK) @ basis.T, np.float64)


def _change(difference: NDArray[np.float64], shape: tuple[int, int]) -> Plane:
    """Return the change of the image that changes the blocks of the low band by `difference`."""
    basis = cv2.dct(np.eye(_BLOCK))
    blocks = basis.T @ difference @ basis
    down, across = shape[0] // 2 // _BLOCK, shape[1] // 2 // _BLOCK
    low = blocks.reshape(down, across, _BLOCK, _BLOCK).transpose(0, 2, 1, 3)
    whole = np.repeat(np.repeat(low.reshape(down * _BLOCK, -1), 2, axis=0), 2, axis=1) / 2
    change = np.zeros(shape, np.float32)
    change[: whole.shape[0], : whole.shape[1]] = whole
    return change


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveletSvd:
    """Each bit is the half of a quantiser's cell that singular values of many blocks lie in.

    Attributes
    ----------
    psnr_db
        Peak signal-to-noise ratio that the step of the quantiser follows from.

    References
    ----------
    Navas et al. 2008, DWT-DCT-SVD based watermarking, doi:10.1109/COMSWA.2008.4554423.
    Chen and Wornell 2001, Quantization index modulation, doi:10.1109/18.923725.
    """

    psnr_db: float = 45.0
    name: str = "DWT-DCT-SVD"
    payload_bytes: int = PAYLOAD_BYTES

    @property
    def _step(self) -> float:
        # A singular value moves by at most half a step, evenly spread: step**2 / 12 on the
        # average, in each 8 x 8 block of the image.
        error = FULL_LEVEL**2 * 10 ** (-self.psnr_db / 10)
        return float(np.sqrt(12 * (2 * _BLOCK) ** 2 * error))

    def embed(self, image: MedicalImage, payload: bytes, key: bytes) -> MedicalImage:
        """Return the image, of one frame, with the payload.

        Raises
        ------
        WatermarkCapacityError
            Fewer blocks than bits.
        """
        check_key(key)
        check_payload(payload)
        levels = Levels.of(image)
        frame = image.stored_values[0]
        plane = levels.plane(frame)
        blocks = _blocks(plane)
        if len(blocks) < PAYLOAD_BITS:
            raise WatermarkCapacityError(f"{len(blocks)} blocks cannot carry {PAYLOAD_BITS} bits")
        left, values, right = np.linalg.svd(blocks)
        bits = as_bits(payload)[bit_of_block(len(blocks), key)]
        aim = 0.25 + 0.5 * bits
        wanted = (np.rint(values[:, 0] / self._step - aim) + aim) * self._step
        wanted = np.where(wanted < 0, wanted + self._step, wanted)
        moved = (wanted - values[:, 0])[:, None, None] * left[:, :, :1] * right[:, :1, :]
        marked = changed(frame, levels, _change(moved, (plane.shape[0], plane.shape[1])))
        return image.with_stored_values(frozen(marked[None].copy()))

    def extract(
        self, image: MedicalImage, key: bytes, *, shape: tuple[int, int] | None = None
    ) -> Reading:
        """Return the bits by majority; something is always returned, mark or not."""
        check_key(key)
        plane = Levels.of(image).plane(image.stored_values[0])
        blocks = _blocks(resample(plane, shape) if shape else plane)
        largest = np.linalg.svd(blocks, compute_uv=False)[:, 0]
        votes = np.where(largest / self._step % 1 > 1 / 2, 1.0, -1.0)
        places = bit_of_block(len(blocks), key)
        return certain(np.bincount(places, votes, PAYLOAD_BITS) > 0)
