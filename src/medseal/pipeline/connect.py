"""A workspace joins a network: a contract deployed or found, a key of its own, one for good."""

import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medseal.errors import ConfigurationError, InputError, WorkspaceError
from medseal.pipeline.connection import KEY_NAME, GatewayKey
from medseal.pipeline.consent import standing_withdrawals
from medseal.pipeline.network import NetworkSetting, checked_url, kept_url
from medseal.pipeline.workspace import OWNER, Workspace, load_keystore

if TYPE_CHECKING:
    from medseal.ledger import TransactionSigner

__all__ = ["JoinRequest", "Joined", "join", "move", "redeploy"]

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """How a workspace joins a network.

    Attributes
    ----------
    url
        Node, http or https.
    contract
        Address; None puts a new contract on the chain, owned by this workspace.
    key_file
        Keystore file (version 3) of the gateway's key, under the passphrase of the workspace; None
        makes a new key inside the keystore of the workspace.
    confirmations
        Blocks above one until it counts as final; 0 where blocks are final at once.
    max_head_age_seconds
        Age of the newest block from which on nothing is allowed; None for a network that makes
        blocks only of transactions.
    """

    url: str
    contract: str | None = None
    key_file: Path | None = None
    confirmations: int = 0
    max_head_age_seconds: int | None = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """Where a workspace is now.

    Attributes
    ----------
    chain_id, contract
        Pinned from now on.
    address
        Of the gateway, ``0x`` and 40 digits: what another institution gives roles to.
    roles
        What the gateway holds in the contract.
    withdrawals
        How many withdrawals of patients the contract does not know; `carry_withdrawals`.
    """

    chain_id: int
    contract: str
    address: str
    roles: tuple[str, ...]
    withdrawals: int


def join(path: Path, passphrase: str, request: JoinRequest) -> Joined:
    """Let a contract judge the rights of a workspace from now on, for good.

    The log stays the one of the workspace, and an entry in it names the contract. Rights that were
    given before are not carried over: they were given in another record.

    Parameters
    ----------
    path
        Folder of the workspace.
    passphrase
        Of the workspace, and of the keystore file.
    request
        Node, contract and key.

    Raises
    ------
    WorkspaceError
        The workspace has a network already.
    ConfigurationError, InputError
        Node, contract or settings have another form.
    ChainMismatchError
        No such contract stands there.
    UnreachableError
        The node does not answer.
    KeystoreError, WrongPassphraseError
        The key cannot be unlocked.
    ModuleNotFoundError
        The extra `network` is not installed.
    """
    kept_url(request.url)
    with Workspace.open(path, passphrase) as workspace:
        if workspace.network is not None:
            raise WorkspaceError(
                f"{path} is on a network already; 'medseal ledger connect URL' changes its node"
            )
        signer = _signer(workspace, request, passphrase)
        setting = _setting(request, signer)
        # The workspace names its gateway as it does its owner; the entry that joins comes last.
        workspace.remember_account(signer.account, OWNER)
    setting.save(path)
    return _joined(path, passphrase)


def _signer(workspace: Workspace, request: JoinRequest, passphrase: str) -> "TransactionSigner":
    from medseal.ledger import KeySigner, KeystoreSigner  # noqa: PLC0415 - extra `network`

    if request.key_file is not None:
        signer: TransactionSigner = KeystoreSigner.load(request.key_file, passphrase)
        return signer
    if KEY_NAME not in workspace.keystore.names():
        # Kept before it is used: whatever is sent with it can then be sent again.
        workspace.keystore.put(KEY_NAME, secrets.token_bytes(_KEY_BYTES))
        workspace.keystore.save()
    made: TransactionSigner = KeySigner.from_key(workspace.keystore.get(KEY_NAME))
    return made


