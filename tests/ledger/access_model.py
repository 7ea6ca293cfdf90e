"""The access rules said a second time: every question is answered by reading the history again.

Written from docs/spec/ledger-event.md alone. It shares only the form of an event with the package.
"""

from collections.abc import Callable

from medseal.ledger.events import Event

__all__ = ["ALLOWING", "DAY_MS", "HOUR_MS", "Model"]

HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
ALLOWING = ("owner", "granted", "break-glass")


class Model:
    """A history, and what follows from it."""

    def __init__(self) -> None:
        self.history: list[Event] = []

    def last(self, wanted: Callable[[Event], bool]) -> Event | None:
        """Return the newest event that is wanted."""
        return next((event for event in reversed(self.history) if wanted(event)), None)

    # --- What stands --------------------------------------------------------------------------

    def owner(self) -> str:
        """Return who owns the log."""
        found = self.last(
            lambda e: e.kind == "genesis" or (e.kind == "role" and e.details["change"] == "accept")
        )
        return found.actor if found else "nobody"

    def holds(self, account: str, *roles: str) -> bool:
        """Say whether an account holds one of these roles."""
        for role in roles:
            found = self.last(
                lambda e, role=role: (  # type: ignore[misc]
                    e.kind == "role"
                    and (e.details["account"], e.details["role"]) == (account, role)
                )
            )
            if found is not None and found.details["change"] == "add":
                return True
        return False

    def offer(self) -> Event | None:
        """Return the offer of the ownership that stands."""
        found = self.last(
            lambda e: e.kind == "role" and e.details["change"] in ("offer", "cancel", "accept")
        )
        return found if found and found.details["change"] == "offer" else None

    def is_erased(self, image: str) -> bool:
        """Say whether an image was erased."""
        return any(e.kind == "erase" and e.subject == image for e in self.history)

    def is_paused(self) -> bool:
        """Say whether the ledger is paused."""
        found = self.last(lambda e: e.kind == "pause")
        return found is not None and found.details["change"] == "pause"

    def is_withdrawn(self, image: str) -> bool:
        """Say whether the last consent is a withdrawal."""
        found = self.last(lambda e: e.kind == "consent" and e.subject == image)
        return found is not None and found.details["change"] == "withdraw"

    def is_clinician(self, account: str) -> bool:
        """Say whether an account may break the glass."""
        return self.holds(account, "radiologist", "emergency")

    def window_is_open(self, account: str, image: str, at_ms: int) -> bool:
        """Say whether a break-glass of less than an hour ago still stands."""
        opened = False
        for event in self.history:
            if event.subject != image:
                continue
            if event.kind == "break-glass" and event.actor == account:
                opened = opened or at_ms < event.at_ms + HOUR_MS
            elif event.kind == "revoke" and event.details["account"] == account:
                opened = opened and event.details["action"] != "all"
        return opened

    # --- Recording ----------------------------------------------------------------------------

    def refusal(self, event: Event) -> str:
        """Return why an event may not be recorded; empty when it may."""
        if event.kind == "role" and event.details["change"] == "accept":
            return self._accept_refusal(event)
        kind, is_owner = str(event.kind), event.actor == self.owner()
        change = event.details.get("change")
        lacking = [
            (("genesis",), "not-owner", bool(self.history)),
            (("role", "erase", "pause"), "not-owner", not is_owner),
            (
                ("grant", "revoke"),
                "not-registrar",
                not is_owner and not self.holds(event.actor, "registrar"),
            ),
            (("pause",), "paused", change == "pause" and self.is_paused()),
            (("pause",), "not-paused", change == "resume" and not self.is_paused()),
            (("break-glass",), "paused", self.is_paused()),
            (("break-glass",), "not-clinical", not self.is_clinician(event.actor)),
            (
                ("consent",),
                "not-consent-service",
                not self.holds(event.actor, "consent-service"),
            ),
            (("break-glass", "consent", "erase"), "erased", self.is_erased(event.subject)),
        ]
        return next((reason for kinds, reason, lacks in lacking if kind in kinds and lacks), "")

    def _accept_refusal(self, event: Event) -> str:
        offer = self.offer()
        if offer is None or not offer.details["account"] == event.actor == event.details["account"]:
            return "not-offered"
        return "too-early" if event.at_ms < offer.at_ms + DAY_MS else ""

    # --- Use ----------------------------------------------------------------------------------

    def decide(self, account: str, image: str, action: str, purpose: str, at_ms: int) -> str:
        """Return the reason for which a use is allowed (`ALLOWING`) or refused."""
        if self.is_erased(image):
            return "erased"
        if account == self.owner():
            return "owner"
        if self.is_paused():
            return "paused"
        refusal = self._grant_refusal(account, image, action, purpose, at_ms)
        if not refusal:
            return "granted"
        emergency = action != "share" and self.is_clinician(account)
        if emergency and self.window_is_open(account, image, at_ms):
            return "break-glass"
        return refusal

    def _grant_refusal(
        self, account: str, image: str, action: str, purpose: str, at_ms: int
    ) -> str:
        grant = self.last(
            lambda e: (
                e.kind in ("grant", "revoke")
                and (e.subject, e.details["account"]) == (image, account)
                and e.details["action"] in (action, "all")
            )
        )
        if grant is None:
            return "no-grant"
        if grant.kind == "revoke":
            return "revoked"
        end, bound = grant.details.get("expires_ms"), grant.details.get("purpose")
        is_researcher = self.holds(account, "researcher")
        lacking = {
            "expired": end is not None and at_ms >= int(end),
            "purpose": bound not in (None, purpose) or (is_researcher and bound is None),
            "unbounded": is_researcher and (end is None or int(end) > at_ms + 366 * DAY_MS),
            "withdrawn": is_researcher and self.is_withdrawn(image),
        }
        return next((reason for reason, lacks in lacking.items() if lacks), "")
