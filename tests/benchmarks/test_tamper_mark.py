import cv2
import numpy as np

from benchmarks.tamper_mark import pairs_of
from tests.protection.pictures import texture


def test_each_copy_has_a_logit_without_and_with_a_mark(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.rint(255 * texture(200, 180)).astype(np.uint8))
    found = pairs_of(path, 0, copies=2)
    assert len(found) == 2
    assert np.isfinite(found).all()
    assert all(plain != marked for plain, marked in found)
