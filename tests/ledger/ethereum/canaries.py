"""Canaries: what must not reach a chain, in every spelling that it could be found in."""

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from eth_utils.crypto import keccak

from tests.ledger.ethereum.nodes import NodeProcess

__all__ = ["Haystack", "of_secret", "of_text", "read_chain", "six_bits"]

# Shorter pieces of random data would be found by chance.
MIN_BYTES = 6
# An account is 16 or 20 bytes: a truncated digest would stand there.
DIGEST_PREFIX_BYTES = 8
_WORD_BYTES = 32
_LETTERS = "\0abcdefghijklmnopqrstuvwxyz0123456789-"
_HEX = re.compile(r"(?:0x)?((?:[0-9a-fA-F]{2})+)")


def six_bits(text: str) -> int:
    """Return letters packed as in a purpose: six bits each, the first one lowest."""
    value = 0
    for letter in reversed(text):
        value = value << 6 | _LETTERS.index(letter)
    return value


def _base64s(data: bytes) -> Iterator[bytes]:
    """Yield what stands in any base 64 of a text that holds the data, wherever it begins."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data)
        # The first and last letters depend on the neighbours.
        inner = text[-(-8 * shift // 6) : len(text) // 4 * 4 - 4]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def of_secret(data: bytes) -> dict[str, bytes]:
    """Return the spellings of bytes."""
    found = {
        "bytes": data,
        "hexadecimal": data.hex().encode(),
        "capital hexadecimal": data.hex().upper().encode(),
        "hexadecimal in UTF-16": data.hex().encode("utf-16-le"),
        "reversed": data[::-1],
    }
    found |= {f"base 64 ({n})": text for n, text in enumerate(_base64s(data))}
    return {name: value for name, value in found.items() if len(value) >= MIN_BYTES}


def of_text(text: str) -> dict[str, bytes]:
    """Return the spellings of a text, and the beginnings of digests that nothing salts."""
    found: dict[str, bytes] = {}
    for form in {text, text.lower(), text.upper()}:
        for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be"):
            data = form.encode(encoding)
            found |= {f"{form} as {encoding}, {name}": v for name, v in of_secret(data).items()}
        data = form.encode()
        for name, digest in (
            ("SHA-256", hashlib.sha256(data).digest()),
            ("SHA-1", hashlib.sha1(data, usedforsecurity=False).digest()),
            ("MD5", hashlib.md5(data, usedforsecurity=False).digest()),
            ("Keccak-256", keccak(data)),
        ):
            found[f"{name} of {form}"] = digest[:DIGEST_PREFIX_BYTES]
            found[f"end of {name} of {form}"] = digest[-DIGEST_PREFIX_BYTES:]
    return found


@dataclass
class Haystack:
    """Every byte string that a chain shows, and the words among them."""

    pieces: set[bytes] = field(default_factory=set)
    words: set[int] = field(default_factory=set)

    def add(self, data: bytes) -> None:
        """Take in a byte string."""
        if data in self.pieces or not data:
            return
        self.pieces.add(data)
        # Words of a call come after four bytes of selector; those of an event come at once.
        for start in (0, 4):
            for place in range(start, len(data), _WORD_BYTES):
                self.words.add(int.from_bytes(data[place : place + _WORD_BYTES], "big"))

    def walk(self, value: Any) -> None:
        """Take in whatever JSON holds: texts as they are, and as the bytes that they spell."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                self.walk(key)
                self.walk(item)
        elif isinstance(value, list | tuple):
            for item in value:
                self.walk(item)
        elif isinstance(value, str):
            self.add(value.encode())
            match = _HEX.fullmatch(value)
            if match is not None:
                self.add(bytes.fromhex(match[1]))
        elif isinstance(value, int):
            self.add(value.to_bytes(_WORD_BYTES, "big"))

    @cached_property
    def text(self) -> bytes:
        """All pieces in one, apart from each other; nothing is added after the first look."""
        return b"\xff\x00 apart \x00\xff".join(sorted(self.pieces))

    @cached_property
    def bits(self) -> str:
        """All words in binary digits, a line each."""
        return "\n".join(f"{word:0{8 * _WORD_BYTES}b}" for word in self.words)

    def spellings(self, wanted: Mapping[str, bytes]) -> list[str]:
        """Return the names of the spellings that stand somewhere."""
        return [name for name, data in wanted.items() if data in self.text]

    def holds_six_bits(self, text: str) -> bool:
        """Say whether letters stand in a word, packed as a purpose is, at whatever bit."""
        return f"{six_bits(text):0{6 * len(text)}b}" in self.bits


def read_chain(node: NodeProcess) -> Haystack:
    """Return all that a node tells: blocks, transactions, receipts, logs, code and storage."""
    found = Haystack()
    for number in range(int(node.rpc("eth_blockNumber"), 16) + 1):
        block = node.rpc("eth_getBlockByNumber", hex(number), True)
        found.walk(block)
        for transaction in block["transactions"]:
            found.walk(node.rpc("eth_getTransactionReceipt", transaction["hash"]))
            found.walk(node.rpc("eth_getRawTransactionByHash", transaction["hash"]))
    found.walk(node.rpc("eth_getLogs", {"fromBlock": "0x0"}))
    state = bytes.fromhex(node.rpc("anvil_dumpState")[2:])
    # anvil packs it; what it packs is the whole of accounts, code, storage and blocks.
    found.walk(json.loads(gzip.decompress(state)))
    return found