def _setting(request: JoinRequest, signer: "TransactionSigner") -> NetworkSetting:
    """Return the setting, after the contract was found, or put, on the chain."""
    from medseal.ledger import Node  # noqa: PLC0415 - extra `network`
    from medseal.ledger.ethereum.contract import Contract  # noqa: PLC0415 - the same

    node: Node = Node(request.url)
    try:
        chain_id = node.chain_id()
        draft = _draft(request, signer, chain_id)
        if request.contract is None:
            contract = Contract.deploy(node, signer)
        else:
            contract = Contract(node, request.contract.lower(), chain_id=chain_id)
        contract.check()
        return replace(draft, contract=contract.address)
    finally:
        node.close()


def _draft(request: JoinRequest, signer: "TransactionSigner", chain_id: int) -> NetworkSetting:
    """Return the setting without its contract: what is wrong with it is said before one is made."""
    key_file = request.key_file
    try:
        return NetworkSetting(
            url=request.url,
            chain_id=chain_id,
            contract=f"0x{signer.account}",
            account=signer.account,
            key_file=None if key_file is None else str(key_file.absolute()),
            confirmations=request.confirmations,
            max_head_age_seconds=request.max_head_age_seconds,
        )
    except InputError as error:
        raise ConfigurationError(str(error)) from error


def move(path: Path, passphrase: str, url: str, *, contract: str | None = None) -> Joined:
    """Ask another node of the same network from now on.

    Raises
    ------
    WorkspaceError
        The workspace has no network, or another contract.
    ChainMismatchError
        The node serves another chain, or the contract is not there.
    UnreachableError
        It does not answer.
    """
    setting = NetworkSetting.load(path)
    if setting is None:
        raise WorkspaceError(f"{path} is on no network; give --contract and a key")
    if contract is not None and contract.lower() != setting.contract:
        raise WorkspaceError(f"{path} belongs to the contract {setting.contract} for good")
    moved = replace(setting, url=kept_url(url))
    with Workspace.open(path, passphrase, node=url) as workspace:
        found = _told(workspace)
    moved.save(path)
    return found


def redeploy(path: Path, passphrase: str, *, node: str | None = None) -> Joined:
    """Put the contract of a workspace back on its network, which was set up anew and is empty.

    The chain has the id of before, and the contract comes to the address of before. What the
    contract held, each gateway brings back from its log with its next synchronisation.

    Parameters
    ----------
    path
        Folder of the workspace that put the contract on the chain the first time.
    passphrase
        Of the workspace, and of the keystore file.
    node
        Node to ask in place of the one that the workspace keeps.

    Raises
    ------
    WorkspaceError
        The workspace has no network, or its contract came from another gateway, or stands there.
    ChainMismatchError
        The node serves another chain, or one on which the gateway has sent too much already.
    UnreachableError, NodeError
        The node does not answer, or does not take the contract.
    KeystoreError, WrongPassphraseError
        The key cannot be unlocked.
    ModuleNotFoundError
        The extra `network` is not installed.
    """
    from medseal.ledger import Node  # noqa: PLC0415 - extra `network`
    from medseal.ledger.ethereum.contract import Contract  # noqa: PLC0415 - the same

    keystore = load_keystore(path, passphrase)
    setting = NetworkSetting.load(path)
    if setting is None:
        raise WorkspaceError(f"{path} is on no network; run 'medseal ledger deploy' first")
    key = GatewayKey(setting, keystore, passphrase)
    asked: Node = Node(setting.url if node is None else checked_url(node))
    try:
        Contract(asked, setting.contract, chain_id=setting.chain_id).redeploy(key)
    except InputError as error:
        raise WorkspaceError(str(error)) from error
    finally:
        asked.close()
    return _joined(path, passphrase, node)


def _joined(path: Path, passphrase: str, node: str | None = None) -> Joined:
    with Workspace.open(path, passphrase, node=node) as workspace:
        return _told(workspace)


def _told(workspace: Workspace) -> Joined:
    setting: Any = workspace.network
    return Joined(
        chain_id=setting.chain_id,
        contract=setting.contract,
        address=f"0x{setting.account}",
        roles=tuple(str(role) for role in workspace.ledger.roles(workspace.owner)),
        withdrawals=len(standing_withdrawals(workspace)),
    )
