"""Seal, open and rewrap against bare AES-256-GCM, and the time to unlock a keystore.

The bare cipher has no key for anybody, no header and no associated data: the ratio is the price
of the whole package. Both sides take turns in the same run, so that a slow moment of the machine
hits both. No security claim rests on a learned method.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.report import arguments, write_result
from medseal.protection.encryption import Identity, Keystore, SealedPackage, rewrap, seal
from medseal.protection.encryption import open as open_package

# Rows and columns of one frame of 16-bit stored values.
SIDES = (512, 2048)
BYTES_A_VALUE = 2
ROUNDS = 400
QUICK_ROUNDS = 20
UNLOCKS = 10
QUICK_UNLOCKS = 1
ASSOCIATED_DATA = (
    b'{"bits_stored":16,"columns":2048,"frames":1,"image_id":"benchmark",'
    b'"rows":2048,"samples":1,"v":1}'
)


def take_turns(actions: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the times of each action in milliseconds; one warm-up round is left out."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            if number:
                times[name].append((time.perf_counter() - start) * 1000)
    return times


def summary(times: list[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {
        "median_ms": round(median(times), 4),
        "p95_ms": round(quantiles(times, n=20)[-1], 4),
    }


def measure_size(side: int, rounds: int) -> dict[str, Any]:
    """Return the times for one frame of `side` rows and columns of 16 bits."""
    data = os.urandom(side * side * BYTES_A_VALUE)
    identity = Identity.generate()
    other = Identity.generate().recipient
    key, nonce = os.urandom(32), os.urandom(12)
    package = seal(data, [identity.recipient], associated_data=ASSOCIATED_DATA)
    encoded = package.to_bytes()
    ciphertext = AESGCM(key).encrypt(nonce, data, None)
    if open_package(SealedPackage.from_bytes(encoded), identity) != data:
        raise RuntimeError("the package does not give back what was sealed")
    actions: dict[str, Callable[[], object]] = {
        "seal": lambda: seal(
            data, [identity.recipient], associated_data=ASSOCIATED_DATA
        ).to_bytes(),
        "plain_encrypt": lambda: AESGCM(key).encrypt(nonce, data, None),
        "open": lambda: open_package(SealedPackage.from_bytes(encoded), identity),
        "plain_decrypt": lambda: AESGCM(key).decrypt(nonce, ciphertext, None),
        "rewrap": lambda: rewrap(package, identity, [other]).to_bytes(),
    }
    times = take_turns(actions, rounds)
    return {
        "data_bytes": len(data),
        "overhead_bytes": len(encoded) - len(data),
        "rounds": rounds,
        **{name: summary(values) for name, values in times.items()},
        "seal_ratio": round(median(times["seal"]) / median(times["plain_encrypt"]), 3),
        "open_ratio": round(median(times["open"]) / median(times["plain_decrypt"]), 3),
    }


def measure_unlock(folder: Path, rounds: int) -> dict[str, Any]:
    """Return the time to load a keystore with the default work factor."""
    path = folder / "keystore"
    Keystore.create(path, "benchmark passphrase")
    times = take_turns({"unlock": lambda: Keystore.load(path, "benchmark passphrase")}, rounds)
    return {"rounds": rounds, "median_seconds": round(median(times["unlock"]) / 1000, 4)}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``encryption.json``."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    rounds = QUICK_ROUNDS if chosen.quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        unlock = measure_unlock(Path(folder), QUICK_UNLOCKS if chosen.quick else UNLOCKS)
    result = {f"{side}x{side}x16": measure_size(side, rounds) for side in SIDES}
    write_result("encryption", result | {"keystore": unlock}, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
