"""Who may open, classify or share: grants, break-glass, and the check before each use."""

from dataclasses import dataclass
from pathlib import Path

from medseal.errors import (
    AccessRefusedError,
    ConfigurationError,
    UnknownImageError,
    UnreachableError,
)
from medseal.ledger import (
    MAX_RESEARCH_GRANT_MS,
    Action,
    Decision,
    EventKind,
    Grant,
    Role,
    RoleChange,
    break_glass_event,
    now_ms,
    role_event,
)
from medseal.pipeline.connection import was_withdrawn
from medseal.pipeline.purposes import check_purpose, purpose_word
from medseal.pipeline.workspace import Workspace
from medseal.vault import ImageRecord, ReleaseRecord

__all__ = [
    "DEFAULT_ROLE",
    "GrantRequest",
    "GrantRow",
    "authorize",
    "break_glass",
    "find_image",
    "find_release",
    "grant",
    "list_grants",
    "revoke",
]

DEFAULT_ROLE = "radiologist"

_NEXT_STEP = {
    "no-grant": "ask the owner for 'medseal access grant'",
    "expired": "ask the owner for a new grant",
    "revoked": "ask the owner for a new grant",
    "purpose": "state the purpose of the grant with --purpose",
    "unbounded": "ask the owner for a grant that ends within a year",
    "withdrawn": "the patient has withdrawn the consent to research",
    "paused": "wait until the owner ends the pause",
    "erased": "the image was erased and cannot come back",
    "unreachable": "no node of the network answers; nothing is allowed until one does",
    "stale": "the node has lost its network; nothing is allowed until it is back",
    "wrong-chain": "the node serves another network; correct --node",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRow:
    """One grant as the owner sees it.

    Attributes
    ----------
    name, roles
        Who.
    image_id
        What; None once it was erased.
    action
        ``view``, ``classify`` or ``share``.
    purpose
        Word that each use must state; empty for any.
    until_ms
        UTC milliseconds, or None for no expiry.
    status
        ``valid``, or the word by which the rules refuse it now, for example ``expired``, ``paused``
        or ``withdrawn``. A revoked grant is gone from the list, not from the ledger.
    """

    name: str
    roles: tuple[str, ...]
    image_id: str | None
    action: str
    purpose: str
    until_ms: int | None
    status: str


def find_image(workspace: Workspace, image_id: str) -> ImageRecord:
    """Return a sealed image.

    Raises
    ------
    UnknownImageError
        There is none with this identifier, or it was erased.
    """
    record = workspace.catalogue.image(image_id)
    if record is None or record.state == "pending":
        raise UnknownImageError(f"no image {image_id} here; 'medseal ledger status' counts them")
    if record.state == "erased":
        raise UnknownImageError(f"image {image_id} was erased; only the proof of it remains")
    return record


def find_release(workspace: Workspace, release_id: str) -> ReleaseRecord:
    """Return a release.

    Raises
    ------
    UnknownImageError
        There is none with this identifier, or it was erased.
    """
    record = workspace.catalogue.release(release_id)
    if record is None or record.state != "sealed":
        raise UnknownImageError(f"no release {release_id} here; it may have been erased")
    return record


def authorize(
    workspace: Workspace, record: ImageRecord, name: str, action: str, *, purpose: str | None
) -> str:
    """Return the account of `name` if it may do `action` now; a refusal is logged.

    Parameters
    ----------
    workspace
        Open.
    record
        The image.
    name
        Who asks.
    action
        ``view``, ``classify`` or ``share``.
    purpose
        Code from a published list, such as ``second-opinion``. The ledger holds the word itself,
        open to all who read it: never free text, never anything about a person.

    Raises
    ------
    AccessRefusedError
        No grant covers it.
    UnknownNameError
        The name cannot name an account.
    """
    account = workspace.account_of(name)
    decision = decide(workspace, record, account, action, purpose=purpose)
    if not decision.allowed:
        workspace.record_event(
            EventKind.REFUSE,
            actor=account,
            subject=record.commitment,
            details={"action": action, "reason": decision.reason},
        )
        next_step = _NEXT_STEP.get(decision.reason, "ask the owner of the workspace")
        raise AccessRefusedError(
            f"'{name}' may not {action} image {record.image_id} ({decision.reason}); {next_step}",
            reason=decision.reason,
        )
    return account


def decide(
    workspace: Workspace, record: ImageRecord, account: str, action: str, *, purpose: str | None
) -> Decision:
    """Return what the access rules say now, without logging it.

    On a network the contract judges everybody but the workspace itself: its gateway holds the keys
    of its own images, so asking for its leave would be for show. What was erased stays refused.
    """
    if workspace.network is not None and account == workspace.owner:
        known = workspace.log.may(account, record.commitment, Action(action))
        is_erased = known.reason == "erased"
        return Decision(allowed=not is_erased, reason="erased" if is_erased else "owner")
    decision = workspace.ledger.may(
        account, record.commitment, Action(action), purpose=purpose_word(purpose)
    )
    is_granted = decision.reason == "granted"
    if is_granted and was_withdrawn(workspace.ledger, account, record.commitment):
        return Decision(allowed=False, reason="withdrawn")
    return decision


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRequest:
    """What the owner wants to allow.

    Attributes
    ----------
    name
        Who; a new name gets `DEFAULT_ROLE` unless `role` says otherwise.
    image_id
        What.
    action
        ``view``, ``classify`` or ``share``.
    purpose
        Code from a published list that each use must state; it stands openly on the ledger, so
        never free text and never anything about a person.
    new_purpose
        The purpose may be one that was never used on the network; see `check_purpose`.
    until_ms
        UTC milliseconds at which it ends; None for no end.
    role
        Changes the role of the account first.
    """

    name: str
    image_id: str
    action: str
    purpose: str | None = None
    new_purpose: bool = False
    until_ms: int | None = None
    role: str | None = None


def grant(workspace: Workspace, request: GrantRequest) -> Path:
    """Let somebody do something with an image and return the path of the receipt.

    Raises
    ------
    UnknownImageError
        No such image.
    AccessRefusedError
        The rules forbid such a grant, for example a researcher without purpose or end; or its
        purpose is no known code.
    """
    record = find_image(workspace, request.image_id)
    purpose = purpose_word(request.purpose)
    check_purpose(workspace, purpose, is_new=request.new_purpose)
    account = workspace.remember_name(request.name)
    roles = _with_role(workspace, account, request.role)
    given = Grant(
        account=account,
        subject=record.commitment,
        action=Action(request.action),
        purpose=purpose,
        expires_ms=request.until_ms,
    )
    if Role.RESEARCHER in roles:
        _check_research_grant(given)
    return workspace.keep_receipt(workspace.ledger.grant(given, actor=workspace.owner))


def _with_role(workspace: Workspace, account: str, wanted: str | None) -> tuple[Role, ...]:
    """Give the role that was asked for, or the first one to a new account; return what it holds."""
    try:
        present = workspace.ledger.roles(account)
        # On a shared network the owner of the contract alone gives roles; a grant needs none.
        gives = workspace.network is None or Role.OWNER in workspace.ledger.roles(workspace.owner)
    except UnreachableError:
        # Nobody can say what it holds, so nothing is given that was not asked for.
        present, gives = (), False
    if wanted is None and (present or not gives):
        return present
    role = Role(wanted or DEFAULT_ROLE)
    if role in present:
        return present
    event = role_event(account, role, RoleChange.ADD, actor=workspace.owner)
    workspace.keep_receipt(workspace.ledger.append(event))
    return (*present, role)


def _check_research_grant(given: Grant) -> None:
    """Refuse what the ledger would record and never act on: better now than at the first use."""
    if not given.purpose:
        raise AccessRefusedError(
            "a grant to a researcher names a purpose: give it with --purpose", reason="purpose"
        )
    if given.expires_ms is None or given.expires_ms - now_ms() > MAX_RESEARCH_GRANT_MS:
        raise AccessRefusedError(
            "a grant to a researcher ends within 366 days: give its end with --until",
            reason="unbounded",
        )


def revoke(workspace: Workspace, name: str, image_id: str, action: str | None) -> Path:
    """End a grant at once and return the path of the receipt.

    Parameters
    ----------
    workspace
        Open.
    name, image_id
        Whose grant, and for what.
    action
        ``view``, ``classify`` or ``share``; all of them, and an open break-glass window, when
        None.

    Raises
    ------
    UnknownImageError, UnknownNameError
        No such image or name.
    AccessRefusedError
        There is nothing to take back.
    """
    record = find_image(workspace, image_id)
    account = workspace.known_account(name)
    actions = list(Action) if action is None else [Action(action)]
    if not _may_hold(workspace, account, record.commitment, actions):
        raise AccessRefusedError(
            f"'{name}' holds no such grant for image {image_id}; see 'medseal access list'",
            reason="no-grant",
        )
    receipt = workspace.ledger.revoke(
        account,
        record.commitment,
        None if action is None else Action(action),
        actor=workspace.owner,
    )
    return workspace.keep_receipt(receipt)


def _may_hold(workspace: Workspace, account: str, subject: str, actions: list[Action]) -> bool:
    """Say whether there is something to take back; while no node answers, there may be."""
    try:
        held = workspace.ledger.grants(account=account, subject=subject)
    except UnreachableError:
        return True
    reasons = {workspace.ledger.may(account, subject, each).reason for each in actions}
    return any(grant.action in actions for grant in held) or "break-glass" in reasons


def break_glass(workspace: Workspace, name: str, image_id: str, *, reason: str) -> Path:
    """Open an image to a clinician for a short time, with a reason, for later review.

    Only a keyed digest of the reason reaches the ledger.

    Raises
    ------
    UnknownImageError, UnknownNameError
        No such image or name.
    ConfigurationError
        The reason is blank.
    AccessRefusedError
        The role of this account may not break glass.
    """
    if not reason.strip():
        raise ConfigurationError("no reason is given; say why with --reason")
    record = find_image(workspace, image_id)
    account = workspace.known_account(name)
    digest = f"sha256:{workspace.keys.reason(reason)}"
    receipt = workspace.ledger.append(break_glass_event(record.commitment, digest, actor=account))
    return workspace.keep_receipt(receipt)


def list_grants(workspace: Workspace) -> list[GrantRow]:
    """Return all grants that were not revoked."""
    names = workspace.names()
    images = {record.commitment: record.image_id for record in workspace.catalogue.images()}
    return [
        GrantRow(
            name=names.get(held.account, held.account),
            roles=tuple(sorted(workspace.ledger.roles(held.account))),
            image_id=images.get(held.subject),
            action=held.action,
            purpose=held.purpose,
            until_ms=held.expires_ms,
            status=_status(workspace, held),
        )
        for held in workspace.ledger.grants()
    ]


def _status(workspace: Workspace, held: Grant) -> str:
    decision = workspace.ledger.may(held.account, held.subject, held.action, purpose=held.purpose)
    return "valid" if decision.allowed else decision.reason
