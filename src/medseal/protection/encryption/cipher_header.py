"""Header of a cipher image: strict binary layout, bound to key and nonce by a tag.

The layout stands in docs/spec/cipher-image.md. No security claim rests on a learned
method: confidentiality and integrity come from the sealed package around it.
"""

import dataclasses
import hashlib
import hmac
import re
import struct
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medseal.errors import CipherHeaderError, CipherKeyError
from medseal.imaging.limits import MAX_DECODED_BYTES, MAX_FRAMES, MAX_PIXELS_PER_FRAME
from medseal.protection.encryption.keystream import NONCE_BYTES, subkey

__all__ = [
    "BACKBONES",
    "FORMS",
    "MAGIC",
    "MAX_HEADER_BYTES",
    "MAX_PARAMETERS_BYTES",
    "MAX_PHOTOMETRIC_BYTES",
    "MAX_SAMPLES",
    "NO_CLAIM",
    "PLAIN_TAG_BYTES",
    "VERSION",
    "CipherHeader",
    "plain_tag_of",
]

NO_CLAIM = (
    "No security claim rests on a learned method: confidentiality and integrity come from the "
    "sealed package around it."
)

MAGIC = b"medseal-cipher\x00"
VERSION = 1
FORMS = ("integer", "analog", "digital")
BACKBONES = ("", "unet", "resnet", "autoencoder")
MAX_PARAMETERS_BYTES = 64
MAX_PHOTOMETRIC_BYTES = 32
MAX_SAMPLES = 4
PLAIN_TAG_BYTES = 32
_HEADER_TAG_BYTES = 16
_CHECKSUM_BYTES = 8
_BITS_A_BYTE = 8
_ALLOCATED_BITS = (8, 16)
_NO_BACKBONE_FORM = "digital"
_PHOTOMETRIC = re.compile(r"[A-Z][A-Z0-9_ ]*")
# magic, version, form, backbone, nonce; frames, rows, columns, samples; bits allocated, bits
# stored, signed; big endian without padding
_FIXED = struct.Struct(f">{len(MAGIC)}sBBB{NONCE_BYTES}sIIIBBBB")
_LENGTH_BYTES = 1
MAX_HEADER_BYTES = (
    _FIXED.size
    + _LENGTH_BYTES
    + MAX_PHOTOMETRIC_BYTES
    + _LENGTH_BYTES
    + MAX_PARAMETERS_BYTES
    + PLAIN_TAG_BYTES
    + _HEADER_TAG_BYTES
    + _CHECKSUM_BYTES
)


def _require(condition: bool, message: str) -> None:
    """Raise `CipherHeaderError` unless the condition holds."""
    if not condition:
        raise CipherHeaderError(message)


