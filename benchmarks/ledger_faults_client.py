"""Child of ledger_faults.py: a gateway that records for ever and names what it has acknowledged."""

import argparse
import resource
import secrets
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from medseal.errors import LedgerError, StorageFullError, UnreachableError
from medseal.ledger import (
    Action,
    EthereumLedger,
    Event,
    EventKind,
    FeePolicy,
    Grant,
    KeySigner,
    NetworkSettings,
    Receipt,
    RelaySettings,
)

THREADS = 3
# Of the rights of one account for one image, one after the other.
MOST_CHANGES = 4
READY = "ready"
FULL = "full"


def settings(confirmations: int, *, is_free: bool = False) -> NetworkSettings:
    """Return settings whose limits are short, so that a round of faults is."""
    return NetworkSettings(
        timeout_seconds=0.5,
        simulation_seconds=0.2,
        away_seconds=0.2,
        poll_seconds=0.02,
        max_head_age_seconds=None,
        relay=RelaySettings(
            batch_leaves=64,
            batch_seconds=0.05,
            confirmations=confirmations,
            fees=FeePolicy(max_price_wei=0) if is_free else FeePolicy(),
        ),
    )


def record(ledger: EthereumLedger, say: threading.Lock) -> None:
    """Record seals and changes of rights, and print index and leaf hash of each receipt."""
    while True:
        try:
            receipts = _some(ledger)
        except StorageFullError:
            _say(say, [FULL])
            continue
        except (UnreachableError, LedgerError):
            # Nothing was acknowledged.
            continue
        _say(say, [f"{receipt.index} {receipt.leaf_hash}" for receipt in receipts])


def _say(say: threading.Lock, lines: Sequence[str]) -> None:
    with say:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()


def _some(ledger: EthereumLedger) -> list[Receipt]:
    subject = f"sha256:{secrets.token_hex(32)}"
    if secrets.randbelow(4):
        events = [Event.new(EventKind.SEAL, subject=subject) for _ in range(secrets.randbelow(20))]
        return ledger.append_many(events)
    account = secrets.token_hex(16)
    return [_change(ledger, account, subject) for _ in range(1 + secrets.randbelow(MOST_CHANGES))]


def _change(ledger: EthereumLedger, account: str, subject: str) -> Receipt:
    """Give a grant, take one back, or all of them."""
    action, actor = secrets.choice(list(Action)), ledger.signer.account
    kind = secrets.randbelow(4)
    if kind < 2:  # noqa: PLR2004 - half of the changes
        # The purpose tells this grant from any other of the same action.
        purpose = f"p{secrets.token_hex(8)}"
        grant = Grant(account=account, subject=subject, action=action, purpose=purpose)
        return ledger.grant(grant, actor=actor)
    return ledger.revoke(account, subject, action if kind == 2 else None, actor=actor)  # noqa: PLR2004


def main() -> None:
    """Record until somebody kills this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("contract")
    parser.add_argument("folder", type=Path)
    parser.add_argument("confirmations", type=int)
    parser.add_argument("free", type=int, help="1 where nothing is paid for gas, else 0")
    parser.add_argument("limit", type=int, help="bytes that a file may still grow by; 0: no limit")
    chosen = parser.parse_args()
    signer = KeySigner.from_key(bytes.fromhex(sys.stdin.readline().strip()))
    ledger = EthereumLedger(
        chosen.url,
        chosen.contract,
        signer,
        folder=chosen.folder,
        settings=settings(chosen.confirmations, is_free=bool(chosen.free)),
    )
    if chosen.limit:
        grown = max(path.stat().st_size for path in chosen.folder.iterdir()) + chosen.limit
        resource.setrlimit(resource.RLIMIT_FSIZE, (grown, resource.RLIM_INFINITY))
    ledger.start()
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    say = threading.Lock()
    for _ in range(THREADS):
        threading.Thread(target=record, args=(ledger, say), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
