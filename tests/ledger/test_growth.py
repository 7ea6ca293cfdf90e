from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.ledger.growth import Growth
from medseal.ledger.merkle import Frontier, Tree, leaf_hash, verify_inclusion

LEAVES = [leaf_hash(f"leaf {number}".encode()) for number in range(300)]


class Model:
    """The tree grown leaf by leaf, which is what RFC 6962 describes."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self.nodes: dict[tuple[int, int], bytes] = {}

    def append(self, size: int) -> list[bytes]:
        """Grow to a size; return the inner nodes in the order of their completion."""
        completed = []
        for index in range(self.frontier.size, size):
            self.nodes[0, index] = LEAVES[index]
            for level, place, value in self.frontier.append(LEAVES[index]):
                self.nodes[level, place] = value
                completed.append(value)
        return completed

    def paths(self, start: int) -> list[tuple[bytes, ...]]:
        """Return the inclusion path of each leaf from an index on."""
        size = self.frontier.size
        tree = Tree(size, lambda level, index: self.nodes[level, index])
        return [tree.inclusion_path(index) for index in range(start, size)]


def check_growth(start: int, end: int) -> None:
    model = Model()
    model.append(start)
    before = list(model.frontier.hashes)
    growth = Growth(Frontier(start, before), LEAVES[start:end])
    assert growth.completed() == model.append(end)
    assert growth.frontier.size == end
    assert growth.frontier.hashes == model.frontier.hashes
    assert growth.paths() == model.paths(start)
    assert growth.start == start


def test_every_growth_up_to_40_leaves_is_that_of_appending_one_by_one() -> None:
    for start in range(41):
        for end in range(start, 41):
            check_growth(start, end)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 300))
def test_growth_up_to_300_leaves_is_that_of_appending_one_by_one(first: int, second: int) -> None:
    check_growth(min(first, second), max(first, second))


def test_every_path_of_a_growth_proves_its_leaf() -> None:
    frontier = Frontier()
    for start, end in ((0, 1), (1, 100), (100, 100), (100, 256), (256, 300)):
        growth = Growth(frontier, LEAVES[start:end])
        frontier = growth.frontier
        for index, path in enumerate(growth.paths(), start):
            verify_inclusion(LEAVES[index], index, end, path, frontier.root())


def test_the_frontier_before_a_growth_stays_as_it_was() -> None:
    frontier = Growth(Frontier(), LEAVES[:7]).frontier
    hashes = list(frontier.hashes)
    Growth(frontier, LEAVES[7:20])
    assert (frontier.size, frontier.hashes) == (7, hashes)
