"""One bit flipped anywhere in a package, a receipt or a checkpoint, and worse: all refused."""

import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import arguments, write_result
from medseal.errors import LedgerError, MedsealError, PackageError
from medseal.ledger import (
    EmbeddedLedger,
    Event,
    EventKind,
    Receipt,
    SigningKey,
    genesis_event,
    verify_checkpoint,
)
from medseal.ledger import verify as verify_receipt
from medseal.protection.encryption import Identity, SealedPackage, seal
from medseal.protection.encryption import open as open_package

CHUNK_LOG2 = 10
PLAINTEXT_BYTES = 4 * 1024 + 100


def flips(data: bytes) -> Iterator[bytes]:
    """Yield `data` with each of its bits flipped in turn."""
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            yield bytes(changed)


def count(
    variants: Iterator[bytes], use: Callable[[bytes], Any], kind: type[MedsealError]
) -> dict[str, int]:
    """Return how many variants were tried, refused with `kind`, and accepted."""
    tried = refused = accepted = 0
    for variant in variants:
        tried += 1
        try:
            use(variant)
        except kind:
            refused += 1
        else:
            accepted += 1
    return {"tried": tried, "refused_with_a_typed_error": refused, "accepted": accepted}


def package_variants(package: SealedPackage, other: SealedPackage) -> Iterator[bytes]:
    """Yield truncations at every length, chunks in another order, and another's header."""
    data = package.to_bytes()
    head = len(data) - len(package.payload)
    for length in range(len(data)):
        yield data[:length]
    size = (1 << CHUNK_LOG2) + 16
    payload = bytes(package.payload)
    chunks = [payload[start : start + size] for start in range(0, len(payload), size)]
    generator = np.random.default_rng(1)
    orders = {tuple(generator.permutation(len(chunks)).tolist()) for _ in range(100)}
    for order in orders - {tuple(range(len(chunks)))}:
        yield data[:head] + b"".join(chunks[number] for number in order)
    yield data + data[-1:]
    yield data[:head] + b"".join([*chunks, chunks[-1]])
    theirs = other.to_bytes()
    yield theirs[: len(theirs) - len(other.payload)] + payload


def run(*, every_bit: bool) -> dict[str, Any]:
    """Try everything once and return the counts."""
    identity = Identity.generate()
    first, second = (
        seal(
            secrets.token_bytes(PLAINTEXT_BYTES),
            [identity.recipient],
            associated_data=f"image {number}".encode(),
            chunk_bytes_log2=CHUNK_LOG2,
        )
        for number in range(2)
    )

    def use_package(data: bytes) -> bytes:
        return open_package(SealedPackage.from_bytes(data), identity)

    key = SigningKey.generate("medseal.local/benchmark")
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedLedger(Path(folder) / "log", signing_key=key, create=True) as ledger,
    ):
        ledger.append(genesis_event("0" * 32))
        receipts = ledger.append_many(
            [Event.new(EventKind.VERIFY, actor="0" * 32) for _ in range(30)]
        )
        receipt, note = receipts[7].to_bytes(), ledger.checkpoint().to_bytes()
    data = first.to_bytes()
    step = 1 if every_bit else 7
    package_flips = (value for n, value in enumerate(flips(data)) if n % step == 0)
    return {
        "package_bits": count(package_flips, use_package, PackageError),
        "package_cut_reordered_exchanged": count(
            package_variants(first, second), use_package, PackageError
        ),
        "receipt_bits": count(
            flips(receipt),
            lambda value: verify_receipt(Receipt.parse(value), key.vkey),
            LedgerError,
        ),
        "checkpoint_bits": count(
            flips(note), lambda value: verify_checkpoint(value, key.vkey), LedgerError
        ),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``integrity.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    write_result("integrity", run(every_bit=not chosen.quick), chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
