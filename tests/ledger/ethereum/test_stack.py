"""The recursion limit of the process, and JSON that nests too deep."""

import json
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.ledger.ethereum.stack import MAX_NESTING, is_shallow, recursion_limit_kept

values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\ab'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='[]{}"\\ab'), inner),
    max_leaves=200,
)


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def test_the_limit_is_what_it_was() -> None:
    before = sys.getrecursionlimit()
    with recursion_limit_kept():
        sys.setrecursionlimit(before + 5)
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("module", ["rpc", "signer"])
def test_loading_the_libraries_leaves_the_limit_alone(module: str) -> None:
    code = (
        "import sys; before = sys.getrecursionlimit();"
        f"import medseal.ledger.ethereum.{module};"
        "assert 'py_ecc' in sys.modules, 'the reason is gone';"
        "assert sys.getrecursionlimit() == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - fixed arguments


@given(values, st.integers(0, 2 * MAX_NESTING))
def test_depth_is_told_as_the_parser_sees_it(value: object, more: int) -> None:
    for _ in range(more):
        value = [value]
    assert is_shallow(json.dumps(value).encode()) == (depth(value) <= MAX_NESTING)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'["]",' * 100_000,
        b'["\\"]",' * 100_000,
        b'["\\\\",' * 100_000,
    ],
)
def test_what_nests_too_deep_is_found(data: bytes) -> None:
    assert not is_shallow(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"[]" * 1_000_000, True), (b'"\\"' * 1_000_000, True), (b'"[{' * 1_000_000, False)],
)
def test_it_takes_linear_time(data: bytes, expected: bool) -> None:
    began = time.monotonic()
    assert is_shallow(data) is expected
    assert time.monotonic() - began < 2
