"""Consent of patients: signed statements checked, kept encrypted, relayed as commitments."""

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path

from medseal.digest import canonical_json, parse_canonical_json
from medseal.errors import (
    ConfigurationError,
    ConsentError,
    InputError,
    StorageError,
    WorkspaceError,
)
from medseal.imaging.files import read_file, write_file
from medseal.ledger import (
    ConsentChange,
    ConsentDomain,
    ConsentRecord,
    Event,
    EventKind,
    accept_consent,
    consent_commitment,
    consent_event,
    new_salt,
    now_ms,
)
from medseal.ledger.consent import MAX_CONSENT_BYTES, NO_NETWORK
from medseal.pipeline.access import find_image
from medseal.pipeline.workspace import OWNER, Workspace
from medseal.protection.encryption import SealedPackage, seal
from medseal.protection.encryption import open as open_package

__all__ = ["ConsentOutcome", "carry_withdrawals", "relay_consent", "standing_withdrawals"]

_VERSION = 1
# A thousand statements of the greatest length in base 64, sealed.
_MAX_FILE_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentOutcome:
    """What was relayed.

    Attributes
    ----------
    image_id
        The image.
    change
        ``give`` or ``withdraw``.
    commitment
        All that the ledger holds of the statement.
    receipt
        Path of the receipt.
    """

    image_id: str
    change: ConsentChange
    commitment: str
    receipt: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What the workspace keeps for one image: the record, and each statement with its salt."""

    record: ConsentRecord
    statements: tuple[tuple[bytes, bytes], ...] = ()

    def to_bytes(self) -> bytes:
        return canonical_json(
            {
                "v": _VERSION,
                "record": base64.b64encode(self.record.to_bytes()).decode(),
                "statements": [
                    {"file": base64.b64encode(file).decode(), "salt": salt.hex()}
                    for file, salt in self.statements
                ],
            }
        )


def relay_consent(
    workspace: Workspace,
    image_id: str,
    file: Path,
    change: ConsentChange,
    *,
    signer: str | None = None,
    name: str = OWNER,
) -> ConsentOutcome:
    """Check a statement that a patient has signed and relay its commitment to the ledger.

    The statement and the salt of its commitment stay in the workspace, encrypted; erasing the
    image destroys them.

    Parameters
    ----------
    workspace
        Open.
    image_id
        The image.
    file
        Signed statement.
    change
        What it has to say, so that a withdrawal is not taken for a consent.
    signer
        Address of the patient's key, from the time when it was made; needed once an image.
    name
        Who relays, a consent service.

    Raises
    ------
    UnknownImageError
        No such image.
    ConfigurationError
        No address of a key is known for the image, or another one is.
    ConsentError, ConsentReplayError
        The statement does not hold, says something else, or is not the newest.
    AccessRefusedError
        `name` is no consent service.
    """
    image = find_image(workspace, image_id)
    account = workspace.known_account(name)
    with workspace.lock():
        kept = _kept(workspace, image_id, image.commitment, signer)
        data = read_file(file, limit_bytes=MAX_CONSENT_BYTES, error_class=ConfigurationError)
        at_ms = now_ms()
        signed, after = accept_consent(data, kept.record, _domain(workspace), at_ms=at_ms)
        if signed.consent.change is not change:
            raise ConsentError(f"{file} says '{signed.consent.change}', not '{change}'")
        salt = new_salt()
        commitment = str(consent_commitment(signed, salt))
        # The salt first: a commitment that nobody can open would prove nothing.
        statements = (*kept.statements, (data, salt))
        _keep(workspace, image_id, _Kept(record=kept.record, statements=statements))
        event = consent_event(image.commitment, change, commitment, actor=account, at_ms=at_ms)
        receipt = workspace.keep_receipt(workspace.ledger.append(event))
        _keep(workspace, image_id, _Kept(record=after, statements=statements))
    return ConsentOutcome(image_id=image_id, change=change, commitment=commitment, receipt=receipt)


def standing_withdrawals(workspace: Workspace) -> list[Event]:
    """Return the withdrawals that the log holds from before it joined a network, and no later word.

    A new contract knows none of them; docs/spec/consent.md. Those of erased images are over.
    """
    found: dict[str, Event] = {}
    has_joined = False
    for _, event in workspace.log.events(wanted=_tells_consent):
        if event.kind is EventKind.NETWORK:
            has_joined = True
        elif has_joined or event.kind is EventKind.ERASE:
            found.pop(event.subject, None)
        else:
            found[event.subject] = event
    withdrawn = [
        event for event in found.values() if event.details["change"] == ConsentChange.WITHDRAW
    ]
    return withdrawn if has_joined else []


def carry_withdrawals(workspace: Workspace, *, name: str = OWNER) -> int:
    """Record in the contract the withdrawals from before the workspace joined; return how many.

    They were checked when they were relayed first, and need no new signature of the patient.

    Parameters
    ----------
    workspace
        Open.
    name
        Who relays, a consent service.

    Raises
    ------
    AccessRefusedError
        `name` is no consent service.
    """
    account = workspace.known_account(name)
    with workspace.lock():
        standing = standing_withdrawals(workspace)
        for event in standing:
            commitment = str(event.details["consent"])
            again = consent_event(event.subject, ConsentChange.WITHDRAW, commitment, actor=account)
            workspace.keep_receipt(workspace.ledger.append(again))
    return len(standing)


_CONSENT_WORDS = tuple(
    f'"kind":"{kind}"'.encode() for kind in (EventKind.CONSENT, EventKind.NETWORK, EventKind.ERASE)
)


def _tells_consent(leaf: bytes) -> bool:
    return any(word in leaf for word in _CONSENT_WORDS)


def _domain(workspace: Workspace) -> ConsentDomain:
    network = workspace.network
    if network is None:
        return NO_NETWORK
    return ConsentDomain(chain_id=network.chain_id, contract=network.contract)


def _kept(workspace: Workspace, image_id: str, subject: str, signer: str | None) -> _Kept:
    """Return what is kept for an image, or a beginning with the address that was given."""
    path = workspace.consent_path(image_id)
    address = None if signer is None else signer.lower()
    if not path.is_file():
        if address is None:
            raise ConfigurationError(
                "no key of the patient is known for this image; give its address with --signer"
            )
        return _Kept(record=ConsentRecord(subject=subject, signer=address))
    data = read_file(path, limit_bytes=_MAX_FILE_BYTES, error_class=WorkspaceError)
    kept = _parse(open_package(SealedPackage.from_bytes(data), workspace.identity))
    if kept.record.subject != subject:
        raise StorageError(f"{path}: stands beside another image; restore a backup")
    if address not in (None, kept.record.signer):
        raise ConfigurationError("another key is known for the patient of this image")
    return kept


def _parse(data: bytes) -> _Kept:
    try:
        value = parse_canonical_json(data)
        if not isinstance(value, dict) or value["v"] != _VERSION:
            raise StorageError("a kept consent has an unknown version; update medseal")
        return _Kept(
            record=ConsentRecord.parse(base64.b64decode(value["record"], validate=True)),
            statements=tuple(
                (base64.b64decode(each["file"], validate=True), bytes.fromhex(each["salt"]))
                for each in value["statements"]
            ),
        )
    except (InputError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise StorageError("a kept consent is malformed; restore a backup") from error


def _keep(workspace: Workspace, image_id: str, kept: _Kept) -> None:
    path = workspace.consent_path(image_id)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: {error.strerror}; the consent was not kept") from error
    package = seal(
        kept.to_bytes(), [workspace.identity.recipient], associated_data=image_id.encode()
    )
    write_file(package.to_bytes(), path)
