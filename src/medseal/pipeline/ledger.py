"""Uses of the ledger alone: status, proofs, audit, offline verification."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from medseal.errors import InputError, LedgerError, UnknownImageError, UnreachableError
from medseal.imaging.files import read_file, write_file
from medseal.ledger import EmbeddedLedger, Event, Receipt, SyncState, VerifyingKey, verify
from medseal.pipeline.connection import refused_entries
from medseal.pipeline.identify import load_record
from medseal.pipeline.network import checked_url
from medseal.pipeline.records import leaf_digest
from medseal.pipeline.witness import check_since, read_log_key
from medseal.pipeline.workspace import LOG_KEY_FILE, Workspace
from medseal.vault import ImageRecord, ReleaseRecord

if TYPE_CHECKING:
    from medseal.ledger.ethereum.ledger import EthereumLedger

__all__ = [
    "Audited",
    "PinnedContract",
    "audit",
    "check_anchor_online",
    "log_key_file",
    "prove",
    "read_log_key",
    "read_receipt",
    "refusals",
    "status",
    "sync",
    "verify_receipt_file",
    "waiting_reasons",
]

MAX_RECEIPT_BYTES = 1024**2


def log_key_file(workspace: Path) -> Path:
    """Return where a workspace keeps the public key of its log."""
    return workspace / LOG_KEY_FILE


def status(workspace: Workspace) -> dict[str, str | int]:
    """Return the head of the log, how far its entries are, and the counts of the catalogue.

    Asks no node for more than the roles of the gateway; without an answer the rest is told.
    """
    head = workspace.log.checkpoint()
    value: dict[str, str | int] = {
        "origin": head.origin,
        "size": head.size,
        "root": head.root.hex(),
        "log_key": str(workspace.log.vkey),
        **workspace.catalogue.counts(),
        "pending": len(workspace.catalogue.pending()),
    }
    ledger, setting = workspace.ledger, workspace.network
    if isinstance(ledger, EmbeddedLedger) or setting is None:
        return value | _counts(ledger.sync())
    value |= {
        "chain_id": setting.chain_id,
        "contract": setting.contract,
        "gateway": f"0x{setting.account}",
    }
    try:
        value |= {"node": "answers", "gateway_roles": " ".join(ledger.roles(setting.account))}
    except UnreachableError:
        value["node"] = "unreachable"
    return value | _counts(ledger.state())


def refusals(workspace: Workspace) -> list[dict[str, str | int]]:
    """Return the entries that the contract refused, with its reason; they change no right."""
    found = refused_entries(workspace.ledger)
    return [{"index": index, "reason": reason} for index, reason in found.items()]


def prove(workspace: Workspace, entry: str, output: Path, *, with_opening: bool = True) -> Receipt:
    """Write the receipt of an entry and return it.

    Parameters
    ----------
    workspace
        Open.
    entry
        Index in the log, image id or release id.
    output
        File to write.
    with_opening
        Whether the salt goes in, so that the receipt proves which stored values it speaks of.

    Raises
    ------
    UnknownImageError
        No image or release of that name.
    InputError
        The log has no such index.
    """
    record = _record(workspace, entry)
    if record is not None:
        receipt = workspace.ledger.prove(leaf_digest(record.leaf))
        receipt = receipt.with_opening(load_record(workspace, record).opening)
    elif entry.isdecimal():
        receipt = workspace.ledger.prove(int(entry))
    else:
        raise UnknownImageError(f"no entry {entry}; give an index, an image id or a release id")
    if not with_opening:
        receipt = receipt.without_opening()
    write_file(receipt.to_bytes(), output)
    return receipt


def _record(workspace: Workspace, entry: str) -> ImageRecord | ReleaseRecord | None:
    record = workspace.catalogue.image(entry) or workspace.catalogue.release(entry)
    if record is not None and record.state == "erased":
        raise UnknownImageError(f"{entry} was erased; give the index of its entry instead")
    return record


def read_receipt(path: Path, key: VerifyingKey) -> tuple[Receipt, Event]:
    """Return a receipt that verifies under `key`, and the event it proves.

    Raises
    ------
    LedgerError
        It does not verify; of the class of the step that failed.
    InputError
        The file cannot be read.
    """
    data = read_file(path, limit_bytes=MAX_RECEIPT_BYTES)
    try:
        receipt = Receipt.parse(data)
        return receipt, verify(receipt, key)
    except LedgerError as error:
        raise type(error)(f"{path}: {error}; ask for a fresh receipt") from error


def verify_receipt_file(path: Path, key_file: Path) -> dict[str, str | int]:
    """Return what a receipt proves, offline.

    Raises
    ------
    LedgerError
        It does not verify.
    InputError
        A file cannot be read.
    """
    key = read_log_key(key_file)
    receipt, event = read_receipt(path, key)
    moment = datetime.fromtimestamp(event.at_ms / 1000, UTC)
    return {
        "index": receipt.index,
        "size": receipt.size,
        "kind": str(event.kind),
        "at": moment.isoformat(timespec="milliseconds"),
        "subject": event.subject,
        "actor": event.actor,
        "origin": receipt.checkpoint.origin,
    }


class Audited(TypedDict):
    """What an audit has found to hold.

    Attributes
    ----------
    size, root, checkpoints, objects
        Entries, hexadecimal root, signed heads; objects of sealed images.
    since
        Size of the head that was kept elsewhere, where one was given.
    anchored_heads
        On a network, number of heads in the contract; None where no node answers: not compared.
    """

    size: int
    root: str
    checkpoints: int
    objects: int
    since: NotRequired[int]
    anchored_heads: NotRequired[int | None]


def audit(workspace: Workspace, *, since: Path | None = None, proof: Path | None = None) -> Audited:
    """Replay the log, check every object and receipt-bearing record, return the counts.

    On a network the log has to continue every head of it that the contract holds.

    Parameters
    ----------
    workspace
        Open.
    since
        Checkpoint, or hashes of the log, kept elsewhere; the log must continue it.
    proof
        Where to write the consistency proof from it.

    Raises
    ------
    LedgerError
        Something stored is not what was signed; the message names the first entry.
    DigestMismatchError, StorageError
        An object is missing or damaged.
    """
    report = workspace.ledger.audit()
    for record in workspace.catalogue.images():
        try:
            workspace.ledger.prove(leaf_digest(record.leaf))
        except InputError as error:
            message = f"image {record.image_id} has no entry in the log; restore a backup"
            raise LedgerError(message) from error
        workspace.store.get(record.package or "")
    value: Audited = {
        "size": report.size,
        "root": report.root.hex(),
        "checkpoints": report.checkpoints,
        "objects": len(workspace.catalogue.images()),
    }
    if not isinstance(workspace.ledger, EmbeddedLedger):
        value["anchored_heads"] = _anchored_heads(workspace.ledger)
    if since is not None:
        value["since"] = check_since(workspace, since, proof=proof)
    return value


def _anchored_heads(ledger: "EthereumLedger") -> int | None:
    try:
        count: int = ledger.check_heads()
    except UnreachableError:
        return None
    return count


def sync(
    workspace: Workspace,
    *,
    until: str | None = None,
    timeout_seconds: float = 60.0,
    progress: Callable[[dict[str, int]], None] | None = None,
) -> dict[str, int]:
    """Finish what is pending, carry the entries on, and return how far they are.

    Parameters
    ----------
    workspace
        Open.
    until
        ``submitted``, ``mined`` or ``final``: wait until every entry is as far; None for one step.
    timeout_seconds
        How long to wait.
    progress
        Is told the counts after each step.

    Raises
    ------
    UnreachableError
        The node does not answer, or the time is over; what waits is kept.
    ChainMismatchError
        The node serves another chain, or the contract is not there.
    """
    recovered = {"recovered": workspace.recover()}
    ledger = workspace.ledger
    if isinstance(ledger, EmbeddedLedger):
        state = ledger.sync()
    elif until is None:
        state = ledger.sync(flush=True)
    else:

        def tell(found: SyncState) -> None:
            if progress is not None:
                progress(recovered | _counts(found))

        state = ledger.wait(until, timeout_seconds, progress=tell)
    return recovered | _counts(state)


def waiting_reasons(workspace: Workspace) -> dict[str, int]:
    """Return why entries wait that are queued for a contract, each reason with their number."""
    ledger = workspace.ledger
    return {} if isinstance(ledger, EmbeddedLedger) else ledger.waiting_reasons()


def _counts(state: SyncState) -> dict[str, int]:
    return {
        "queued": state.queued,
        "submitted": state.submitted,
        "mined": state.mined,
        "final": state.final,
        "refused": state.refused,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedContract:
    """A contract that is trusted, from another source than a receipt, and a node to ask.

    Attributes
    ----------
    node
        Address of the node; best one of another institution than that which gave the receipt.
    chain_id, contract
        Where the anchor has to be.
    """

    node: str
    chain_id: int
    contract: str


def check_anchor_online(path: Path, key_file: Path, pinned: PinnedContract) -> dict[str, str | int]:
    """Return what a node confirms about the anchor of a receipt, after the receipt verified.

    Raises
    ------
    LedgerError
        The receipt does not verify, or the chain holds another anchor or none.
    UnreachableError
        The node does not answer.
    ModuleNotFoundError
        The extra `network` is not installed.
    """
    from medseal.ledger import Node, check_anchor  # noqa: PLC0415 - extra `network`

    receipt, _ = read_receipt(path, read_log_key(key_file))
    node = Node(checked_url(pinned.node))
    try:
        found = check_anchor(receipt, node, chain_id=pinned.chain_id, contract=pinned.contract)
    finally:
        node.close()
    moment = datetime.fromtimestamp(found.timestamp, UTC)
    return {
        "anchored_at": moment.isoformat(timespec="seconds"),
        "confirmations": found.confirmations,
        "anchor": found.sequence,
        "anchored_by": f"0x{found.account}",
    }
