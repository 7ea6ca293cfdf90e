"""A workspace: keystore, catalogue, object store and ledger in one folder, opened together."""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from medseal.errors import UnknownNameError, WorkspaceError
from medseal.ledger import (
    EmbeddedLedger,
    Event,
    EventKind,
    Receipt,
    SigningKey,
    genesis_event,
)
from medseal.pipeline.connection import PUSH_SECONDS, Carried, Connection, push_entry
from medseal.pipeline.keys import WorkspaceKeys
from medseal.pipeline.network import NetworkSetting
from medseal.pipeline.records import SealedRecord, leaf_digest
from medseal.protection.encryption import Identity, Keystore, SealedPackage, seal
from medseal.protection.encryption import open as open_package
from medseal.vault import BlobStore, Catalogue
from medseal.vault.catalogue import AccountRecord, ImageRecord, ReleaseRecord

if TYPE_CHECKING:
    from medseal.ledger.ethereum.ledger import EthereumLedger

__all__ = ["LOG_KEY_FILE", "OWNER", "Workspace", "check_name", "load_keystore", "record_id"]

OWNER = "owner"
LOG_ORIGIN = "medseal.local/log"
MAX_NAME_CHARACTERS = 64

# Written out in place of a name: a person of another institution, or a gateway by its address.
_ACCOUNT = re.compile(r"[0-9a-f]{32}|0x(?!0{8})[0-9a-f]{40}")

_KEYSTORE = "keystore.medseal"
_CATALOGUE = "catalogue.sqlite"
_LEDGER = "ledger.sqlite"
_OBJECTS = "objects"
_RECEIPTS = "receipts"
_CONSENTS = "consents"
_LOCK = "lock"
LOG_KEY_FILE = "log.vkey"
_RECIPIENT = "recipient.txt"


def check_name(name: str) -> str:
    """Return `name` if it can name an account.

    Raises
    ------
    UnknownNameError
        Empty, too long or with unprintable characters.
    """
    if not name.isprintable() or not name.strip() or len(name) > MAX_NAME_CHARACTERS:
        message = f"a name has 1 to {MAX_NAME_CHARACTERS} printable characters; choose another"
        raise UnknownNameError(message)
    return name


def load_keystore(path: Path, passphrase: str) -> Keystore:
    """Return the unlocked keystore of the workspace at `path`.

    Raises
    ------
    WorkspaceError
        There is none.
    WrongPassphraseError
        The passphrase does not unlock it.
    """
    if not (path / _KEYSTORE).is_file():
        raise WorkspaceError(f"no workspace at {path}; run 'medseal init' first")
    return Keystore.load(path / _KEYSTORE, passphrase)


