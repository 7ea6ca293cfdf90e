import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal import errors
from medseal.errors import ConsistencyError, InclusionError, InputError
from medseal.ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    Tree,
    leaf_hash,
    node_hash,
    node_position,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "merkle"
LARGEST = 300
LEAVES = [leaf_hash(f"leaf {n}".encode()) for n in range(LARGEST)]


def split(size: int) -> int:
    """RFC 6962: the largest power of two smaller than the size."""
    power = 1
    while power * 2 < size:
        power *= 2
    return power


def naive_root(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def naive_path(index: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    if len(leaves) == 1:
        return ()
    k = split(len(leaves))
    if index < k:
        return (*naive_path(index, leaves[:k]), naive_root(leaves[k:]))
    return (*naive_path(index - k, leaves[k:]), naive_root(leaves[:k]))


def naive_consistency(old: int, leaves: Sequence[bytes], known: bool) -> tuple[bytes, ...]:
    if old == len(leaves):
        return () if known else (naive_root(leaves),)
    k = split(len(leaves))
    if old <= k:
        return (*naive_consistency(old, leaves[:k], known), naive_root(leaves[k:]))
    return (*naive_consistency(old - k, leaves[k:], False), naive_root(leaves[:k]))


def stored_nodes() -> dict[tuple[int, int], bytes]:
    frontier, nodes = Frontier(), {}
    for index, value in enumerate(LEAVES):
        nodes[0, index] = value
        nodes.update({(level, place): node for level, place, node in frontier.append(value)})
    return nodes


NODES = stored_nodes()
ROOTS = [naive_root(LEAVES[:size]) for size in range(LARGEST + 1)]


def tree(size: int) -> Tree:
    return Tree(size, lambda level, index: NODES[level, index])


def test_inclusion_of_every_leaf_in_every_size() -> None:
    for size in range(1, LARGEST + 1):
        present = tree(size)
        assert present.root() == ROOTS[size]
        for index in range(size):
            path = present.inclusion_path(index)
            verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 65, 100, 255, 256, 257, 300])
def test_inclusion_paths_are_those_of_the_reference(size: int) -> None:
    present = tree(size)
    for index in range(size):
        assert present.inclusion_path(index) == naive_path(index, LEAVES[:size])


def test_consistency_of_every_pair_of_sizes_up_to_70() -> None:
    for new in range(1, 71):
        present = tree(new)
        for old in range(new + 1):
            path = present.consistency_path(old)
            verify_consistency(old, new, path, ROOTS[old], ROOTS[new])
            if old > 0:
                assert path == naive_consistency(old, LEAVES[:new], True)


@given(st.integers(1, LARGEST), st.data())
def test_consistency_up_to_300(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(0, new))
    path = tree(new).consistency_path(old)
    verify_consistency(old, new, path, ROOTS[old], ROOTS[new])


