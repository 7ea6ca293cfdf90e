"""The way of a workspace to its network: the gateway's key, the ledger opened, events pushed."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseal.errors import AccessRefusedError, KeystoreError, UnreachableError
from medseal.ledger import (
    EmbeddedLedger,
    EventKind,
    Role,
    State,
)
from medseal.ledger.grants import WITHDRAWN
from medseal.ledger.item import PASSING_REASONS
from medseal.pipeline.network import NetworkSetting, checked_url
from medseal.protection.encryption import Keystore

if TYPE_CHECKING:
    from medseal.ledger import TransactionSigner
    from medseal.ledger.ethereum.ledger import EthereumLedger

__all__ = [
    "KEY_NAME",
    "NETWORKS",
    "PUSH_SECONDS",
    "Carried",
    "Connection",
    "GatewayKey",
    "push_entry",
    "refused_entries",
    "was_withdrawn",
]

# Of the gateway's key in the keystore of the workspace.
KEY_NAME = "network/key"
NETWORKS = "networks"
# Several blocks of the usual networks; what takes longer is carried on later.
PUSH_SECONDS = 5.0
_POLL_SECONDS = 0.1


class GatewayKey:
    """The key of a gateway, unlocked when something is signed: a keystore file takes seconds.

    Parameters
    ----------
    setting
        Names the account, and the keystore file where there is one.
    keystore
        Of the workspace, unlocked.
    passphrase
        Unlocks the keystore file.
    """

    def __init__(self, setting: NetworkSetting, keystore: Keystore, passphrase: str) -> None:
        self.account = setting.account
        self.address = f"0x{setting.account}"
        self._key_file = setting.key_file
        self._keystore = keystore
        self._passphrase = passphrase
        self._signer: TransactionSigner | None = None

    def __repr__(self) -> str:
        """Show the address alone."""
        return f"GatewayKey({self.address})"

    def sign(self, transaction: Mapping[str, Any]) -> bytes:
        """Return the signed transaction; see `TransactionSigner.sign`.

        Raises
        ------
        KeystoreError, WrongPassphraseError, StorageError
            The key cannot be had, or is another one by now.
        """
        if self._signer is None:
            self._signer = self._load()
        return self._signer.sign(transaction)

    def _load(self) -> "TransactionSigner":
        # Here: only who signs needs the extra `network`.
        from medseal.ledger import KeySigner, KeystoreSigner  # noqa: PLC0415

        if self._key_file is None:
            signer: TransactionSigner = KeySigner.from_key(self._keystore.get(KEY_NAME))
        else:
            signer = KeystoreSigner.load(Path(self._key_file), self._passphrase)
        if signer.account != self.account:
            raise KeystoreError("the key of the gateway is another one than that of the workspace")
        return signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What is needed to open the ledger of a workspace on its network.

    Attributes
    ----------
    setting
        Of the workspace.
    passphrase
        Unlocks the keystore file of the gateway's key.
    node
        Address of a node in place of that of the setting; MAY hold a user and password.
    """

    setting: NetworkSetting
    passphrase: str = field(repr=False)
    node: str | None = field(default=None, repr=False)

    def open(self, workspace: Path, keystore: Keystore, log: EmbeddedLedger) -> "EthereumLedger":
        """Return the ledger; a node that is away is no obstacle.

        Parameters
        ----------
        workspace
            Its folder; the outbox lies below it.
        keystore
            Of the workspace, unlocked.
        log
            Of the workspace; it joins the network the first time.

        Raises
        ------
        ChainMismatchError
            The node serves another chain, the contract is not there, or the log has another one.
        ConfigurationError
            The node is no http or https address.
        ModuleNotFoundError
            The extra `network` is not installed.
        """
        from medseal.ledger import EthereumLedger, NetworkSettings, RelaySettings  # noqa: PLC0415

        setting = self.setting
        ledger: EthereumLedger = EthereumLedger(
            setting.url if self.node is None else checked_url(self.node),
            setting.contract,
            GatewayKey(setting, keystore, self.passphrase),
            folder=workspace / NETWORKS / setting.name,
            log=log,
            settings=NetworkSettings(
                chain_id=setting.chain_id,
                relay=RelaySettings(confirmations=setting.confirmations),
                max_head_age_seconds=setting.max_head_age_seconds,
            ),
        )
        return ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """How far an entry was carried.

    Attributes
    ----------
    state
        ``queued``, ``submitted``, ``mined`` or ``final``.
    detail
        Why it waits, for example ``not-registrar``; empty where that is plain.
    """

    state: str
    detail: str = ""


def push_entry(ledger: "EthereumLedger", index: int, *, timeout_seconds: float) -> Carried:
    """Carry an entry on until a block holds it, the contract takes none, or the time is over.

    Raises
    ------
    AccessRefusedError
        The contract refused it.
    ChainMismatchError
        The node serves another chain, or the contract is not there.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            ledger.sync()
        except UnreachableError:
            found = ledger.state_of(index)
            return Carried(state=str(found.state), detail=found.detail)
        found = ledger.state_of(index)
        if found.state is State.REFUSED:
            raise AccessRefusedError(
                f"the contract refused entry {index} ({found.detail or 'no reason given'})",
                reason=found.detail or "refused",
            )
        is_there = found.state in (State.MINED, State.FINAL)
        if is_there or found.detail in PASSING_REASONS or time.monotonic() >= deadline:
            return Carried(state=str(found.state), detail=found.detail)
        time.sleep(_POLL_SECONDS)


def refused_entries(ledger: "EmbeddedLedger | EthereumLedger") -> dict[int, str]:
    """Return the reason of the contract by index of the entries that it did not accept."""
    if isinstance(ledger, EmbeddedLedger) or not ledger.state().refused:
        return {}
    states = (ledger.state_of(index) for index in range(ledger.size))
    return {each.index: each.detail for each in states if each.state is State.REFUSED}


def was_withdrawn(ledger: "EmbeddedLedger | EthereumLedger", account: str, subject: str) -> bool:
    """Say whether research by an account must be refused though the contract allows it.

    The contract knows no withdrawal from before the log joined it. One that is the patient's last
    word in the log holds here, until it was carried over or the patient says otherwise.

    Raises
    ------
    UnreachableError
        The node does not say whether the account is a researcher.
    """
    if isinstance(ledger, EmbeddedLedger):
        return False
    return _is_withdrawn_here(ledger.log, subject) and Role.RESEARCHER in ledger.roles(account)


def _is_withdrawn_here(log: EmbeddedLedger, subject: str) -> bool:
    """Say whether a withdrawal from before the log joined is the patient's last word in it."""
    if log.consent(subject) != WITHDRAWN:
        return False
    image, consent = f'"subject":"{subject}"'.encode(), b'"kind":"consent"'
    has_joined = False
    for _, event in log.events(
        wanted=lambda leaf: b'"kind":"network"' in leaf or (image in leaf and consent in leaf)
    ):
        if has_joined and event.kind is EventKind.CONSENT:
            return False
        has_joined = has_joined or event.kind is EventKind.NETWORK
    return True
