from collections.abc import Callable

import pytest

from medseal.errors import CheckpointError, ConsistencyError, InputError
from medseal.ledger import EmbeddedLedger, Event, SigningKey, cosign_checkpoint, verify_checkpoint
from medseal.ledger.checkpoint import Checkpoint

Make = Callable[[int], Event]


def test_a_witness_elsewhere_follows_a_log(
    ledger: EmbeddedLedger, log_key: SigningKey, witness_key: SigningKey, make_event: Make
) -> None:
    kept: bytes | None = None
    for number in range(5):
        ledger.append(make_event(number))
        head = ledger.checkpoint()
        seen = 0 if kept is None else Checkpoint.parse(kept).size
        cosigned = cosign_checkpoint(
            head.to_bytes(),
            log_key.vkey,
            witness_key,
            timestamp_s=1_700_000_000 + number,
            previous=kept,
            proof=ledger.consistency(seen),
        )
        kept = cosigned.to_bytes()
        assert verify_checkpoint(kept, log_key.vkey, witnesses=(witness_key.vkey,)) == cosigned
        assert cosigned.signatures[-1].timestamp_s == 1_700_000_000 + number
        ledger.store_cosignature(cosigned, witness_key.vkey)
        assert ledger.checkpoint().to_bytes() == kept


def test_what_a_witness_does_not_sign(
    ledger: EmbeddedLedger, log_key: SigningKey, witness_key: SigningKey, make_event: Make
) -> None:
    ledger.append_many([make_event(number) for number in range(6)])
    old = ledger.checkpoint()
    seen = cosign_checkpoint(old.to_bytes(), log_key.vkey, witness_key, timestamp_s=1).to_bytes()
    ledger.append(make_event(9))
    head, proof = ledger.checkpoint(), ledger.consistency(7)

    def cosign(checkpoint: Checkpoint, previous: bytes, proof: tuple[bytes, ...]) -> None:
        cosign_checkpoint(
            checkpoint.to_bytes(),
            log_key.vkey,
            witness_key,
            timestamp_s=2,
            previous=previous,
            proof=proof,
        )

    cosign(head, seen, proof)
    fork = Checkpoint(origin=head.origin, size=8, root=bytes(32)).sign(log_key)
    with pytest.raises(ConsistencyError, match="does not continue"):
        cosign(fork, seen, proof)
    same_size = Checkpoint(origin=head.origin, size=7, root=bytes(32)).sign(log_key)
    with pytest.raises(ConsistencyError, match="differ"):
        cosign(same_size, seen, ())
    shorter = Checkpoint(origin=head.origin, size=3, root=bytes(32)).sign(log_key)
    with pytest.raises(ConsistencyError, match="it had 7 entries and now has 3"):
        cosign(shorter, seen, ())
    with pytest.raises(ConsistencyError, match="proof is empty"):
        cosign(head, seen, ())
    # What it did not sign itself is no memory of its own.
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        cosign(head, old.to_bytes(), proof)
    other = Checkpoint(origin="other.example", size=7, root=old.root).sign(
        witness_key, timestamp_s=1
    )
    with pytest.raises(ConsistencyError, match="of different logs"):
        cosign(head, other.to_bytes(), proof)
    with pytest.raises(InputError, match="with a time"):
        cosign_checkpoint(head.to_bytes(), log_key.vkey, log_key, timestamp_s=1)