class Workspace:
    """One open workspace; use it as a context manager.

    Parameters
    ----------
    path
        The folder.
    keystore
        Already unlocked.
    create
        Start an empty catalogue and log. One that is missing later is an error: it was there once.
    network
        How to reach the contract that judges the rights; None for rights in the log itself.
    """

    def __init__(
        self,
        path: Path,
        keystore: Keystore,
        *,
        create: bool = False,
        network: Connection | None = None,
    ) -> None:
        self.path = path
        self.keystore = keystore
        self.identity = Identity.from_text(keystore.get(f"identity/{OWNER}").decode())
        self.keys = WorkspaceKeys(keystore.get("workspace/root"))
        self.store = BlobStore(path / _OBJECTS)
        self.catalogue = Catalogue(path / _CATALOGUE, create=create)
        signing_key = SigningKey.parse(keystore.get("ledger/signing").decode())
        self.log = EmbeddedLedger(path / _LEDGER, signing_key=signing_key, create=create)
        self.network = None if network is None else network.setting
        self.ledger: EmbeddedLedger | EthereumLedger = self.log
        if network is not None:
            try:
                self.ledger = network.open(path, keystore, self.log)
            except BaseException:
                self.log.close()
                self.catalogue.close()
                raise
        self.last_entry: int | None = None
        self.owner = self.find_owner()

    # --- life cycle ---------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, passphrase: str) -> Self:
        """Make a workspace: keys, catalogue, ledger, the first identity `owner`.

        Everything is made beside `path` and renamed at the end, so an interrupted start leaves
        no workspace.

        Raises
        ------
        WorkspaceError
            Something is at `path` already.
        StorageError
            The folder cannot be written.
        """
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise WorkspaceError(f"{path} is not empty; choose another --workspace")
        building = path.with_name(f".{path.name.lstrip('.')}.{secrets.token_hex(4)}.new")
        try:
            building.mkdir(mode=0o700, parents=True)
            (building / _RECEIPTS).mkdir(mode=0o700)
            signing_key = SigningKey.generate(LOG_ORIGIN)
            identity = Identity.generate()
            keystore = Keystore.create(building / _KEYSTORE, passphrase)
            keystore.put(f"identity/{OWNER}", identity.to_text().encode())
            keystore.put("workspace/root", WorkspaceKeys.new_root())
            keystore.put("ledger/signing", signing_key.to_text().encode())
            keystore.save()
            (building / LOG_KEY_FILE).write_text(f"{signing_key.vkey}\n")
            (building / _RECIPIENT).write_text(f"{identity.recipient}\n")
            workspace = cls(building, keystore, create=True)
            workspace._register_owner()
            workspace.close()
            if path.exists():
                path.rmdir()
            building.rename(path)
        except OSError as error:
            reason = (error.strerror or "input/output error").lower()
            raise WorkspaceError(f"{path} cannot be made: {reason}") from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        return cls.open(path, passphrase)

    def _register_owner(self) -> None:
        self.remember_name(OWNER)
        self.ledger.append(genesis_event(self.owner))

    @classmethod
    def open(cls, path: Path, passphrase: str, *, node: str | None = None) -> Self:
        """Open a workspace and finish what an interrupted command left.

        Parameters
        ----------
        path
            The folder.
        passphrase
            Unlocks the keystore, and the keystore file of a gateway's key.
        node
            Node to ask in place of the one that the workspace keeps.

        Raises
        ------
        WorkspaceError
            There is none at `path`.
        WrongPassphraseError
            The passphrase does not unlock it.
        ChainMismatchError
            The node serves another chain, or the contract is not there.
        """
        keystore = load_keystore(path, passphrase)
        setting = NetworkSetting.load(path)
        network = None
        if setting is not None:
            network = Connection(setting=setting, passphrase=passphrase, node=node)
        workspace = cls(path, keystore, network=network)
        workspace.recover()
        return workspace

    def close(self) -> None:
        """Release the files."""
        self.ledger.close()
        self.log.close()
        self.catalogue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the workspace against other writers, across processes."""
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def recover(self) -> int:
        """Finish or take back what interrupted commands left; return how many records.

        A pending record whose package is in the store is completed: its leaf goes to the ledger
        (at most once, the ledger knows its leaves). One without a package is removed.
        """
        self.store.sweep()
        if not self.catalogue.pending():
            return 0
        with self.lock():
            # Read again under the lock: what is pending now belongs to no running command.
            pending = self.catalogue.pending()
            done = [record for record in pending if self._is_stored(record)]
            self.catalogue.remove_pending(record for record in pending if record not in done)
            self.ledger.append_many([Event.parse(record.leaf) for record in done])
            self.catalogue.mark_sealed(done)
        for record in done:
            self.receipt_of(record)
        return len(pending)

    def _is_stored(self, record: ImageRecord | ReleaseRecord) -> bool:
        if isinstance(record, ReleaseRecord):
            return True
        return record.package is not None and record.package in self.store

    # --- names --------------------------------------------------------------------------------

    def find_owner(self) -> str:
        """Read again which account acts for this workspace, and return it.

        On a network that is its gateway; else the owner of the log, as long as it is known here.
        """
        first, owner = self.keys.account(OWNER), self.log.owner
        is_ours = self.log.network or any(
            each.account == owner for each in self.catalogue.accounts()
        )
        self.owner = owner if owner and is_ours else first
        return self.owner

    def account_of(self, name: str) -> str:
        """Return the account of a name, or the one that is written out in its place.

        `OWNER` names the account that acts for this workspace. An account of 32 digits, or an
        address of ``0x`` and 40, is taken as it is: so another institution is named.

        Raises
        ------
        UnknownNameError
            The name has another form.
        """
        if name == OWNER:
            return self.owner
        if _ACCOUNT.fullmatch(name):
            return name.removeprefix("0x")
        return self.keys.account(check_name(name))

    def remember_name(self, name: str) -> str:
        """Return the account of a name, and keep the name encrypted for listings."""
        account = self.account_of(name)
        if account != name.removeprefix("0x"):
            self.remember_account(account, name)
        return account

    def remember_account(self, account: str, name: str) -> None:
        """Keep the name of an account, encrypted; a second time changes nothing."""
        package = seal(name.encode(), [self.identity.recipient], associated_data=account.encode())
        self.catalogue.add_account(AccountRecord(account=account, sealed_name=package.to_bytes()))

    def names(self) -> Mapping[str, str]:
        """Return the name of every account that has one here."""
        return {
            record.account: open_package(
                SealedPackage.from_bytes(record.sealed_name), self.identity
            ).decode()
            for record in self.catalogue.accounts()
        }

    def known_account(self, name: str) -> str:
        """Return the account of a name that is already known.

        Raises
        ------
        UnknownNameError
            Nobody of this name has ever been granted anything.
        """
        account = self.account_of(name)
        if account in (self.owner, name.removeprefix("0x")):
            return account
        if not any(record.account == account for record in self.catalogue.accounts()):
            message = f"'{name}' is not known here; run 'medseal access grant {name} IMAGE_ID ...'"
            raise UnknownNameError(message)
        return account

    # --- events and receipts ------------------------------------------------------------------

    def record_event(
        self,
        kind: EventKind,
        *,
        actor: str,
        subject: str = "",
        details: Mapping[str, str | int] | None = None,
    ) -> Path:
        """Append one event of now and return the path of its receipt."""
        event = Event.new(kind, actor=actor, subject=subject, details=details)
        return self.keep_receipt(self.ledger.append(event))

    def keep_receipt(self, receipt: Receipt) -> Path:
        """Write the receipt of an event and return its path."""
        self.last_entry = receipt.index
        return self.write_receipt(f"event-{receipt.index}", receipt)

    def push(self, *, timeout_seconds: float = PUSH_SECONDS) -> Carried:
        """Bring the last event to the network and return how far it is by then.

        Returns
        -------
        Carried
            ``final`` without a network; else how far it is. What is not there yet, `sync` carries
            on.

        Raises
        ------
        AccessRefusedError
            The contract refused the event.
        ChainMismatchError
            The node serves another chain, or the contract is not there.
        """
        if isinstance(self.ledger, EmbeddedLedger) or self.last_entry is None:
            return Carried(state="final")
        return push_entry(self.ledger, self.last_entry, timeout_seconds=timeout_seconds)

    def receipt_path(self, name: str) -> Path:
        """Return where the receipt of an image, release or event stands."""
        return self.path / _RECEIPTS / f"{name}.receipt"

    def consent_path(self, image_id: str) -> Path:
        """Return where the signed statements of a patient about an image stand, encrypted."""
        return self.path / _CONSENTS / image_id

    def receipt_of(self, record: ImageRecord | ReleaseRecord) -> Path:
        """Return the path of a record's receipt, which is made again where it is missing.

        Raises
        ------
        LedgerError
            The log does not hold the leaf of the record.
        """
        path = self.receipt_path(record_id(record))
        if path.is_file():
            return path
        receipt = self.ledger.prove(leaf_digest(record.leaf))
        sealed = SealedRecord.from_sealed(
            record.sealed_record or b"", self.identity, subject=record_id(record)
        )
        return self.write_receipt(record_id(record), receipt.with_opening(sealed.opening))

    def write_receipt(self, name: str, receipt: Receipt) -> Path:
        """Write a receipt to its file.

        It is not flushed: the ledger is durable and gives the same receipt again on request.
        """
        path = self.receipt_path(name)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}.new")
        temporary.write_bytes(receipt.to_bytes())
        temporary.replace(path)
        return path


def record_id(record: ImageRecord | ReleaseRecord) -> str:
    """Return the identifier by which a user names a record."""
    return record.image_id if isinstance(record, ImageRecord) else record.release_id
