"""Digests with domain separation, and canonical JSON: the only things that leave the image zone."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from medseal.errors import InputError

__all__ = ["DIGEST_BYTES", "Digest", "JsonValue", "canonical_json", "parse_canonical_json"]

DIGEST_BYTES = 32
_TEXT_FORM = re.compile(r"sha256:[0-9a-f]{64}")
# Integers beyond this lose precision in other JSON readers (RFC 8785, 3.2.2.3).
_MAX_JSON_INTEGER = 2**53 - 1

JsonValue = str | int | bool | None | Sequence["JsonValue"] | Mapping[str, "JsonValue"]


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest.

    Attributes
    ----------
    value
        32 bytes.
    """

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != DIGEST_BYTES:
            raise InputError(f"a digest has {DIGEST_BYTES} bytes, not {len(self.value)}")

    @classmethod
    def of(cls, domain: str, *parts: bytes | memoryview) -> Self:
        """Return the SHA-256 of `parts` under a domain name.

        Each part is preceded by its length in bytes (64-bit big endian), so that no two lists of
        parts and no two domains share an input.

        Parameters
        ----------
        domain
            What is hashed, for example ``medseal/stored-values/v1``.
        parts
            Byte strings or contiguous memory views.
        """
        state = hashlib.sha256(len(domain).to_bytes(8, "big") + domain.encode())
        for part in parts:
            view = memoryview(part).cast("B")
            state.update(view.nbytes.to_bytes(8, "big"))
            state.update(view)
        return cls(state.digest())

    @classmethod
    def plain(cls, data: bytes | memoryview) -> Self:
        """Return the plain SHA-256 of a file's bytes, as ``sha256sum`` prints it."""
        return cls(hashlib.sha256(data).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the digest written as ``sha256:`` and 64 hexadecimal digits.

        Raises
        ------
        InputError
            The text has another form.
        """
        if not _TEXT_FORM.fullmatch(text):
            raise InputError("a digest is written as 'sha256:' and 64 lower-case hex digits")
        return cls(bytes.fromhex(text[7:]))

    def __str__(self) -> str:
        return f"sha256:{self.value.hex()}"


def _check_json(value: object) -> None:
    """Refuse what has no single canonical form: floats, huge integers, keys that are no text."""
    if isinstance(value, bool | str | None):
        return
    if isinstance(value, int):
        if abs(value) > _MAX_JSON_INTEGER:
            raise InputError("an integer in canonical JSON must lie within 53 bits")
    elif isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise InputError("a key in canonical JSON must be text")
        _check_json(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            _check_json(item)
    else:
        raise InputError(f"canonical JSON cannot hold a {type(value).__name__}")


def canonical_json(value: JsonValue) -> bytes:
    """Return the one byte string that stands for `value`.

    Sorted keys, no white space, UTF-8, integers only: the subset of RFC 8785 without numbers
    that need a float.

    Raises
    ------
    InputError
        The value holds a float, an integer beyond 53 bits or a key that is no text.
    """
    _check_json(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InputError("text in canonical JSON must be valid Unicode") from None


def parse_canonical_json(data: bytes) -> JsonValue:
    """Return the value of canonical JSON; any other spelling of it is refused.

    Raises
    ------
    InputError
        Not JSON, or not the canonical form (duplicate keys, white space, floats, order).
    """
    try:
        value: JsonValue = json.loads(data.decode())
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InputError("not valid JSON") from None
    if canonical_json(value) != data:
        raise InputError("JSON is not in canonical form")
    return value
