from hypothesis import given
from hypothesis import strategies as st

from medseal.datasets.connected import connected


def test_chains_join_under_their_smallest_number():
    assert connected(6, [(4, 5), (1, 4), (3, 0)]) == [0, 1, 2, 0, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
def test_the_order_of_the_pairs_does_not_matter(pairs):
    found = connected(10, pairs)
    assert found == connected(10, [(b, a) for a, b in reversed(pairs)])
    assert all(found[a] == found[b] for a, b in pairs)
    assert all(found[root] == root <= index for index, root in enumerate(found))
