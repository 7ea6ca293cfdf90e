"""Connected components of numbered items."""

from collections.abc import Iterable

__all__ = ["connected"]


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each item the smallest number that it is connected with, by any way.

    Parameters
    ----------
    count
        Number of items.
    pairs
        Items that belong together, each from 0 to `count` - 1.

    References
    ----------
    Galler and Fischer 1964, doi:10.1145/364099.364331.
    """
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return [root(index) for index in range(count)]
