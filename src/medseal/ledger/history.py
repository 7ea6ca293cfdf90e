"""Who did what to an image, in which role and by which right, as the log itself tells it."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import Action, Role
from medseal.ledger.rights import ALL_ACTIONS, RoleChange
from medseal.ledger.rules import BREAK_GLASS_WINDOW_MS

__all__ = ["USES", "Record", "concerning", "history", "image_of", "other_account"]

# What an event of this kind has used, and was therefore allowed to.
USES = {
    EventKind.OPEN: Action.VIEW,
    EventKind.CLASSIFY: Action.CLASSIFY,
    EventKind.RELEASE: Action.SHARE,
}


# What a contract may refuse after it was recorded: an event of another kind changes no right.
_MIRRORED = frozenset(
    {
        EventKind.ROLE,
        EventKind.GRANT,
        EventKind.REVOKE,
        EventKind.BREAK_GLASS,
        EventKind.CONSENT,
        EventKind.PAUSE,
    }
)
# In the leaf of an event that `_Rights` follows.
_RIGHTS = rb'"kind":"(?:genesis|network|role|grant|revoke|break-glass)"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry, with what the entries before it tell about it.

    Attributes
    ----------
    index
        Place in the log.
    event
        What happened.
    roles
        Roles that the actor held then, as far as this log knows.
    outcome
        ``allowed`` or ``refused`` for a use, ``recorded`` for what was none; ``refused`` too for a
        change of rights that a contract did not accept.
    reason
        Why a use was allowed: ``owner``, ``granted``, ``break-glass``, or ``network`` where a
        contract allowed it by a right of which this log has no entry. Why one was refused: the
        word of the rules. Empty for what was no use.
    basis
        Index of the grant or break-glass that allowed it; None where there is none.
    purpose
        Word of the grant that allowed the use, or that the event names; empty for none.
    """

    index: int
    event: Event
    roles: tuple[Role, ...]
    outcome: str
    reason: str
    basis: int | None
    purpose: str


@dataclass(slots=True)
class _Rights:
    """What the entries so far gave; entries of a log were checked before they were appended."""

    owner: str = ""
    is_on_network: bool = False
    held: dict[str, set[Role]] = field(default_factory=dict)
    grants: dict[tuple[str, str, str], tuple[int, Event]] = field(default_factory=dict)
    windows: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def roles(self, account: str) -> tuple[Role, ...]:
        held = self.held.get(account, set())
        is_owner = bool(account) and account == self.owner
        return tuple(role for role in Role if role in held or (role is Role.OWNER and is_owner))

    def follow(self, index: int, event: Event) -> None:
        """Bring one entry in."""
        account = str(event.details.get("account", ""))
        match event.kind:
            case EventKind.GENESIS:
                self.owner = event.actor
            case EventKind.NETWORK:
                self.owner, self.is_on_network = account, True
            case EventKind.ROLE:
                self._follow_role(account, event)
            case EventKind.GRANT:
                self.grants[account, event.subject, str(event.details["action"])] = (index, event)
            case EventKind.REVOKE:
                self._follow_revocation(account, event)
            case EventKind.BREAK_GLASS:
                until_ms = event.at_ms + BREAK_GLASS_WINDOW_MS
                self.windows[event.actor, event.subject] = (index, until_ms)

    def _follow_role(self, account: str, event: Event) -> None:
        change, role = event.details["change"], Role(str(event.details["role"]))
        if change == RoleChange.ADD:
            self.held.setdefault(account, set()).add(role)
        elif change == RoleChange.REMOVE:
            self.held.setdefault(account, set()).discard(role)
        elif change == RoleChange.ACCEPT:
            self.owner = account

    def _follow_revocation(self, account: str, event: Event) -> None:
        action = str(event.details["action"])
        for each in Action:
            if action in (ALL_ACTIONS, each):
                self.grants.pop((account, event.subject, each), None)
        if action == ALL_ACTIONS:
            self.windows.pop((account, event.subject), None)

    def record(self, index: int, event: Event) -> Record:
        """Return the entry with what the entries before it tell."""
        outcome, reason, basis = "recorded", "", None
        purpose = str(event.details.get("purpose", ""))
        if event.kind is EventKind.REFUSE:
            outcome, reason = "refused", str(event.details.get("reason", ""))
        elif event.kind in USES:
            outcome = "allowed"
            reason, basis, purpose = self._right(event, USES[event.kind])
        return Record(
            index=index,
            event=event,
            roles=self.roles(event.actor),
            outcome=outcome,
            reason=reason,
            basis=basis,
            purpose=purpose,
        )

    def _right(self, event: Event, action: Action) -> tuple[str, int | None, str]:
        """Return why a use was allowed, by which entry, for which purpose."""
        if event.actor == self.owner:
            return "owner", None, ""
        subject = image_of(event)
        index, given = self.grants.get((event.actor, subject, action), (None, None))
        if given is not None:
            expires_ms = given.details.get("expires_ms")
            if expires_ms is None or event.at_ms < int(expires_ms):
                return "granted", index, str(given.details.get("purpose", ""))
        opened, until_ms = self.windows.get((event.actor, subject), (None, 0))
        if event.at_ms < until_ms and action is not Action.SHARE:
            return "break-glass", opened, ""
        return ("network" if self.is_on_network else ""), None, ""


def image_of(event: Event) -> str:
    """Return the commitment of the image that an event is about; a release names it apart."""
    return str(event.details.get("image", event.subject))


def other_account(event: Event) -> str:
    """Return the account that an event is about besides its actor; empty for none."""
    return str(event.details.get("account", event.details.get("recipient", "")))


def concerning(words: Iterable[str]) -> Callable[[bytes], bool]:
    """Return which entries `history` has to see to tell what concerns some commitments or accounts.

    These, and those that change rights: most of a long log is neither, and is not parsed.
    """
    alternatives = [*(re.escape(word.encode()) for word in words), _RIGHTS]
    search = re.compile(b"|".join(alternatives)).search
    return lambda leaf: search(leaf) is not None


def history(
    entries: Iterable[tuple[int, Event]],
    *,
    subjects: frozenset[str] | None = None,
    accounts: frozenset[str] | None = None,
    refused: Mapping[int, str] = MappingProxyType({}),
) -> Iterator[Record]:
    """Yield the entries that concern some images or accounts, each with its context.

    Parameters
    ----------
    entries
        The log from its first entry on: who held which right is known from what came before. Those
        that `concerning` leaves out may be missing.
    subjects
        Commitments of images and releases.
    accounts
        Actors, and those to whom something was given. Without both, every entry is yielded.
    refused
        Reasons of a contract by index of the entries that it did not accept.
    """
    rights, everything = _Rights(), subjects is None and accounts is None
    for index, event in entries:
        is_refused = index in refused and event.kind in _MIRRORED
        named = {event.subject, image_of(event), str(event.details.get("release", ""))}
        if (
            everything
            or (subjects is not None and not subjects.isdisjoint(named))
            or (accounts is not None and {event.actor, other_account(event)} & accounts)
        ):
            record = rights.record(index, event)
            if is_refused:
                record = replace(record, outcome="refused", reason=refused[index])
            yield record
        if not is_refused:
            rights.follow(index, event)
