"""Check every receipt of a demo offline, then damage receipts, checkpoints and packages."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from medseal.digest import Digest
from medseal.errors import MedsealError
from medseal.ledger import Receipt, VerifyingKey, verify_checkpoint
from medseal.ledger import verify as verify_receipt
from medseal.pipeline.demo_record import Proof, Run
from medseal.pipeline.ledger import (
    audit,
    log_key_file,
    read_log_key,
    verify_receipt_file,
)
from medseal.pipeline.verify import verify
from medseal.pipeline.witness import checkpoint
from medseal.pipeline.workspace import Workspace
from medseal.protection.encryption import Identity, Keystore, SealedPackage
from medseal.protection.encryption import open as open_package

__all__ = ["keep_checkpoint", "prove"]

# Bits flipped one at a time, spread evenly over receipt, checkpoint and package.
FLIPS = 64
_BITS_A_BYTE = 8
_WRONG_PASSPHRASE = "not the passphrase"  # noqa: S105 (it must not open anything)


def keep_checkpoint(run: Run) -> None:
    """Keep the present head of the log apart, as a witness would."""
    checkpoint(run.workspace, run.folders.checkpoint)


def prove(run: Run) -> str:
    """Verify all receipts with the public key alone, audit the log, and refuse what is damaged."""
    key_file = log_key_file(run.folders.workspace)
    receipts = sorted((run.folders.workspace / "receipts").glob("*.receipt"))
    _note(
        run,
        "receipts verified with the public key alone",
        len(receipts),
        "all hold",
        _offline(run, receipts, key_file),
    )
    _copy_without_workspace(run, key_file)
    _audit(run)
    _damaged(run, key_file)
    newest = run.workspace.ledger.prove(0)
    run.facts |= {
        "log entries": newest.size,
        "hashes in the proof of the first entry": len(newest.path),
        "receipts": len(receipts),
        "bytes of the largest receipt": max(path.stat().st_size for path in receipts),
    }
    held = sum(proof.held for proof in run.proofs)
    return f"{len(receipts)} receipts hold offline; {held} of {len(run.proofs)} proofs as expected"


def _note(run: Run, what: str, tried: int, expected: str, found: str) -> None:
    held = run.expect(
        "prove", what, expected=expected, found=found, held=found.startswith(expected)
    )
    run.proofs.append(Proof(what=what, tried=tried, expected=expected, found=found, held=held))


def _offline(run: Run, receipts: Iterable[Path], key_file: Path) -> str:
    failed: Counter[str] = Counter()
    for receipt in receipts:
        try:
            with run.timed("receipt"):
                verify_receipt_file(receipt, key_file)
        except MedsealError as error:
            failed[type(error).__name__] += 1
    return "all hold" if not failed else _counted(failed)


def _copy_without_workspace(run: Run, key_file: Path) -> None:
    """Verify a released file with its receipt and the public key, without the workspace."""
    for released in run.copies[:1]:
        if released.outcome is None:
            continue
        report = verify(
            released.file,
            workspace=None,
            receipt_file=released.outcome.receipt,
            log_key_file=key_file,
        )
        _note(
            run,
            "a released file, its receipt and the public key, without the workspace",
            1,
            "authentic",
            str(report.verdict),
        )


def _audit(run: Run) -> None:
    result = audit(run.workspace, since=run.folders.checkpoint)
    _note(
        run,
        "the whole log replayed, every object's digest checked",
        result["size"],
        "holds",
        f"holds: {result['size']} entries, {result['objects']} objects",
    )
    _note(
        run,
        "the log continues the head that was kept after sealing",
        1,
        "holds",
        f"holds: {result['since']} to {result['size']} entries",
    )


# --- Damage -----------------------------------------------------------------------------------


def _damaged(run: Run, key_file: Path) -> None:
    workspace = run.workspace
    key = read_log_key(key_file)
    receipt = workspace.ledger.prove(1).to_bytes()
    note = workspace.ledger.checkpoint().to_bytes()
    _refused(
        run,
        "a receipt with one bit flipped",
        _flipped(receipt),
        lambda data: _verify_receipt(data, key),
    )
    _refused(
        run,
        "a receipt with one bit flipped and its checksum mended",
        (_mended(data) for data in _flipped(receipt[: -len(_checksum(b""))])),
        lambda data: _verify_receipt(data, key),
    )
    _refused(
        run,
        "a checkpoint with one bit flipped",
        _flipped(note),
        lambda data: _verify_note(data, key),
    )
    packages = _two_packages(workspace)
    package = packages[0]
    whole = package.to_bytes()
    identity = workspace.identity
    _refused(
        run,
        "a sealed package with one bit flipped",
        _flipped(whole),
        lambda data: _open(data, identity),
    )
    _refused(
        run,
        "a sealed package cut short",
        [whole[:-1], whole[: len(whole) // 2]],
        lambda data: _open(data, identity),
    )
    if len(packages) > 1:
        swapped = packages[1].header_bytes + packages[1].mac + bytes(package.payload)
        _refused(
            run,
            "a sealed package under the header of another",
            [swapped],
            lambda data: _open(data, identity),
        )
    _refused(
        run,
        "a sealed package for somebody else's identity",
        [whole],
        lambda data: _open(data, Identity.generate()),
    )
    keystore = next(run.folders.workspace.glob("keystore*"))
    _refused(
        run,
        "the keystore with a wrong passphrase",
        [b""],
        lambda _: Keystore.load(keystore, _WRONG_PASSPHRASE),
    )


def _flipped(data: bytes) -> Iterable[bytes]:
    """Yield copies of `data`, each with one other bit flipped."""
    places = np.linspace(0, len(data) * _BITS_A_BYTE - 1, FLIPS).astype(int)
    for place in places.tolist():
        changed = bytearray(data)
        changed[place // _BITS_A_BYTE] ^= 1 << (place % _BITS_A_BYTE)
        yield bytes(changed)


def _checksum(body: bytes) -> bytes:
    """Return the last line of a receipt; docs/spec/receipt.md."""
    return f"digest {Digest.plain(body)}\n".encode()


def _mended(body: bytes) -> bytes:
    return body + _checksum(body)


def _verify_receipt(data: bytes, key: VerifyingKey) -> object:
    return verify_receipt(Receipt.parse(data), key)


def _verify_note(data: bytes, key: VerifyingKey) -> object:
    return verify_checkpoint(data, key)


def _open(data: bytes, identity: Identity) -> object:
    return open_package(SealedPackage.from_bytes(data), identity)


def _two_packages(workspace: Workspace) -> list[SealedPackage]:
    records = sorted(workspace.catalogue.images(), key=lambda record: record.size_bytes)
    return [
        SealedPackage.from_bytes(workspace.store.get(record.package or ""))
        for record in records[:2]
    ]


def _refused(run: Run, what: str, damaged: Iterable[bytes], use: Callable[[bytes], object]) -> None:
    """Note that every damaged thing is refused with an error of this library, and which."""
    names: Counter[str] = Counter()
    tried = 0
    for data in damaged:
        tried += 1
        try:
            use(data)
            names["accepted"] += 1
        except MedsealError as error:
            names[type(error).__name__] += 1
    found = "accepted" if names["accepted"] else "refused"
    _note(run, what, tried, "refused", f"{found}: {_counted(names)}")


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in names.most_common() if count)
