"""Bech32m text form of keys: one spelling, and a checksum that catches typing errors.

A change of up to four characters is always found (BIP-350). Keys are written in one letter case
only, so that two different texts never name the same key.
"""

from medseal.errors import InputError

__all__ = ["decode", "encode"]

_ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32M_CONSTANT = 0x2BC830A3
_CHECKSUM_CHARACTERS = 6
_BITS_PER_CHARACTER = 5


def _polymod(values: list[int]) -> int:
    """Return the remainder of the BCH code over GF(32); BIP-173, 'Checksum'."""
    remainder = 1
    for value in values:
        top = remainder >> 25
        remainder = (remainder & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATOR):
            if top >> bit & 1:
                remainder ^= generator
    return remainder


def _expand(prefix: str) -> list[int]:
    """Return the prefix as checksum input: high bits, a zero, low bits."""
    return [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]


def encode(prefix: str, data: bytes) -> str:
    """Return `data` as lower-case Bech32m text.

    Parameters
    ----------
    prefix
        Lower-case human-readable part.
    data
        Any bytes; the last character is filled up with zero bits.
    """
    bits = len(data) * 8
    padding = -bits % _BITS_PER_CHARACTER
    number = int.from_bytes(data, "big") << padding
    characters = (bits + padding) // _BITS_PER_CHARACTER
    values = [number >> _BITS_PER_CHARACTER * place & 31 for place in range(characters - 1, -1, -1)]
    unfinished = _expand(prefix) + values + [0] * _CHECKSUM_CHARACTERS
    checksum = _polymod(unfinished) ^ _BECH32M_CONSTANT
    values += [
        checksum >> _BITS_PER_CHARACTER * place & 31
        for place in range(_CHECKSUM_CHARACTERS - 1, -1, -1)
    ]
    return f"{prefix}1{''.join(_ALPHABET[value] for value in values)}"


def decode(text: str, *, prefix: str, length_bytes: int) -> bytes:
    """Return the bytes that `encode` wrote as `text`.

    The messages never repeat the text: it may be a secret.

    Parameters
    ----------
    text
        Lower-case Bech32m.
    prefix
        The human-readable part that the text must have.
    length_bytes
        The number of bytes that the text must hold.

    Raises
    ------
    InputError
        Another prefix, length, alphabet or letter case, a wrong checksum, or padding bits that
        are not zero.
    """
    if not text.startswith(prefix + "1"):
        raise InputError(f"the text of this key must start with '{prefix}1'")
    body = text[len(prefix) + 1 :]
    bits = length_bytes * 8
    padding = -bits % _BITS_PER_CHARACTER
    if len(body) != (bits + padding) // _BITS_PER_CHARACTER + _CHECKSUM_CHARACTERS:
        raise InputError("the text of this key has the wrong length; copy all of it")
    values = [_ALPHABET.find(character) for character in body]
    if -1 in values or _polymod(_expand(prefix) + values) != _BECH32M_CONSTANT:
        raise InputError("the text of this key has a typing error; its checksum does not fit")
    number = 0
    for value in values[:-_CHECKSUM_CHARACTERS]:
        number = number << _BITS_PER_CHARACTER | value
    if number & (1 << padding) - 1:
        raise InputError("the text of this key ends in bits that must be zero")
    return (number >> padding).to_bytes(length_bytes, "big")
