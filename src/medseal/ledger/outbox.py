"""The outbox: how far each anchor and each change of rights is on its way to a contract.

A cursor over the log, in a SQLite file of its own; docs/spec/outbox.md. The log is the truth: what
is missing here is found in it again. A signed transaction is stored before it is sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from medseal.ledger.item import (
    BlockId,
    Item,
    ItemKind,
    NewItem,
    Settled,
    SignedTransaction,
    Stage,
)
from medseal.ledger.outbox_states import OutboxStates

__all__ = ["Outbox"]

MAX_DETAIL_CHARS = 200
_FLOOR = "floor"
_SIGNED = "hash, account, nonce, raw, price, at_ms"


class Outbox(OutboxStates):
    """What waits for a contract, what was signed for it, and how far each entry of the log is.

    Opened as `OutboxFile` says. Every change is durable when its method returns.
    """

    # --- Filling ------------------------------------------------------------------------------

    def cursor(self) -> int:
        """Return the number of entries that were looked at."""
        return int(self.meta("cursor") or 0)

    def begin(self, cursor: int, facts: Mapping[str, str]) -> None:
        """Set the cursor of a new outbox, and what has to be known of it."""
        with self._writing():
            for name, value in facts.items():
                self._set_meta(name, value)
            self._set_meta("cursor", str(cursor))

    def extend(self, items: Sequence[NewItem], cursor: int) -> None:
        """Take in the items of the entries up to `cursor`; those that are known stay."""
        with self._writing():
            for item in items:
                self._insert(item)
            self._set_meta("cursor", str(cursor))

    def _insert(self, item: NewItem) -> None:
        self._connection.execute(
            "INSERT INTO item (kind, place, part, data, scope, stage, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, '') ON CONFLICT (kind, place, part) DO NOTHING",
            (item.kind, item.place, item.part, item.data, item.scope, Stage.QUEUED),
        )

    def close_batch(self, item: NewItem) -> None:
        """Take in an anchor; it replaces those that wait unsigned, as it covers what they cover."""
        with self._writing():
            self._connection.execute(
                "DELETE FROM item WHERE kind = ? AND stage = ? AND nonce IS NULL AND place < ?",
                (ItemKind.ANCHOR, Stage.QUEUED, item.place),
            )
            self._insert(item)

    # --- Sending ------------------------------------------------------------------------------

    def is_empty(self) -> bool:
        """Say whether nothing ever waited here."""
        return not self._rows("SELECT 1 FROM item LIMIT 1")

    def items(
        self, *stages: Stage, kind: ItemKind | None = None, after: int = 0, limit: int = -1
    ) -> list[Item]:
        """Return the items at these stages behind a position, in the order of sending."""
        marks = ", ".join(str(int(stage)) for stage in stages)
        only = "" if kind is None else f" AND kind = {int(kind)}"
        where = f"position > ? AND stage IN ({marks}){only} ORDER BY position LIMIT ?"
        return self._items(where, (after, limit))

    def reasons(self) -> dict[str, int]:
        """Return why queued items wait, as far as it is not plain: word and number of items."""
        query = (
            "SELECT detail, count(*) FROM item WHERE stage = ? AND detail != '' GROUP BY detail"
            " ORDER BY detail"
        )
        return {str(word): int(count) for word, count in self._rows(query, (Stage.QUEUED,))}

    def waits(self, scopes: Sequence[str], *stages: Stage) -> bool:
        """Say whether an item at these stages has a scope that begins so."""
        marks = ", ".join(str(int(stage)) for stage in stages)
        begins = " OR ".join("scope GLOB ?" for _ in scopes)
        query = f"SELECT 1 FROM item WHERE stage IN ({marks}) AND ({begins}) LIMIT 1"  # noqa: S608 - integers
        return bool(self._rows(query, [f"{scope}*" for scope in scopes]))

    def waiting(self, scopes: Sequence[str], *stages: Stage) -> list[Item]:
        """Return the items of these scopes and stages, in the order of sending."""
        stage_marks, scope_marks = (", ".join("?" * len(of)) for of in (stages, scopes))
        where = f"stage IN ({stage_marks}) AND scope IN ({scope_marks}) ORDER BY position"
        return self._items(where, (*stages, *scopes))

    def unanswered(self) -> list[Item]:
        """Return the items that were signed and stand in no block, in the order of sending."""
        where = "stage IN (?, ?) AND nonce IS NOT NULL ORDER BY position"
        return self._items(where, (Stage.QUEUED, Stage.SUBMITTED))

    def earlier(self, item: Item) -> list[Item]:
        """Return the changes of the same scope that come before this one and stand in no block."""
        if item.kind is ItemKind.ANCHOR:
            return []
        where = "position < ? AND scope = ? AND stage IN (?, ?) ORDER BY position"
        values = (item.position, item.scope, Stage.QUEUED, Stage.SUBMITTED)
        return self._items(where, values)

    def later(self, item: Item) -> list[Item]:
        """Return the items of the same scope that come after this one."""
        where = "position > ? AND scope = ? ORDER BY position"
        return self._items(where, (item.position, item.scope))

    def senders(self) -> list[str]:
        """Return the accounts under whose numbers something waits."""
        query = (
            "SELECT DISTINCT account FROM item WHERE stage IN (?, ?) AND account IS NOT NULL"
            " ORDER BY account"
        )
        return [str(row[0]) for row in self._rows(query, (Stage.QUEUED, Stage.SUBMITTED))]

    def numbered(self, account: str, first: int, *, limit: int) -> list[Item]:
        """Return what waits under the numbers of an account from `first` on, in their order."""
        where = "stage IN (?, ?) AND account = ? AND nonce >= ? ORDER BY nonce LIMIT ?"
        return self._items(where, (Stage.QUEUED, Stage.SUBMITTED, account, first, limit))

    def store_signed(self, signed: Sequence[tuple[Item, SignedTransaction]]) -> None:
        """Keep signed transactions with their items, before any of them is sent."""
        if not signed:
            return
        with self._writing():
            self._connection.executemany(
                "INSERT INTO signed VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
                [
                    # SQLite's integers end at 63 bits; 9 ether for a unit of gas is beyond reason.
                    (
                        one.hash,
                        item.position,
                        one.account,
                        one.nonce,
                        one.raw,
                        min(one.price, 2**63 - 1),
                        one.at_ms,
                    )
                    for item, one in signed
                ],
            )
            self._connection.executemany(
                "UPDATE item SET account = ?, nonce = ? WHERE position = ?",
                [(one.account, one.nonce, item.position) for item, one in signed],
            )

    def note_sent(self, items: Sequence[Item]) -> None:
        """Write down that a node has taken the transactions of these items."""
        changed = [item for item in items if (item.stage, item.detail) != (Stage.SUBMITTED, "")]
        if changed:
            with self._writing():
                self._connection.executemany(
                    "UPDATE item SET stage = ?, detail = '' WHERE position = ?",
                    [(Stage.SUBMITTED, item.position) for item in changed],
                )

    def signed(self, item: Item) -> list[SignedTransaction]:
        """Return what was signed for an item, newest first."""
        query = f"SELECT {_SIGNED} FROM signed WHERE position = ? ORDER BY rowid DESC"  # noqa: S608 - columns
        return [_transaction(row) for row in self._rows(query, (item.position,))]

    def current(self, item: Item) -> SignedTransaction:
        """Return what was signed last for an item under the number that it has."""
        query = (
            f"SELECT {_SIGNED} FROM signed WHERE position = ? AND account = ? AND nonce = ?"  # noqa: S608 - columns
            " ORDER BY rowid DESC LIMIT 1"
        )
        return _transaction(self._rows(query, (item.position, item.account, item.nonce))[0])

    def standing_nonce(self, account: str) -> int:
        """Return the highest number of an account that an item stands in a block with; or -1."""
        query = (
            "SELECT nonce FROM item WHERE account = ? AND nonce IS NOT NULL"
            " AND block_number IS NOT NULL ORDER BY nonce DESC LIMIT 1"
        )
        rows = self._rows(query, (account,))
        return int(rows[0][0]) if rows else -1

    def nonces(self, account: str, first: int) -> dict[int, int]:
        """Return the nonces from `first` on that items of an account hold, by their positions."""
        query = (
            "SELECT position, nonce FROM item WHERE account = ? AND nonce >= ?"
            " AND (stage IN (?, ?) OR block_number IS NOT NULL)"
        )
        rows = self._rows(query, (account, first, Stage.QUEUED, Stage.SUBMITTED))
        return {int(position): int(nonce) for position, nonce in rows}

    def note(self, item: Item, stage: Stage, detail: str = "") -> None:
        """Write down how far an item is that stands in no block."""
        if (item.stage, item.detail, item.hash) == (stage, detail, None):
            return
        with self._writing():
            self._connection.execute(
                "UPDATE item SET stage = ?, detail = ?, hash = NULL, block_number = NULL,"
                " block_hash = NULL WHERE position = ?",
                (stage, detail[:MAX_DETAIL_CHARS], item.position),
            )

    def hold(self, items: Sequence[Item], reason: str) -> None:
        """Write down why these queued items wait, with one fsync for all."""
        changed = [(reason, item.position) for item in items if item.detail != reason]
        if changed:
            with self._writing():
                query = "UPDATE item SET detail = ? WHERE position = ?"
                self._connection.executemany(query, changed)

    def release(self, item: Item) -> None:
        """Let go of the number of a queued item that is used up for good; nobody looks for it."""
        with self._writing():
            query = "UPDATE item SET account = NULL, nonce = NULL WHERE position = ? AND stage = ?"
            self._connection.execute(query, (item.position, Stage.QUEUED))

    def repeat(self, items: Sequence[Item]) -> None:
        """Queue items again that stand in blocks: something older has to be carried out first."""
        with self._writing():
            self._repeat(items)

    def _repeat(self, items: Sequence[Item]) -> None:
        positions = [(item.position,) for item in items]
        self._connection.executemany("DELETE FROM signed WHERE position = ?", positions)
        self._connection.executemany(
            f"UPDATE item SET stage = {int(Stage.QUEUED)}, detail = 'repeated', account = NULL,"  # noqa: S608 - integers
            " nonce = NULL, hash = NULL, block_number = NULL, block_hash = NULL"
            " WHERE position = ?",
            positions,
        )

    def settle(self, settled: Sequence[Settled], *, repeat: Sequence[Item] = ()) -> None:
        """Write down in which blocks items stand, and what has to follow them once more.

        An item has the number of the transaction that was carried out from then on; none where it
        was that of somebody else.
        """
        if not settled:
            return
        with self._writing():
            self._connection.executemany(
                "UPDATE item SET stage = ?, detail = ?, hash = ?, block_number = ?, block_hash = ?,"
                " (account, nonce) = (SELECT account, nonce FROM signed WHERE hash = ?)"
                " WHERE position = ?",
                [
                    (
                        one.stage,
                        one.detail[:MAX_DETAIL_CHARS],
                        one.hash,
                        one.block_number,
                        one.block_hash,
                        one.hash,
                        one.position,
                    )
                    for one in settled
                ],
            )
            self._repeat(repeat)

    # --- Blocks -------------------------------------------------------------------------------

    def floor(self) -> BlockId | None:
        """Return the block that what stands at or below it was compared with; None for none."""
        value = self.meta(_FLOOR)
        if value is None:
            return None
        number, _, name = value.partition("/")
        return BlockId(int(number), name)

    def set_floor(self, block: BlockId) -> None:
        """Keep a block as the floor."""
        with self._writing():
            self._set_meta(_FLOOR, f"{block.number}/{block.hash}")

    def drop_floor(self) -> None:
        """Have no floor any more: all that stands in blocks has to be compared again."""
        self.forget(_FLOOR)

    def blocks(self, after: BlockId, *, limit: int) -> list[BlockId]:
        """Return the blocks behind this one that items stand in, in their order."""
        query = (
            "SELECT DISTINCT block_number, block_hash FROM item"
            " WHERE (block_number, block_hash) > (?, ?) ORDER BY 1, 2 LIMIT ?"
        )
        rows = self._rows(query, (after.number, after.hash, limit))
        return [BlockId(int(number), str(value)) for number, value in rows]

    def newest_block(self) -> int:
        """Return the number of the highest block that items stand in; -1 for none."""
        number = self._value("SELECT max(block_number) FROM item")
        return -1 if number is None else int(number)

    def vanish(self, blocks: Sequence[BlockId]) -> None:
        """Take back what stood in blocks that the chain no longer has."""
        if not blocks:
            return
        with self._writing():
            self._connection.executemany(
                "UPDATE item SET stage = CASE WHEN stage = ? OR account IS NULL THEN ? ELSE ? END,"
                " detail = 'vanished', hash = NULL, block_number = NULL, block_hash = NULL"
                " WHERE block_number = ? AND block_hash = ?",
                [(Stage.FINAL, Stage.QUEUED, Stage.SUBMITTED, *block) for block in blocks],
            )

    def confirm(self, up_to: int) -> None:
        """Make final what stands in the blocks up to this number."""
        query = "SELECT 1 FROM item WHERE stage = ? AND block_number <= ? LIMIT 1"
        if self._rows(query, (Stage.MINED, up_to)):
            with self._writing():
                self._connection.execute(
                    "UPDATE item SET stage = ?, detail = '' WHERE stage = ? AND block_number <= ?",
                    (Stage.FINAL, Stage.MINED, up_to),
                )


def _transaction(row: tuple[Any, ...]) -> SignedTransaction:
    return SignedTransaction(
        hash=str(row[0]),
        account=str(row[1]),
        nonce=int(row[2]),
        raw=bytes(row[3]),
        price=int(row[4]),
        at_ms=int(row[5]),
    )