def test_a_proof_reads_logarithmically_many_nodes() -> None:
    size, asked = 2**40 - 12_345, []

    def node(level: int, index: int) -> bytes:
        assert (index + 1) << level <= size
        asked.append((level, index))
        return hashlib.sha256(f"{level} {index}".encode()).digest()

    for index in (0, 1, size // 2, size - 1):
        asked.clear()
        present = Tree(size, node)
        assert len(present.inclusion_path(index)) <= 41
        assert len(asked) <= 2 * 40  # siblings, and the subtrees of the ragged right edge
    asked.clear()
    Tree(size, node).consistency_path(size // 3)
    assert len(asked) <= 120


def test_frontier_gives_root_nodes_and_order_of_storage() -> None:
    frontier, position = Frontier(), 0
    assert frontier.root() == EMPTY_ROOT
    for index, value in enumerate(LEAVES):
        for level, place, _ in frontier.append(value):
            assert node_position(level, place) == position
            position += 1
        size = index + 1
        assert frontier.root() == ROOTS[size]
        loaded = Frontier.load(size, lambda level, place: NODES[level, place])
        assert loaded.hashes == frontier.hashes


def test_a_frontier_without_its_hashes_is_refused() -> None:
    with pytest.raises(InputError, match="one hash for each set bit"):
        Frontier(3, [LEAVES[0]])


def test_a_node_cannot_pose_as_a_leaf() -> None:
    left, right = LEAVES[0], LEAVES[1]
    # Second preimage: a leaf made of two hashes, to shorten the tree by a level.
    assert leaf_hash(left + right) != node_hash(left, right)
    forged = leaf_hash(left + right)
    with pytest.raises(InclusionError, match="does not lead to the root"):
        verify_inclusion(forged, 0, 2, (node_hash(LEAVES[2], LEAVES[3]),), ROOTS[4])


@given(st.integers(1, LARGEST), st.data())
def test_a_changed_inclusion_proof_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = list(tree(size).inclusion_path(index))
    change = data.draw(st.sampled_from(["leaf", "index", "size", "bit", "drop", "add"]))
    leaf, at, of = LEAVES[index], index, size
    if change == "leaf":
        leaf = leaf_hash(b"another")
    elif change == "index":
        at = data.draw(st.integers(0, size + 2).filter(lambda n: n != index))
    elif change == "size":
        # Another size needs another root; a size that keeps the path is refused by the signature.
        of = data.draw(st.integers(0, 2 * LARGEST).filter(lambda n: n <= index))
    elif change == "bit" and path:
        place = data.draw(st.integers(0, len(path) - 1))
        path[place] = bytes([path[place][0] ^ 1]) + path[place][1:]
    elif change == "drop" and path:
        path.pop(data.draw(st.integers(0, len(path) - 1)))
    else:
        path.insert(data.draw(st.integers(0, len(path))), LEAVES[5])
    with pytest.raises(InclusionError, match="proof"):
        verify_inclusion(leaf, at, of, path, ROOTS[size])


@given(st.integers(2, LARGEST), st.data())
def test_a_changed_consistency_proof_is_refused(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    path = list(tree(new).consistency_path(old))
    change = data.draw(st.sampled_from(["old root", "new root", "bit", "drop", "add"]))
    old_root, new_root = ROOTS[old], ROOTS[new]
    if change == "old root":
        old_root = leaf_hash(b"another")
    elif change == "new root":
        new_root = leaf_hash(b"another")
    elif change == "bit":
        place = data.draw(st.integers(0, len(path) - 1))
        path[place] = bytes([path[place][0] ^ 1]) + path[place][1:]
    elif change == "drop":
        path.pop(data.draw(st.integers(0, len(path) - 1)))
    else:
        path.insert(data.draw(st.integers(0, len(path))), LEAVES[5])
    with pytest.raises(ConsistencyError, match=r"proof|does not continue"):
        verify_consistency(old, new, path, old_root, new_root)


@pytest.mark.parametrize(
    ("old", "new", "path", "old_root", "message"),
    [
        (5, 4, (), ROOTS[5], "smaller"),
        (-1, 4, (), EMPTY_ROOT, "smaller"),
        (2, 4, (b"short",), ROOTS[2], "malformed"),
        (2, 4, (LEAVES[0],) * 65, ROOTS[2], "malformed"),
        (4, 4, (), ROOTS[3], "differ"),
        (4, 4, (LEAVES[0],), ROOTS[4], "differ"),
        (0, 4, (), ROOTS[1], "differ"),
        (2, 4, (), ROOTS[2], "empty"),
    ],
)
def test_edges_of_consistency(
    old: int, new: int, path: tuple[bytes, ...], old_root: bytes, message: str
) -> None:
    with pytest.raises(ConsistencyError, match=message):
        verify_consistency(old, new, path, old_root, ROOTS[4])


def test_a_path_of_a_smaller_tree_proves_nothing_about_a_larger_one() -> None:
    # Both lead to the root that is given, which is that of two leaves and not of four.
    with pytest.raises(InclusionError, match="too short"):
        verify_inclusion(LEAVES[0], 0, 4, (LEAVES[1],), ROOTS[2])
    with pytest.raises(ConsistencyError, match="too short"):
        verify_consistency(1, 4, (LEAVES[1],), ROOTS[1], ROOTS[2])
    # And the other way round.
    with pytest.raises(InclusionError, match="too long"):
        verify_inclusion(LEAVES[0], 0, 2, tree(4).inclusion_path(0), ROOTS[4])
    with pytest.raises(ConsistencyError, match="too long"):
        verify_consistency(1, 2, tree(4).consistency_path(1), ROOTS[1], ROOTS[4])


def test_sizes_and_indices_beyond_the_tree_are_refused() -> None:
    with pytest.raises(InputError, match="no number 4"):
        tree(4).inclusion_path(4)
    with pytest.raises(InputError, match="no number -1"):
        tree(4).inclusion_path(-1)
    with pytest.raises(InputError, match="fewer than 5"):
        tree(4).consistency_path(5)


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_vector(path: Path) -> None:
    vector = json.loads(path.read_text())
    run = {"tree": run_tree, "inclusion": run_inclusion, "consistency": run_consistency}
    if vector["expect"] == "success":
        run[vector["proof"]](vector)
    else:
        with pytest.raises(getattr(errors, vector["expect"]), match=r"proof|tree"):
            run[vector["proof"]](vector)


def run_tree(vector: dict[str, list[str]]) -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in vector["leaves"]]
    frontier = Frontier()
    roots = [frontier.root().hex()]
    for leaf in leaves:
        frontier.append(leaf)
        roots.append(frontier.root().hex())
    assert roots == vector["roots"]


def run_inclusion(vector: dict[str, str]) -> None:
    verify_inclusion(
        bytes.fromhex(vector["leaf_hash"]),
        int(vector["index"]),
        int(vector["size"]),
        [bytes.fromhex(value) for value in vector["path"]],
        bytes.fromhex(vector["root"]),
    )


def run_consistency(vector: dict[str, str]) -> None:
    verify_consistency(
        int(vector["old_size"]),
        int(vector["new_size"]),
        [bytes.fromhex(value) for value in vector["path"]],
        bytes.fromhex(vector["old_root"]),
        bytes.fromhex(vector["new_root"]),
    )


def test_the_tree_vector_is_that_of_certificate_transparency() -> None:
    # Root of the eight leaves that implementations of RFC 6962 share as a known answer.
    known = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    assert json.loads((VECTORS / "tree.json").read_text())["roots"][8] == known


def test_there_are_vectors() -> None:
    assert len(list(VECTORS.glob("*.json"))) >= 8
