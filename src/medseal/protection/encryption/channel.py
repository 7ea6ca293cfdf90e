"""Cipher image for lossy channels: sealed, error-corrected, exact or refused (form "digital").

Lossless codestream, AES-256-GCM, LDPC code, keyed order, and a few grey levels far apart. What a
JPEG, noise or a crop does to the pixels is corrected; what cannot be corrected is refused. No
security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it, and here from AES-256-GCM as well.
"""

import hmac
import math
import secrets
import warnings
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from medseal.errors import (
    CipherChannelError,
    CipherIntegrityError,
    ConfigurationError,
    ImageMismatchError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.imaging.limits import MAX_PIXELS_PER_FRAME
from medseal.protection.encryption.channel_codestream import pack, unpack
from medseal.protection.encryption.channel_hybrid import attach, restore
from medseal.protection.encryption.channel_layout import FORM, TAG_BYTES, Layout, chosen_layout
from medseal.protection.encryption.channel_levels import Reading, levels_of, read_levels
from medseal.protection.encryption.cipher_image import (
    NO_CLAIM,
    CipherHeader,
    CipherImage,
    plain_tag_of,
)
from medseal.protection.encryption.keystream import NONCE_BYTES, Stream, check_key, subkey
from medseal.protection.encryption.ldpc import Code

__all__ = [
    "FORM",
    "MAX_QUALITY",
    "MIN_QUALITY",
    "NO_CLAIM",
    "ApproximateImageWarning",
    "ChannelReport",
    "decode",
    "decode_with_report",
    "encode",
]

MIN_QUALITY, MAX_QUALITY = 30, 95
# The sub-key serves one message, so that its nonce may be zero.
_SEAL_NONCE = bytes(12)
_BITS_A_BYTE = 8
_MAX_BITS = 16


class ApproximateImageWarning(UserWarning):
    """An image was restored approximately; nothing vouches for its values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """What a channel did to a cipher image, as far as the receiver can tell.

    Attributes
    ----------
    noise
        Standard deviation of the values around their levels, in grey levels.
    levels
        Where the levels lay.
    outliers
        Share of values that belonged to no level.
    erased
        Share of values in areas that were painted over.
    corrected_bits, coded_bits
        How many coded bits were read wrongly or not at all, of how many.
    is_exact
        Whether the returned image equals the encoded one; else it is approximate.
    """

    noise: float
    levels: tuple[float, ...]
    outliers: float
    erased: float
    corrected_bits: int
    coded_bits: int
    is_exact: bool


def _order(key: bytes, nonce: bytes, layout: Layout) -> NDArray[np.int64]:
    """Return the flat places of the levels: a keyed order, so that a crop hits all blocks alike.

    Sorted by 16 bits with ties in place, which NumPy does in one pass: nothing secret depends on
    the order, it only scatters.
    """
    words = Stream(subkey(key, nonce, FORM, "order")).words(layout.rows * layout.columns)
    order = np.argsort(words, kind="stable")[: layout.level_count]
    return order.astype(np.int64, copy=False)


def _cipher(key: bytes, nonce: bytes) -> AESGCM:
    return AESGCM(subkey(key, nonce, FORM, "seal"))


def encode(
    image: MedicalImage, key: bytes, *, quality: int = 70, hybrid: bool = False
) -> CipherImage:
    """Return a cipher image that is exact, or refused, after a lossy channel.

    No security claim rests on a learned method: confidentiality and integrity come from
    AES-256-GCM here and from the sealed package around it.

    Parameters
    ----------
    image
        Stored values of 8 or 16 bits, signed or not, any shape. Attributes do not travel.
    key
        32 random bytes, from `secrets`.
    quality
        Lowest JPEG quality that the cipher image must endure, 30 to 95. It has at most 2.2 times
        the pixels of the image at 70 and 3 times at 50, unless the image hardly compresses.
    hybrid
        Add the analog form of the image below, as many pixels as its values: what is left where
        the channel was worse. It is opened only on demand, and approximate.

    Raises
    ------
    CipherKeyError
        The key has not 32 bytes.
    ConfigurationError
        The quality is outside its range.
    UnsupportedImageError
        Floating values, more than 16 bits, or more values than a cipher image may have.
    """
    _check(image, key, quality)
    values = image.stored_values
    nonce = secrets.token_bytes(NONCE_BYTES)
    plain = pack(values)
    layout = chosen_layout(image, quality, len(plain) + TAG_BYTES)
    lower = np.empty((0, 0), np.uint8)
    if hybrid:
        below, lower = attach(image, subkey(key, nonce, FORM, "analog"))
        layout = layout.above(below)
    if math.prod(layout.sides) > MAX_PIXELS_PER_FRAME:
        raise UnsupportedImageError(
            "the cipher image of this image has too many values; encode its frames one by one"
        )
    header = CipherHeader(
        form=FORM,
        backbone="",
        nonce=nonce,
        frames=image.frames,
        rows=image.rows,
        columns=image.columns,
        samples=image.samples,
        bits_allocated=values.dtype.itemsize * _BITS_A_BYTE,
        bits_stored=image.bits_stored,
        is_signed=image.is_signed,
        photometric_interpretation=image.photometric_interpretation,
        parameters=layout.to_bytes(),
        plain_tag=plain_tag_of(key, nonce, FORM, values),
    ).with_tag(key)
    sealed = _cipher(key, nonce).encrypt(_SEAL_NONCE, plain, header.to_bytes())
    upper = _travelling(sealed, layout, key, nonce)
    whole = np.concatenate([upper, lower]) if hybrid else upper
    return CipherImage(stored_values=whole[None, :, :, None], header=header)


def _check(image: MedicalImage, key: bytes, quality: int) -> None:
    check_key(key)
    if not MIN_QUALITY <= quality <= MAX_QUALITY:
        raise ConfigurationError(f"quality is {MIN_QUALITY} to {MAX_QUALITY}; got {quality}")
    dtype = image.stored_values.dtype
    if dtype.kind not in "ui" or dtype.itemsize * _BITS_A_BYTE > _MAX_BITS:
        raise UnsupportedImageError(
            f"the {FORM} form takes whole numbers of 8 or 16 bits, not {dtype}; "
            "seal the image instead"
        )


def _travelling(sealed: bytes, layout: Layout, key: bytes, nonce: bytes) -> NDArray[np.uint8]:
    """Return the values that carry the sealed bytes: (rows, columns)."""
    coded = layout.code.encode(np.unpackbits(np.frombuffer(sealed, np.uint8)))
    padded = np.zeros(layout.level_count * layout.bits, np.uint8)
    padded[: len(coded)] = coded
    places = layout.rows * layout.columns
    filling = np.frombuffer(Stream(subkey(key, nonce, FORM, "filling")).bytes(places), np.uint8)
    spread = np.unpackbits(filling[:, None], axis=1, count=layout.bits).reshape(-1)
    values = levels_of(spread, layout.bits)
    values[_order(key, nonce, layout)] = levels_of(padded, layout.bits)
    return values.reshape(layout.rows, layout.columns)


def _received(cipher_image: CipherImage, layout: Layout) -> NDArray[np.uint8]:
    """Return the values that came back: (rows, columns); three equal colours are one grey."""
    values = cipher_image.stored_values
    if values.shape[:3] != (1, *layout.sides) or values.dtype != np.uint8:
        raise ImageMismatchError(
            f"this cipher image was {' x '.join(map(str, layout.sides))} values of 8 bits and came "
            f"back as {values.shape} {values.dtype}; undo scaling, turning or cutting"
        )
    return values[0, :, :, 0] if values.shape[3] == 1 else _grey(values[0])


def _grey(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = np.rint(values[..., :3].mean(axis=2)).astype(np.uint8)
    return grey


def decode(
    cipher_image: CipherImage, key: bytes, *, allow_approximate: bool = False
) -> MedicalImage:
    """Return the image that was encoded, every stored value exact.

    No security claim rests on a learned method: confidentiality and integrity come from
    AES-256-GCM here and from the sealed package around it.

    Parameters
    ----------
    cipher_image
        As it came back from the channel, with the header it was made with.
    key
        32 bytes, those of `encode`.
    allow_approximate
        Of a hybrid that cannot be corrected, return what the analog part gives, with an
        `ApproximateImageWarning`. Nothing vouches for its values.

    Raises
    ------
    CipherKeyError
        The key is another; nothing was computed.
    CipherHeaderError
        The header is of another form, or malformed.
    ImageMismatchError
        The pixels came back in another shape.
    CipherChannelError
        The channel damaged more than can be corrected.
    CipherIntegrityError
        The pixels were changed so that something else than what was sealed is read, or more than
        the analog part endures.
    """
    return decode_with_report(cipher_image, key, allow_approximate=allow_approximate)[0]


def decode_with_report(
    cipher_image: CipherImage, key: bytes, *, allow_approximate: bool = False
) -> tuple[MedicalImage, ChannelReport]:
    """Return the image, and what the channel did; parameters and errors as for `decode`."""
    header = cipher_image.header
    header.check_tag(key)
    layout = Layout.from_header(header)
    received = _received(cipher_image, layout)
    reading = read_levels(received[: layout.rows], _order(key, header.nonce, layout), layout.bits)
    try:
        return _exact(reading, layout, header, key)
    except CipherChannelError:
        if layout.below is None or not allow_approximate:
            raise
    lower_key = subkey(key, header.nonce, FORM, "analog")
    image = restore(received[layout.rows :], layout.below, header, lower_key)
    warnings.warn(
        "the image is approximate: the channel was worse than what can be corrected, and no tag "
        "vouches for its values",
        ApproximateImageWarning,
        stacklevel=2,
    )
    return image, _report(reading, layout.code, None)


def _exact(
    reading: Reading, layout: Layout, header: CipherHeader, key: bytes
) -> tuple[MedicalImage, ChannelReport]:
    code = layout.code
    told = reading.log_likelihoods.reshape(-1)[: code.coded_bits]
    bits, fulfilled = code.decode(told)
    try:
        plain = _cipher(key, header.nonce).decrypt(
            _SEAL_NONCE, np.packbits(bits).tobytes(), header.to_bytes()
        )
    except InvalidTag as error:
        raise _refusal(fulfilled, reading, layout) from error
    values = unpack(plain, header.shape, header.dtype)
    if not hmac.compare_digest(plain_tag_of(key, header.nonce, FORM, values), header.plain_tag):
        raise CipherIntegrityError("the codestream leads to other values than were encoded")
    image = MedicalImage(
        stored_values=frozen(values),
        bits_stored=header.bits_stored,
        is_signed=header.is_signed,
        photometric_interpretation=header.photometric_interpretation,
        source_format="png",
        decoder="medseal cipher image",
    )
    return image, _report(reading, code, bits)


def _refusal(fulfilled: NDArray[np.bool_], reading: Reading, layout: Layout) -> Exception:
    if fulfilled.all():
        return CipherIntegrityError("the pixels were changed: other bytes than the sealed ones")
    other = "" if layout.below is None else "; its analog part gives an approximate image"
    return CipherChannelError(
        f"{np.count_nonzero(~fulfilled)} of {len(fulfilled)} blocks cannot be corrected (noise "
        f"{reading.noise:.0f} grey levels, {reading.erased:.0%} erased); fetch a better copy, or "
        f"encode for a lower quality{other}"
    )


def _report(reading: Reading, code: Code, bits: NDArray[np.uint8] | None) -> ChannelReport:
    """Return the report; without bits nothing was corrected."""
    told = reading.log_likelihoods.reshape(-1)[: code.coded_bits]
    corrected = 0
    if bits is not None:
        wrong = (told < 0).astype(np.uint8) != code.encode(bits)
        corrected = int(np.count_nonzero(wrong | (told == 0)))
    return ChannelReport(
        noise=reading.noise,
        levels=tuple(float(level) for level in reading.levels),
        outliers=reading.outliers,
        erased=reading.erased,
        corrected_bits=corrected,
        coded_bits=code.coded_bits,
        is_exact=bits is not None,
    )
