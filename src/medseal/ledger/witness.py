"""Witnesses: cosign a log that continues what was seen before, never one that was rolled back."""

from collections.abc import Sequence

from medseal.errors import ConsistencyError
from medseal.ledger.checkpoint import Checkpoint, verify_checkpoint
from medseal.ledger.merkle import verify_consistency
from medseal.ledger.note import SignedNote, Signer, VerifyingKey

__all__ = ["cosign_checkpoint"]


def cosign_checkpoint(
    checkpoint: bytes,
    log_key: VerifyingKey,
    cosigner: Signer,
    *,
    timestamp_s: int,
    previous: bytes | None = None,
    proof: Sequence[bytes] = (),
) -> Checkpoint:
    """Return a checkpoint with the cosignature of a witness added.

    This runs where the witness's key is, away from the log. The witness keeps the result and
    gives it as `previous` the next time: that is all its memory.

    Parameters
    ----------
    checkpoint
        Present head of the log.
    log_key
        Key of the log.
    cosigner
        Key of the witness, of the type `COSIGNATURE_V1`.
    timestamp_s
        Seconds since 1970 UTC.
    previous
        Head that this witness cosigned last; None the first time.
    proof
        Consistency proof between the two sizes.

    Raises
    ------
    CheckpointError
        A signature does not hold.
    ConsistencyError
        The present log does not continue the one that was cosigned before.
    """
    # 1. The log signed the present head, and this witness the one before.
    head = verify_checkpoint(checkpoint, log_key)
    if previous is not None:
        SignedNote.parse(previous).verify((cosigner.vkey,))
        seen = Checkpoint.parse(previous)
        # 2. The present head continues it.
        if seen.origin != head.origin:
            raise ConsistencyError("the two checkpoints are of different logs")
        if head.size < seen.size:
            raise ConsistencyError(
                f"the log was rolled back: it had {seen.size} entries and now has {head.size}"
            )
        verify_consistency(seen.size, head.size, proof, seen.root, head.root)
    # 3. Sign.
    return head.sign(cosigner, timestamp_s=timestamp_s)
