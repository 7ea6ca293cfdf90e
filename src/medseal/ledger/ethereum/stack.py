"""Care for the call stack: what libraries set for the whole process, and how deep JSON may nest."""

import itertools
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MAX_NESTING", "is_shallow", "recursion_limit_kept"]

# A receipt in a batch of blocks nests 6 deep.
MAX_NESTING = 64
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


@contextmanager
def recursion_limit_kept() -> Iterator[None]:
    """Import inside; the recursion limit of the process is what it was afterwards.

    py_ecc, which eth_account and web3 load, raises it to 100,000. Deeply nested JSON then overruns
    the stack of the parser, which ends the process, where an error was due.
    """
    limit = sys.getrecursionlimit()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def is_shallow(data: bytes) -> bool:
    """Say whether JSON nests at most `MAX_NESTING` deep, in time proportional to its length."""
    if data.count(b"[") + data.count(b"{") <= MAX_NESTING:
        return True
    # What stands between quotes is text, once escaped quotes are gone.
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    brackets = b"".join(pieces[::2]).translate(None, _NO_BRACKETS)
    steps = itertools.accumulate(map(_STEP.__getitem__, brackets))
    return max(steps, default=0) <= MAX_NESTING
