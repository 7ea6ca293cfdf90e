"""Integer variant: additive coupling rounds with keyed convolutions, exact to the bit.

The values are cut into two halves; in turn each gets words of a network of the other added. The
network sees cells of the other half in a keyed order, XORed with key stream, and a last XOR with
key stream covers the whole. No security claim rests on a learned method: confidentiality and
integrity come from the sealed package around it. The format: docs/spec/cipher-image.md.
"""

import hashlib
import hmac
import math
import secrets
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.errors import (
    CipherHeaderError,
    CipherIntegrityError,
    InexactArithmeticError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage, plain_tag_of
from medseal.protection.encryption.cnn.backbones import (
    CELL_BYTES,
    CELL_WORDS,
    GRID_STEP,
    NETWORKS,
    draw_network,
)
from medseal.protection.encryption.cnn.backends import Product, default, load
from medseal.protection.encryption.keystream import NONCE_BYTES, Stream, subkey

__all__ = ["ROUNDS", "Structure", "decrypt", "encrypt", "exact_product", "transform"]

FORM = "integer"
ROUNDS = 6
"""The statistical tests pass from 2 rounds on, with every backbone and size: a margin of three."""

_ALLOCATED_BYTES = (1, 2)
_PARAMETERS = bytes((ROUNDS,))
_WORD = np.dtype("<u2")
# SHA-256 of what `_golden` makes, by the int64 backend.
_GOLDEN = {
    "unet": "d5584737099cadc8497637fed1904c57315818b57fe9e5d6891323fe63ff7791",
    "resnet": "449a7b7a1121b817689aed47b56be10d03d7cd5a4ff8f8d1cab4ace3592936c6",
    "autoencoder": "43c4126d13dcf522b46e7ba24985cb283978e302360f6d4e75649873dbdf5492",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What the cipher is made of; the fields beside `backbone` are changed by experiments only.

    Attributes
    ----------
    backbone
        ``unet``, ``resnet`` or ``autoencoder``.
    rounds
        1 or more; each changes both halves once.
    whiten
        Whether the result is XORed with key stream.
    constants
        Whether what a network sees is XORed with key stream.
    """

    backbone: str
    rounds: int = ROUNDS
    whiten: bool = True
    constants: bool = True


def transform(
    values: NDArray[Any],
    key: bytes,
    nonce: bytes,
    *,
    structure: Structure,
    inverse: bool = False,
    product: Product | None = None,
) -> NDArray[Any]:
    """Return the bare permutation of arrays under the cipher, without header and tag.

    Parameters
    ----------
    values
        Any shape of at least one value, uint8 or uint16.
    key, nonce
        32 and 16 bytes.
    structure
        Of the cipher.
    inverse
        Whether to undo it.
    product
        A backend that was tested; None for the default.

    Returns
    -------
    NDArray
        Same shape and type.
    """
    product = exact_product() if product is None else product
    kind = values.dtype.newbyteorder("<")
    flat = np.array(values, dtype=kind, order="C").reshape(-1)
    if inverse and structure.whiten:
        _whiten(flat, key, nonce)
    middle = (flat.size + 1) // 2
    halves = flat[:middle], flat[middle:]
    steps = range(2 * structure.rounds)
    for step in reversed(steps) if inverse else steps:
        source, target = halves if step % 2 == 0 else halves[::-1]
        stream = Stream(subkey(key, nonce, FORM, f"{structure.backbone}-{step}"))
        words = _words(source, halves[0].nbytes, stream, structure, product)
        added = words.view(kind)[: target.size]
        if inverse:
            target -= added
        else:
            target += added
    if structure.whiten and not inverse:
        _whiten(flat, key, nonce)
    return flat.reshape(values.shape).astype(values.dtype, copy=False)


def _whiten(flat: NDArray[Any], key: bytes, nonce: bytes) -> None:
    """XOR the values with key stream, in place."""
    stream = Stream(subkey(key, nonce, FORM, "whitening"))
    flat ^= np.frombuffer(stream.bytes(flat.nbytes), flat.dtype)


def _words(
    source: NDArray[Any], half_bytes: int, stream: Stream, structure: Structure, product: Product
) -> NDArray[Any]:
    """Return the words of one half step, flat and little endian.

    Parameters
    ----------
    source
        The half that the network sees, flat.
    half_bytes
        Bytes of the larger half, by which both halves have the same grid.
    stream
        Of this step: network, order of the cells and constants are drawn from it, in this order.
    structure, product
        As for `transform`.
    """
    rows, columns = _grid(half_bytes)
    network = draw_network(structure.backbone, stream)
    order = stream.permutation(rows * columns)
    cells = np.zeros((rows * columns, CELL_BYTES), np.uint8)
    cells.reshape(-1)[: source.nbytes] = source.view(np.uint8)
    seen = cells[order]
    if structure.constants:
        seen ^= np.frombuffer(stream.bytes(seen.size), np.uint8).reshape(seen.shape)
    words = network.words(seen.reshape(rows, columns, CELL_BYTES), product)
    return words.astype(_WORD, copy=False).reshape(rows * columns * CELL_WORDS)


def _grid(half_bytes: int) -> tuple[int, int]:
    """Return rows and columns of a nearly square torus with room for so many bytes."""
    cells = max(1, -(-half_bytes // CELL_BYTES))
    columns = _step_up(math.isqrt(cells - 1) + 1)
    return _step_up(-(-cells // columns)), columns


def _step_up(side: int) -> int:
    return -(-side // GRID_STEP) * GRID_STEP


def exact_product(backend: str | None = None) -> Product:
    """Return the products of a backend after its self-test against committed golden values.

    Parameters
    ----------
    backend
        One of `backends.BACKENDS`; None for the fastest that is installed.

    Raises
    ------
    ConfigurationError
        Unknown, or its library is not installed.
    InexactArithmeticError
        It does not compute exactly on this machine; no other one is taken in its place.
    """
    return _tested(default() if backend is None else backend)


@lru_cache
def _tested(backend: str) -> Product:
    """Return the products of a backend; tested once in a process."""
    product = load(backend)
    _check_golden(product, name=backend)
    return product


def _check_golden(product: Product, *, name: str) -> None:
    """Compare one small cipher image of each backbone with the committed one."""
    for backbone, expected in _GOLDEN.items():
        if _golden(backbone, product) != expected:
            raise InexactArithmeticError(
                f"the integer cipher gives other values than it must with the backend {name}; "
                "name another one"
            )


def _golden(backbone: str, product: Product) -> str:
    """Return the digest of the small cipher image that the self-test makes."""
    values = np.arange(5000, dtype=np.uint16)
    structure = Structure(backbone=backbone, rounds=1)
    result = transform(values, bytes(32), bytes(16), structure=structure, product=product)
    return hashlib.sha256(result.astype(_WORD).tobytes()).hexdigest()


def encrypt(
    image: MedicalImage, key: bytes, *, backbone: str, backend: str | None = None
) -> CipherImage:
    """Return the cipher image: the same shape, uint8 or uint16, every value changed.

    Parameters
    ----------
    image
        Stored values of 8 or 16 bits, signed or not.
    key
        32 bytes.
    backbone
        ``unet``, ``resnet`` or ``autoencoder``.
    backend
        As for `exact_product`; all give the same values.

    Raises
    ------
    UnsupportedImageError
        Floating values or more than 16 bits.
    InexactArithmeticError, ConfigurationError
        From `exact_product`.
    """
    values = image.stored_values
    if values.dtype.kind not in "iu" or values.dtype.itemsize not in _ALLOCATED_BYTES:
        raise UnsupportedImageError(
            f"the integer variant takes whole numbers of 8 or 16 bits, not {values.dtype}; "
            "seal the file instead"
        )
    nonce = secrets.token_bytes(NONCE_BYTES)
    header = CipherHeader(
        form=FORM,
        backbone=backbone,
        nonce=nonce,
        frames=image.frames,
        rows=image.rows,
        columns=image.columns,
        samples=image.samples,
        bits_allocated=8 * values.dtype.itemsize,
        bits_stored=image.bits_stored,
        is_signed=image.is_signed,
        photometric_interpretation=image.photometric_interpretation,
        parameters=_PARAMETERS,
        plain_tag=plain_tag_of(key, nonce, FORM, values),
    ).with_tag(key)
    result = transform(
        values.view(f"u{values.dtype.itemsize}"),
        key,
        nonce,
        structure=Structure(backbone=backbone),
        product=exact_product(backend),
    )
    return CipherImage(stored_values=frozen(result), header=header)


def decrypt(cipher_image: CipherImage, key: bytes, *, backend: str | None = None) -> MedicalImage:
    """Return the image, equal to the encrypted one in every stored value.

    Parameters
    ----------
    cipher_image
        Of the integer form.
    key
        32 bytes.
    backend
        As for `exact_product`; may differ from the one that encrypted.

    Raises
    ------
    CipherKeyError
        The key is another.
    CipherHeaderError
        Another form, other rounds, or pixels of another shape or type than the header states.
    CipherIntegrityError
        The pixels were changed.
    InexactArithmeticError, ConfigurationError
        From `exact_product`.
    """
    header, values = cipher_image.header, cipher_image.stored_values
    # 1. Key and header belong together. 2. Header and pixels do. 3. Only then compute. 4. Compare.
    header.check_tag(key)
    _check_fit(header, values)
    plain = transform(
        values,
        key,
        header.nonce,
        structure=Structure(backbone=header.backbone),
        inverse=True,
        product=exact_product(backend),
    ).view(header.dtype)
    if not hmac.compare_digest(plain_tag_of(key, header.nonce, FORM, plain), header.plain_tag):
        raise CipherIntegrityError(
            "the pixels of the cipher image were changed; fetch it again, or use a form that "
            "endures lossy channels"
        )
    return MedicalImage(
        stored_values=frozen(plain),
        bits_stored=header.bits_stored,
        is_signed=header.is_signed,
        photometric_interpretation=header.photometric_interpretation,
        source_format="png",
        decoder="medseal cipher image",
    )


def _check_fit(header: CipherHeader, values: NDArray[Any]) -> None:
    """Refuse a header that does not belong to this form or to these pixels."""
    if header.form != FORM or header.backbone not in NETWORKS or header.parameters != _PARAMETERS:
        raise CipherHeaderError("the header is not one of the integer variant; update medseal")
    if values.shape != header.shape or values.dtype.itemsize * 8 != header.bits_allocated:
        raise CipherHeaderError(
            f"the header states {header.shape} values of {header.bits_allocated} bits; the cipher "
            f"image has {values.shape} of {values.dtype}; fetch it again"
        )
