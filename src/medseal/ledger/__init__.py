"""The ledger: salted commitments and events, receipts that verify offline, access rules."""

from medseal.ledger.audit import AuditReport
from medseal.ledger.checkpoint import Checkpoint, verify_checkpoint
from medseal.ledger.commitment import check_commitment, commit, new_salt
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.events import Event, EventKind, now_ms
from medseal.ledger.grants import Action, Decision, Grant, Role
from medseal.ledger.note import COSIGNATURE_V1, Signer, SigningKey, VerifyingKey
from medseal.ledger.protocol import Ledger, SyncState
from medseal.ledger.receipt import Anchor, Opening, Receipt, verify
from medseal.ledger.rules import (
    AccessState,
    RoleChange,
    break_glass_event,
    erase_event,
    genesis_event,
    grant_event,
    revoke_event,
    role_event,
)
from medseal.ledger.witness import cosign_checkpoint

__all__ = [
    "COSIGNATURE_V1",
    "AccessState",
    "Action",
    "Anchor",
    "AuditReport",
    "Checkpoint",
    "Decision",
    "EmbeddedLedger",
    "Event",
    "EventKind",
    "Grant",
    "Ledger",
    "Opening",
    "Receipt",
    "Role",
    "RoleChange",
    "Signer",
    "SigningKey",
    "SyncState",
    "VerifyingKey",
    "break_glass_event",
    "check_commitment",
    "commit",
    "cosign_checkpoint",
    "erase_event",
    "genesis_event",
    "grant_event",
    "new_salt",
    "now_ms",
    "revoke_event",
    "role_event",
    "verify",
    "verify_checkpoint",
]