def plain_tag_of(key: bytes, nonce: bytes, form: str, values: NDArray[Any]) -> bytes:
    """Return the tag by which decrypted stored values are recognised.

    Parameters
    ----------
    key, nonce, form
        As for `medseal.protection.encryption.keystream.subkey`.
    values
        Stored values of the plain image, integers; hashed little endian in C order. Their shape
        and type stand in the header.

    Returns
    -------
    bytes
        HMAC-SHA256, 32 bytes, under a key of its own.
    """
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    tag_key = subkey(key, nonce, form, "plain-tag")
    return hmac.digest(tag_key, little.tobytes(), hashlib.sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherHeader:
    """What a cipher image needs besides its pixels and the key; it holds no patient data.

    Attributes
    ----------
    form
        ``integer``, ``analog`` or ``digital``.
    backbone
        ``unet``, ``resnet`` or ``autoencoder``; empty for the digital form.
    nonce
        16 random bytes, one draw an image.
    frames, rows, columns, samples
        Shape of the plain image.
    bits_allocated, bits_stored, is_signed, photometric_interpretation
        Kind of the plain stored values: 8 or 16 bits allocated, 1 to as many stored.
    parameters
        At most 64 bytes that belong to the form.
    plain_tag
        32 bytes, `plain_tag_of` the plain image; zero where the form restores approximately.
    header_tag
        16 bytes, MAC over everything before it; empty until `with_tag` has set it.

    Raises
    ------
    CipherHeaderError
        A field lies outside its limits.
    """

    form: str
    backbone: str
    nonce: bytes
    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric_interpretation: str
    parameters: bytes
    plain_tag: bytes
    header_tag: bytes = b""

    def __post_init__(self) -> None:
        _require(self.form in FORMS, "the form of the cipher image is unknown; update medseal")
        _require(
            self.backbone in BACKBONES
            and (self.backbone == "") == (self.form == _NO_BACKBONE_FORM),
            f"the {self.form} form does not go with the backbone that the header names",
        )
        _require(len(self.nonce) == NONCE_BYTES, f"the nonce must have {NONCE_BYTES} bytes")
        _require(
            len(self.parameters) <= MAX_PARAMETERS_BYTES,
            f"the parameters exceed {MAX_PARAMETERS_BYTES} bytes",
        )
        _require(
            len(self.plain_tag) == PLAIN_TAG_BYTES,
            f"the plain tag must have {PLAIN_TAG_BYTES} bytes",
        )
        _require(
            len(self.header_tag) in (0, _HEADER_TAG_BYTES),
            f"the header tag must have {_HEADER_TAG_BYTES} bytes",
        )
        self._check_image()

    def _check_image(self) -> None:
        """Check the fields that describe the plain image."""
        _require(
            1 <= self.frames <= MAX_FRAMES
            and self.rows >= 1
            and self.columns >= 1
            and self.rows * self.columns <= MAX_PIXELS_PER_FRAME
            and 1 <= self.samples <= MAX_SAMPLES
            and self.bits_allocated in _ALLOCATED_BITS
            and self.value_count * self.bits_allocated // _BITS_A_BYTE <= MAX_DECODED_BYTES,
            "the header states a size or a depth beyond the limits of an image",
        )
        _require(
            1 <= self.bits_stored <= self.bits_allocated,
            f"{self.bits_stored} bits stored do not fit {self.bits_allocated} allocated",
        )
        photometric = self.photometric_interpretation
        _require(
            len(photometric) <= MAX_PHOTOMETRIC_BYTES
            and _PHOTOMETRIC.fullmatch(photometric) is not None,
            "the photometric interpretation is no term of DICOM",
        )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the plain image: (frames, rows, columns, samples)."""
        return self.frames, self.rows, self.columns, self.samples

    @property
    def value_count(self) -> int:
        """Number of stored values of the plain image."""
        return self.frames * self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the plain stored values: 8 or 16 bits, signed or not."""
        return np.dtype(f"{'i' if self.is_signed else 'u'}{self.bits_allocated // _BITS_A_BYTE}")

    def _tagged_bytes(self) -> bytes:
        """Return everything before the header tag."""
        fixed = _FIXED.pack(
            MAGIC,
            VERSION,
            FORMS.index(self.form),
            BACKBONES.index(self.backbone),
            self.nonce,
            *self.shape,
            self.bits_allocated,
            self.bits_stored,
            self.is_signed,
        )
        photometric = self.photometric_interpretation.encode("ascii")
        return b"".join(
            (
                fixed,
                bytes((len(photometric),)),
                photometric,
                bytes((len(self.parameters),)),
                self.parameters,
                self.plain_tag,
            )
        )

    def _tag(self, key: bytes) -> bytes:
        tag_key = subkey(key, self.nonce, self.form, "header-tag")
        return hmac.digest(tag_key, self._tagged_bytes(), hashlib.sha256)[:_HEADER_TAG_BYTES]

    def with_tag(self, key: bytes) -> Self:
        """Return the header with the tag that this key gives; the last step of encryption."""
        return dataclasses.replace(self, header_tag=self._tag(key))

    def check_tag(self, key: bytes) -> None:
        """Check that header and key belong together; the first step of decryption.

        Raises
        ------
        CipherKeyError
            The key is another, or the header is not the one that was made with it.
        """
        if not hmac.compare_digest(self._tag(key), self.header_tag):
            raise CipherKeyError(
                "the key does not belong to this cipher image, or its header was exchanged"
            )

    def to_bytes(self) -> bytes:
        """Return the one spelling of the header, with a checksum against accidental damage.

        Raises
        ------
        CipherHeaderError
            `with_tag` was not called.
        """
        _require(self.header_tag != b"", "a header is written after `with_tag` has set its tag")
        body = self._tagged_bytes() + self.header_tag
        return body + hashlib.sha256(body).digest()[:_CHECKSUM_BYTES]

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return the header that `to_bytes` wrote.

        Raises
        ------
        CipherHeaderError
            Damaged, cut, longer, of another version or outside the limits. An intact header says
            nothing about the key: `check_tag` does.
        """
        start = data[: len(MAGIC)]
        _require(len(start) > 0 and MAGIC.startswith(start), "this is no header of a cipher image")
        _require(
            _FIXED.size + _CHECKSUM_BYTES < len(data) <= MAX_HEADER_BYTES,
            "the header of the cipher image is cut or too long; fetch it again",
        )
        version = data[len(MAGIC)]
        _require(version == VERSION, f"cipher image version {version} is unknown; update medseal")
        body, checksum = data[:-_CHECKSUM_BYTES], data[-_CHECKSUM_BYTES:]
        _require(
            hashlib.sha256(body).digest()[:_CHECKSUM_BYTES] == checksum,
            "the header of the cipher image is damaged; fetch it again",
        )
        header = cls._parse(body)
        _require(header.to_bytes() == data, "the header of the cipher image is not canonical")
        return header

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        """Return the header in `body`, whose checksum fits."""
        _, _, form, backbone, nonce, *shape, allocated, stored, signed = _FIXED.unpack_from(body)
        _require(
            form < len(FORMS) and backbone < len(BACKBONES),
            "the form of the cipher image is unknown; update medseal",
        )
        texts: list[bytes] = []
        offset = _FIXED.size
        for _ in range(2):
            _require(offset < len(body), "the header of the cipher image is cut; fetch it again")
            end = offset + _LENGTH_BYTES + body[offset]
            texts.append(body[offset + _LENGTH_BYTES : end])
            offset = end
        tags = body[offset:]
        return cls(
            form=FORMS[form],
            backbone=BACKBONES[backbone],
            nonce=nonce,
            frames=shape[0],
            rows=shape[1],
            columns=shape[2],
            samples=shape[3],
            bits_allocated=allocated,
            bits_stored=stored,
            is_signed=bool(signed),
            photometric_interpretation=texts[0].decode("latin-1"),
            parameters=texts[1],
            plain_tag=tags[:PLAIN_TAG_BYTES],
            header_tag=tags[PLAIN_TAG_BYTES:],
        )
