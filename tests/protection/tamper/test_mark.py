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
