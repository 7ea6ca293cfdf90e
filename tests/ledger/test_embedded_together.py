"""Threads and processes that use one log at once: turns, forks, interrupted leaders."""

import multiprocessing
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medseal.errors import (
    AccessRefusedError,
    LedgerBusyError,
    LedgerError,
)
from medseal.ledger import (
    Action,
    EmbeddedLedger,
    Event,
    EventKind,
    Grant,
    Receipt,
    Role,
    RoleChange,
    SigningKey,
    erase_event,
    grant_event,
    role_event,
    verify,
)
from medseal.ledger.batch import Request

OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32
Make = Callable[[int], Event]
ACCOUNT = f"{7:032x}"


def test_threads_share_transactions(
    ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    def append(number: int) -> tuple[int, Receipt]:
        return number, ledger.append(make_event(number))

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(append, range(320)))
    for number, receipt in results:
        assert verify(receipt, log_key.vkey) == make_event(number)
    assert sorted(receipt.index for _, receipt in results) == list(range(1, 321))
    heads = {receipt.size for _, receipt in results}
    assert len(heads) < 320, "no two threads ever shared a transaction"
    report = ledger.audit()
    assert report.size == 321
    assert report.checkpoints == len(heads) + 2


def test_a_refused_request_does_not_harm_those_it_waited_with(
    ledger: EmbeddedLedger, make_event: Make
) -> None:
    refused: list[AccessRefusedError] = []
    barrier = threading.Barrier(12)

    def work(number: int) -> None:
        barrier.wait()
        if number % 3:
            ledger.append_many([make_event(number), make_event(number + 100)])
            return
        try:
            ledger.append_many([make_event(number), erase_event(SUBJECT, actor=ACCOUNT)])
        except AccessRefusedError as error:
            refused.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error.reason for error in refused] == ["not-owner"] * 4
    # All or none: the good half of a refused request is not in the log either.
    recorded = {int(event.details["number"]) % 100 for _, event in ledger.events(1)}
    assert recorded == {number for number in range(12) if number % 3}
    assert ledger.audit().size == 17


def append_some(path: Path, first: int) -> None:
    key = SigningKey(name="medseal.example/test", seed=bytes(range(32)))
    with EmbeddedLedger(path, signing_key=key) as ledger:
        for number in range(first, first + 60):
            event = Event.new(EventKind.SEAL, details={"number": number})
            assert verify(ledger.append(event), key.vkey) == event


def test_processes_share_the_log(path: Path, ledger: EmbeddedLedger, make_event: Make) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=append_some, args=(path, 1000 * n)) for n in (1, 2)]
    for child in children:
        child.start()
    for number in range(60):
        ledger.append(make_event(number))
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert ledger.audit().size == 181


def test_a_fork_must_open_again(ledger: EmbeddedLedger, make_event: Make) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ledger.append(make_event(1))
        except LedgerError as error:
            code = 0 if "after a fork" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ledger.append(make_event(1)).index == 1


def test_a_busy_ledger_says_so_and_nothing_is_lost(
    path: Path, ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with EmbeddedLedger(path, signing_key=log_key, busy_timeout_seconds=0.05) as hasty:
        with pytest.raises(LedgerBusyError, match="another process holds the ledger"):
            hasty.append(make_event(1))
        # Reading and deciding go on meanwhile.
        assert hasty.size == 1
        assert hasty.may(OWNER, SUBJECT, Action.VIEW)
        other.execute("ROLLBACK")
        assert hasty.append(make_event(1)).index == 1
    other.close()
    assert ledger.append(make_event(1)).index == 1


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.001)


def test_an_interrupted_leader_leaves_the_others_their_turn(
    ledger: EmbeddedLedger, make_event: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = ledger._commit, []

    def interrupted(requests: list[Request]) -> None:
        monkeypatch.setattr(ledger, "_commit", real)
        taken.extend(requests)
        raise KeyboardInterrupt

    def append(number: int) -> int | None:
        try:
            return ledger.append(make_event(number)).index
        except KeyboardInterrupt:
            return None

    with ThreadPoolExecutor(4) as pool:
        with ledger._turn():
            waiting = [pool.submit(append, number) for number in range(4)]
            wait_until(lambda: len(ledger._pending) == 4)
            monkeypatch.setattr(ledger, "_commit", interrupted)
        results = [future.result() for future in waiting]
    assert len(taken) == 4, "the leader had taken the requests of the others"
    assert results.count(None) == 1
    assert sorted(index for index in results if index is not None) == [1, 2, 3]
    assert ledger.audit().size == 4


def test_requests_of_one_transaction_see_each_other(ledger: EmbeddedLedger) -> None:
    given = Grant(account=f"{8:032x}", subject=SUBJECT, action=Action.VIEW)
    first, second, third = (
        Request((event,))
        for event in (
            role_event(ACCOUNT, Role.REGISTRAR, RoleChange.ADD, actor=OWNER, at_ms=1),
            grant_event(given, actor=ACCOUNT, at_ms=2),
            grant_event(given, actor=f"{9:032x}", at_ms=3),
        )
    )
    ledger._commit((first, second, third))
    assert first.positions + second.positions == [1, 2]
    assert isinstance(third.error, AccessRefusedError)
    assert ledger.grants() == [given]
    assert ledger.audit().size == 3
