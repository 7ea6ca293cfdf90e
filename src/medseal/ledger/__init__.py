"""The ledger: salted commitments and events, receipts that verify offline, access rules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from medseal.ledger.audit import AuditReport
from medseal.ledger.checkpoint import Checkpoint, verify_checkpoint
from medseal.ledger.commitment import check_commitment, commit, new_salt
from medseal.ledger.consent import (
    NO_NETWORK,
    Consent,
    ConsentDomain,
    SignedConsent,
    consent_commitment,
    new_patient_key,
    patient_address,
    sign_consent,
    verify_consent,
)
from medseal.ledger.consent_record import ConsentRecord, accept_consent
from medseal.ledger.difference import TreeExport, check_same_log
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.events import Event, EventKind, now_ms
from medseal.ledger.grants import MAX_RESEARCH_GRANT_MS, Action, Decision, Grant, Role
from medseal.ledger.item import EntryState, State
from medseal.ledger.note import COSIGNATURE_V1, Signer, SigningKey, VerifyingKey
from medseal.ledger.protocol import Ledger, SyncState
from medseal.ledger.receipt import Anchor, Opening, Receipt, verify
from medseal.ledger.rights import (
    ConsentChange,
    PauseChange,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    network_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.rules import AccessState
from medseal.ledger.witness import cosign_checkpoint

if TYPE_CHECKING:
    from medseal.ledger.ethereum.fees import FeePolicy
    from medseal.ledger.ethereum.ledger import EthereumLedger
    from medseal.ledger.ethereum.proof import AnchorCheck, check_anchor
    from medseal.ledger.ethereum.rpc import Node
    from medseal.ledger.ethereum.settings import NetworkSettings, RelaySettings
    from medseal.ledger.ethereum.signer import (
        ExternalSigner,
        KeySigner,
        KeystoreSigner,
        TransactionSigner,
    )

__all__ = [
    "COSIGNATURE_V1",
    "MAX_RESEARCH_GRANT_MS",
    "NO_NETWORK",
    "AccessState",
    "Action",
    "Anchor",
    "AnchorCheck",
    "AuditReport",
    "Checkpoint",
    "Consent",
    "ConsentChange",
    "ConsentDomain",
    "ConsentRecord",
    "Decision",
    "EmbeddedLedger",
    "EntryState",
    "EthereumLedger",
    "Event",
    "EventKind",
    "ExternalSigner",
    "FeePolicy",
    "Grant",
    "KeySigner",
    "KeystoreSigner",
    "Ledger",
    "NetworkSettings",
    "Node",
    "Opening",
    "PauseChange",
    "Receipt",
    "RelaySettings",
    "Role",
    "RoleChange",
    "SignedConsent",
    "Signer",
    "SigningKey",
    "State",
    "SyncState",
    "TransactionSigner",
    "TreeExport",
    "VerifyingKey",
    "accept_consent",
    "break_glass_event",
    "check_anchor",
    "check_commitment",
    "check_same_log",
    "commit",
    "consent_commitment",
    "consent_event",
    "cosign_checkpoint",
    "erase_event",
    "genesis_event",
    "grant_event",
    "network_event",
    "new_patient_key",
    "new_salt",
    "now_ms",
    "patient_address",
    "pause_event",
    "revoke_event",
    "role_event",
    "sign_consent",
    "verify",
    "verify_checkpoint",
    "verify_consent",
]

# What needs the packages of the extra `network` is loaded when it is asked for.
_NETWORK = {
    "AnchorCheck": "proof",
    "EthereumLedger": "ledger",
    "ExternalSigner": "signer",
    "FeePolicy": "fees",
    "KeySigner": "signer",
    "KeystoreSigner": "signer",
    "NetworkSettings": "settings",
    "Node": "rpc",
    "RelaySettings": "settings",
    "TransactionSigner": "signer",
    "check_anchor": "proof",
}


def __getattr__(name: str) -> Any:
    if name not in _NETWORK:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"medseal.ledger.ethereum.{_NETWORK[name]}"), name)
