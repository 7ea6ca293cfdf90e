import numpy as np
import pytest

from medseal.errors import ImageMismatchError
from medseal.protection.tamper.mark import MarkEvidence

PLACEMENT = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def test_the_heard_share_is_that_of_cells_that_bear_the_mark():
    cells = np.array([[2.0, 1.0], [-3.0, 0.5]])
    assert MarkEvidence(cells=cells, placement=PLACEMENT).heard_share == 0.75
    assert MarkEvidence(cells=np.zeros((0, 3)), placement=PLACEMENT).heard_share == 0.0


@pytest.mark.parametrize(
    ("cells", "placement", "message"),
    [
        (np.zeros(4), PLACEMENT, "two axes"),
        (np.zeros((2, 2)), PLACEMENT[:1], "two axes"),
        (np.full((2, 2), np.nan), PLACEMENT, "finite numbers"),
        (np.zeros((2, 2)), PLACEMENT + np.inf, "finite numbers"),
    ],
)
def test_impossible_evidence_is_refused(cells, placement, message):
    with pytest.raises(ImageMismatchError, match=message):
        MarkEvidence(cells=cells, placement=placement)


def evidence(heard):
    return MarkEvidence(cells=heard, placement=PLACEMENT)


def suspected(rows, columns):
    """Return a map over 16 x 12 cells of 8 x 8 places, sure in some of them."""
    scores = np.full((16, 12), 0.01, np.float32)
    scores[rows, columns] = 0.9
    return np.kron(scores, np.ones((8, 8), np.float32))


def test_a_mark_that_is_missing_where_a_forgery_is_suspected_speaks_for_it():
    rng = np.random.default_rng(0)
    place = (slice(4, 8), slice(2, 6))
    heard = rng.normal(1, 1, (16, 12))
    missing = heard.copy()
    missing[place] -= 1
    here = suspected(*place)
    assert evidence(heard).absence(here) < -2
    assert evidence(missing).absence(here) > 2
    # Elsewhere it is heard.
    assert evidence(missing).absence(suspected(slice(10, 14), slice(6, 10))) < -2


def test_the_placement_leads_from_the_cells_to_the_copy():
    rng = np.random.default_rng(0)
    place = (slice(4, 8), slice(2, 6))
    heard = rng.normal(1, 1, (16, 12))
    heard[place] -= 1
    turned = np.rot90(suspected(*place))
    # Column and row of the copy that was turned by a quarter: row, and columns from the right.
    placement = np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, 95.0]])
    assert MarkEvidence(cells=heard, placement=placement).absence(turned) > 2


@pytest.mark.parametrize(
    "heard",
    [
        np.zeros((16, 12)),
        -np.abs(np.random.default_rng(1).normal(1, 1, (16, 12))),
        np.random.default_rng(2).normal(1, 1, (2, 3)),
    ],
    ids=["silent", "never heard", "few cells"],
)
def test_a_mark_that_says_nothing_adds_nothing(heard):
    assert evidence(heard).absence(suspected(slice(0, 1), slice(0, 1))) == 0.0
