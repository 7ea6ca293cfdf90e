"""Work in processes of one thread each, in order; a crash costs the item that caused it only."""

import ctypes
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

__all__ = ["Crashed", "in_order"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_PR_SET_PDEATHSIG = 1


class Crashed:
    """In place of a result: the process died on this item."""


def _start(parent: int) -> None:
    """Tie a worker to its parent: it leaves interrupts to it and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(ctypes.CDLL(None), "prctl"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _pool(workers: int) -> ProcessPoolExecutor:
    # A fork inherits keys and settings in memory: nothing secret passes through a pipe.
    return ProcessPoolExecutor(
        max_workers=workers,
        mp_context=multiprocessing.get_context("fork"),
        initializer=_start,
        initargs=(os.getpid(),),
    )


_function: Callable[..., object] | None = None


def _call(item: object) -> object:
    if _function is None:
        raise RuntimeError("a worker was started without its function")
    return _function(item)


def in_order(
    function: Callable[[_Item], _Result],
    items: Iterable[_Item],
    *,
    workers: int,
    window: int,
) -> Iterator[tuple[_Item, _Result | Crashed]]:
    """Yield each item with its result, in order, while `workers` processes work ahead.

    Parameters
    ----------
    function
        Runs in a worker. Its result is pickled; it should not raise.
    items
        Pickled, one at a time.
    workers
        Number of processes.
    window
        Items that are under way at a time; bounds what is lost by an interruption.
    """
    global _function  # noqa: PLW0603 (inherited by the fork; see `_pool`)
    source = iter(items)
    waiting: deque[tuple[_Item, Future[object]]] = deque()
    _function = function
    pool = _pool(workers)
    try:
        while True:
            for item in islice(source, window - len(waiting)):
                waiting.append((item, pool.submit(_call, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                # Nobody knows which item it was: those under way are done again, each alone.
                pool.shutdown(wait=False, cancel_futures=True)
                again = [item, *(other for other, _ in waiting)]
                waiting.clear()
                for one in again:
                    yield one, _alone(one)  # type: ignore[misc]
                pool = _pool(workers)
                continue
            yield item, result  # type: ignore[misc]
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _alone(item: object) -> object:
    with _pool(1) as pool:
        try:
            return pool.submit(_call, item).result()
        except BrokenProcessPool:
            return Crashed()
