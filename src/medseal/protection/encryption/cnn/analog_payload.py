"""Messages of the coarse picture: lengths, gain and packets behind a tag, at a fixed length.

The layout stands in docs/spec/cipher-analog.md. No security claim rests on a learned method:
confidentiality and integrity come from the sealed package around it.
"""

import hashlib
import hmac
import struct
from dataclasses import dataclass

from medseal.protection.encryption.cnn.analog_carrier import FORM
from medseal.protection.encryption.keystream import subkey

__all__ = ["BASE_BYTES", "CLEAN_TAG_BYTES", "DETAIL_BYTES", "Base", "Detail", "Tagger"]

_TAG_BYTES = 8
CLEAN_TAG_BYTES = 8
_LENGTH_BYTES = 3
_BASE = struct.Struct(">B")
_DETAIL = struct.Struct(f">{CLEAN_TAG_BYTES}sBBH")
# What the packets leave of a message.
BASE_BYTES = _TAG_BYTES + _BASE.size + _LENGTH_BYTES
DETAIL_BYTES = _TAG_BYTES + _DETAIL.size + _LENGTH_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The base: how far its picture is from the image (a code of `analog_residual`), packets."""

    error_code: int
    packets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """The detail.

    Attributes
    ----------
    clean_tag
        Of the image that an undisturbed channel gives.
    clean_code
        How far that is from the image: 0 for equal, else a code of `analog_residual`.
    gain_code, power
        Of the residual: a code of its gain, and its mean square in 256ths of a squared level.
    packets
        Behind those of the base.
    """

    clean_tag: bytes
    clean_code: int
    gain_code: int
    power: int
    packets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagger:
    """Tags of one frame: HMAC-SHA256, cut to 8 bytes, under a key of its own."""

    key: bytes

    @classmethod
    def of(cls, key: bytes, nonce: bytes, frame: int) -> "Tagger":
        """Return the tagger of one frame."""
        return cls(key=subkey(key, nonce, FORM, f"tag-{frame}"))

    def tag(self, purpose: bytes, data: bytes) -> bytes:
        """Return the tag of data for a purpose."""
        return hmac.digest(self.key, purpose + b"\x00" + data, hashlib.sha256)[:_TAG_BYTES]

    def write_base(self, base: Base, size: int) -> bytes:
        """Return the message of the base: `size` bytes."""
        return self._written(b"base", _BASE.pack(base.error_code), base.packets, size)

    def read_base(self, message: bytes) -> Base | None:
        """Return the base in a message; None where the tag does not fit."""
        found = self._read(b"base", message, _BASE.size)
        if found is None:
            return None
        return Base(error_code=_BASE.unpack(found[0])[0], packets=found[1])

    def write_detail(self, detail: Detail, size: int) -> bytes:
        """Return the message of the detail: `size` bytes."""
        fields = _DETAIL.pack(detail.clean_tag, detail.clean_code, detail.gain_code, detail.power)
        return self._written(b"detail", fields, detail.packets, size)

    def read_detail(self, message: bytes) -> Detail | None:
        """Return the detail in a message; None where the tag does not fit."""
        found = self._read(b"detail", message, _DETAIL.size)
        if found is None:
            return None
        clean_tag, clean_code, gain_code, power = _DETAIL.unpack(found[0])
        return Detail(
            clean_tag=clean_tag,
            clean_code=clean_code,
            gain_code=gain_code,
            power=power,
            packets=found[1],
        )

    def _written(self, purpose: bytes, fields: bytes, packets: bytes, size: int) -> bytes:
        body = fields + len(packets).to_bytes(_LENGTH_BYTES, "big") + packets
        body = body.ljust(size - _TAG_BYTES, b"\x00")
        return self.tag(purpose, body) + body

    def _read(self, purpose: bytes, message: bytes, fields: int) -> tuple[bytes, bytes] | None:
        tag, body = message[:_TAG_BYTES], message[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self.tag(purpose, body)):
            return None
        start = fields + _LENGTH_BYTES
        length = int.from_bytes(body[fields:start], "big")
        return body[:fields], body[start : start + length]
