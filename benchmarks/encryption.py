"""Cipher images attacked and timed beside AES, RSA and known-bad ciphers; price of the package.

Seal, open and rewrap stand against bare AES-256-GCM, which has no key for anybody, no header and no
associated data: the ratio is the price of the whole package. Both sides take turns in the same run,
so that a slow moment of the machine hits both. The attack suite runs on every cipher there is, so
that it is seen to break those that are known to be bad; its verdict is never ``secure``. No
security claim rests on a learned method: confidentiality and integrity come from the sealed
package.
"""

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.encryption_damage import costs
from benchmarks.encryption_integrity import cipher_images, packages
from benchmarks.encryption_learned import PAIRS, measured, pairs
from benchmarks.encryption_misuse import brute_force
from benchmarks.encryption_page import page_lines
from benchmarks.encryption_plots import draw
from benchmarks.encryption_statistics import critical_values, rounds_table
from benchmarks.encryption_subjects import subjects
from benchmarks.encryption_suite import QUICK, Amounts, Material, run, verdicts
from benchmarks.encryption_times import times
from benchmarks.report import arguments, write_result
from medseal.protection.encryption import Identity, Keystore, SealedPackage, rewrap, seal
from medseal.protection.encryption import open as open_package
from medseal.protection.encryption.cipher_image import NO_CLAIM

__all__ = ["PARTS", "main", "page_lines"]

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


def _package(chosen: Any, _: Path) -> dict[str, Any]:
    rounds = QUICK_ROUNDS if chosen.quick else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        unlock = measure_unlock(Path(folder), QUICK_UNLOCKS if chosen.quick else UNLOCKS)
    sizes = {f"{side}x{side}x16": measure_size(side, rounds) for side in SIDES}
    return sizes | {"keystore": unlock}


def _suite(chosen: Any, work: Path) -> dict[str, Any]:
    amounts = QUICK if chosen.quick else Amounts()
    found = pairs(chosen.data, work, quick=chosen.quick, count=2 if chosen.quick else PAIRS)
    named = [
        subject
        for subject in subjects(found)
        if not chosen.ciphers or subject.name in chosen.ciphers
    ]
    path = work / f"suite{'-quick' if chosen.quick else ''}.jsonl"
    rows = run(named, Material.read(chosen.data, amounts, work), amounts, path)
    attacks: dict[str, dict[str, Any]] = {}
    for row in rows:
        attacks.setdefault(row["subject"], {})[row["attack"]] = row["result"]
    return {"verdicts": verdicts(rows), "attacks": attacks}


def _rounds(chosen: Any, _: Path) -> dict[str, Any]:
    numbers, draws = ((1, 6), 200) if chosen.quick else (range(1, 9), 300)
    return rounds_table(tuple(numbers), draws, np.random.default_rng(1))


def _brute_force(chosen: Any, _: Path) -> dict[str, Any]:
    picture = np.random.default_rng(2).integers(0, 256, (16, 16), dtype=np.uint8)
    sizes = (10,) if chosen.quick else (16, 18, 20)
    return {
        f"{bits} bits": brute_force(picture, bits=bits, generator=np.random.default_rng(bits))
        for bits in sizes
    }


def _integrity(chosen: Any, _: Path) -> dict[str, Any]:
    return {
        "package": packages(quick=chosen.quick),
        "cipher_images": cipher_images(quick=chosen.quick),
    }


def _costs(chosen: Any, work: Path) -> dict[str, Any]:
    found = pairs(chosen.data, work, quick=chosen.quick, count=1)
    return costs(subjects(found), side=64 if chosen.quick else 512)


def _delegated(module: str, chosen: Any, work: Path) -> dict[str, Any] | None:
    """Return what another measurement writes, or None while there is none of that name."""
    if find_spec(f"benchmarks.{module}") is None:
        return None
    options = ["--output", str(work), *(["--quick"] if chosen.quick else [])]
    if chosen.data is not None:
        options += ["--data", str(chosen.data)]
    importlib.import_module(f"benchmarks.{module}").main(options)
    path = work / f"{module}{'.quick' if chosen.quick else ''}.json"
    return dict(json.loads(path.read_text())["result"])


_PARTS: dict[str, Callable[[Any, Path], dict[str, Any] | None]] = {
    "package": _package,
    "critical_values": lambda *_: critical_values(),
    "brute_force": _brute_force,
    "integrity": _integrity,
    "rounds": _rounds,
    "learned": lambda chosen, work: measured(chosen.data, work, quick=chosen.quick),
    "costs": _costs,
    "times": lambda chosen, _: times(quick=chosen.quick),
    "suite": _suite,
    "exactness": partial(_delegated, "encryption_exactness"),
    "channel": partial(_delegated, "encryption_channel"),
    "analog": partial(_delegated, "encryption_analog"),
}
PARTS = tuple(_PARTS)
# Without images these are left out.
_NEED_DATA = frozenset({"learned", "costs", "suite", "channel", "analog"})


def _stored(chosen: Any) -> dict[str, Any]:
    """Return the parts of an earlier result, if only some are measured now."""
    path = chosen.output / f"encryption{'.quick' if chosen.quick else ''}.json"
    if not chosen.only or not path.is_file():
        return {}
    stored = json.loads(path.read_text())["result"]
    return {name: part for name, part in stored.items() if name in PARTS}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the parts that were asked for and write ``encryption.json`` and the plots."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=PARTS, help="parts; the others are kept")
    parser.add_argument("--ciphers", nargs="*", help="names; the suite runs on these alone")
    parser.add_argument("--work", type=Path, help="folder for records; kept, to go on later")
    chosen = parser.parse_args(argv)
    result = {"claim": NO_CLAIM, **_stored(chosen)}
    with tempfile.TemporaryDirectory() as temporary:
        work = chosen.work or Path(temporary)
        for name, measure in _PARTS.items():
            if chosen.only and name not in chosen.only:
                continue
            if name in _NEED_DATA and chosen.data is None:
                sys.stderr.write(f"{name}: left out, it needs --data DIR\n")
                continue
            sys.stderr.write(f"{name} ...\n")
            found = measure(chosen, work)
            if found is not None:
                result[name] = found
    if "suite" in result:
        draw(result, chosen.output / "plots")
    write_result("encryption", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
