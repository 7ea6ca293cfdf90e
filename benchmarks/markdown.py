"""Tables of the results page."""

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["MET", "head", "row"]

MET: Mapping[bool, str] = {True: "met", False: "not met"}


def row(cells: Sequence[object]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def head(cells: Sequence[str]) -> Iterator[str]:
    """Yield the line of the titles and the one below it."""
    yield row(cells)
    yield f"|{'---|' * len(cells)}"
