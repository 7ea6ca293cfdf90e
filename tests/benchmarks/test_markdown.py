"""Tables of the results page are well-formed."""

from benchmarks.markdown import head, row


def test_a_table_has_as_many_cells_in_each_line():
    lines = [*head(("a", "b", "c")), row((1, "two", 3.5))]
    assert lines == ["| a | b | c |", "|---|---|---|", "| 1 | two | 3.5 |"]
