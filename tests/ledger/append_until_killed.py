"""Child of test_kill.py: append for ever, and name each entry once its receipt is there."""

import sys
import threading
from pathlib import Path

from medseal.ledger import EmbeddedLedger, Event, EventKind, Grant, SigningKey

KEY = SigningKey(name="medseal.example/test", seed=bytes(range(32)))
OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32


def main(path: Path) -> None:
    ledger = EmbeddedLedger(path, signing_key=KEY, create=True)
    say = threading.Lock()

    def work(number: int) -> None:
        while True:
            if number == 0:
                grant = Grant(account=f"{number:032x}", subject=SUBJECT, action="view")
                receipts = [ledger.grant(grant, actor=OWNER)]
            else:
                events = [Event.new(EventKind.SEAL, details={"thread": number})] * 1
                events += [Event.new(EventKind.OPEN) for _ in range(number % 3)]
                receipts = ledger.append_many(events)
            with say:
                for receipt in receipts:
                    sys.stdout.write(f"{receipt.index} {receipt.leaf_hash}\n")
                sys.stdout.flush()

    for number in range(4):
        threading.Thread(target=work, args=(number,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
