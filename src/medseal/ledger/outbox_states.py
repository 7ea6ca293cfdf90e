"""How far each entry of a log is on its way, as the outbox knows it."""

from medseal.ledger.item import EntryState, Item, ItemKind, Stage, State
from medseal.ledger.outbox_file import OutboxFile
from medseal.ledger.protocol import SyncState

__all__ = ["OutboxStates"]


class OutboxStates(OutboxFile):
    """The reading side of an outbox: states of entries, and the anchors that cover them."""

    def last_anchor(self) -> int:
        """Return the size of the newest checkpoint that has an anchor here, 0 for none."""
        query = "SELECT max(place) FROM item WHERE kind = ? AND stage BETWEEN ? AND ?"
        value = self._value(query, (ItemKind.ANCHOR, Stage.QUEUED, Stage.FINAL))
        return 0 if value is None else int(value)

    def _reach(self) -> list[tuple[Stage, int]]:
        """Return up to which size anchors are final, at least mined, at least submitted."""
        query = "SELECT max(place) FROM item WHERE kind = ? AND stage = ?"
        reach, best = [], 0
        for stage in (Stage.FINAL, Stage.MINED, Stage.SUBMITTED):
            value = self._value(query, (ItemKind.ANCHOR, stage))
            best = max(best, 0 if value is None else int(value))
            reach.append((stage, best))
        return reach

    def counts(self, size: int) -> SyncState:
        """Return how far the entries of a log of this size are; each counts once."""
        with self._reading():
            reach = self._reach()
            (_, final), (_, mined), (_, submitted) = reach
            rows = self._rows(
                "SELECT least, CASE WHEN place < ? THEN 4 WHEN place < ? THEN 3"
                " WHEN place < ? THEN 2 ELSE 1 END, count(*) FROM"
                " (SELECT place, min(stage) AS least FROM item WHERE kind = ?"
                # What is final by itself and by its anchor, and that is almost all, counts once.
                " AND (stage < ? OR stage = ? AND place >= ?) GROUP BY place) GROUP BY 1, 2",
                (final, mined, submitted, ItemKind.CALL, Stage.FINAL, Stage.FINAL, final),
            )
        found = {stage: 0 for stage in Stage}
        before = 0
        for stage, end in reach:
            found[stage] = min(end, size) - min(before, size)
            before = end
        found[Stage.QUEUED] = max(0, size - before)
        # A change of rights counts by its own transaction instead of its anchor.
        for own, anchor, count in rows:
            found[Stage(own)] += int(count)
            found[Stage(anchor)] -= int(count)
        return SyncState(
            queued=found[Stage.QUEUED],
            submitted=found[Stage.SUBMITTED],
            mined=found[Stage.MINED],
            final=found[Stage.FINAL],
            refused=found[Stage.REFUSED],
        )

    def newest_anchor(self) -> Item | None:
        """Return the anchor of the newest checkpoint of which one is final."""
        where = "kind = ? AND stage = ? ORDER BY place DESC LIMIT 1"
        found = self._items(where, (ItemKind.ANCHOR, Stage.FINAL))
        return found[0] if found else None

    def anchor_of(self, index: int) -> Item | None:
        """Return the best anchor that covers an entry: of the final ones the smallest."""
        where = "kind = ? AND stage = ? AND place > ? ORDER BY place LIMIT 1"
        for stage in (Stage.FINAL, Stage.MINED, Stage.SUBMITTED, Stage.QUEUED):
            if found := self._items(where, (ItemKind.ANCHOR, stage, index)):
                return found[0]
        return None

    def anchor_at(self, size: int) -> Item | None:
        """Return the anchor of the checkpoint of a size."""
        found = self._items("kind = ? AND place = ?", (ItemKind.ANCHOR, size))
        return found[0] if found else None

    def state_of(self, index: int) -> EntryState:
        """Return how far an entry is."""
        with self._reading():
            anchor = self.anchor_of(index)
            where = "kind = ? AND place = ? ORDER BY stage LIMIT 1"
            calls = self._items(where, (ItemKind.CALL, index))
        anchored = State.QUEUED if anchor is None else _state(anchor)
        own = calls[0] if calls else None
        shown = anchor if own is None or own.stage is Stage.SKIPPED else own
        if shown is None:
            detail = "" if own is None else own.detail
            return EntryState(index=index, state=State.QUEUED, anchored=anchored, detail=detail)
        return EntryState(
            index=index,
            state=_state(shown),
            anchored=anchored,
            detail=shown.detail if own is None else own.detail,
            transaction=shown.hash,
            block_number=shown.block_number,
            block_hash=shown.block_hash,
        )


def _state(item: Item) -> State:
    return State(item.stage.name.lower())
