import numpy as np
import pytest

from medseal.protection.watermark.masking import box_mean, fold, masking, strips
from tests.protection.pictures import texture


@pytest.mark.parametrize("radius", [2, 4, 8])
@pytest.mark.parametrize("shape", [(40, 33), (5, 70), (1, 9)])
def test_the_box_mean_is_the_mean_over_the_window(radius, shape):
    plane = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    padded = np.pad(plane, radius, mode="edge").astype(np.float64)
    size = 2 * radius + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size))
    assert np.allclose(box_mean(plane, radius), windows.mean(axis=(2, 3)), atol=1e-5)


def test_nothing_is_allowed_in_flat_air_beside_an_edge():
    plane = (texture(200, 200) * 255).astype(np.float32)
    row, column = np.ogrid[-1:1:200j, -1:1:200j]
    air = np.hypot(row, column) > 0.96
    strength = masking(plane)
    assert not strength.shape[air].any()
    assert not strength.heard[air].any()
    assert strength.shape.any()


@pytest.mark.parametrize("level", [0.0, 17.3, 255.0])
def test_nothing_is_allowed_in_a_constant_plane(level):
    assert not masking(np.full((64, 64), level, np.float32)).shape.any()


def test_orientation_makes_no_difference():
    plane = (texture(96, 130) * 255).astype(np.float32)
    upright = masking(plane)
    for turn in (lambda p: p[::-1], lambda p: p[:, ::-1], lambda p: p.T):
        turned = masking(np.ascontiguousarray(turn(plane)))
        assert np.allclose(turned.heard, turn(upright.heard), atol=1e-4)
        assert np.allclose(turned.shape, turn(upright.shape), atol=1e-4)


def test_an_inverted_plane_is_masked_alike():
    plane = (texture(96, 130) * 255).astype(np.float32)
    assert np.allclose(masking(255 - plane).heard, -masking(plane).heard, atol=1e-3)


def test_strips_add_up_to_the_whole():
    plane = (texture(1100, 150) * 255).astype(np.float32)
    whole = fold(masking(plane).heard)
    parts = sum(fold(masking(plane[around]).heard[inner]) for around, inner, _ in strips(1100))
    assert np.allclose(parts, whole, atol=1e-3)
    covered = np.concatenate([np.arange(1100)[here] for _, _, here in strips(1100)])
    assert np.array_equal(covered, np.arange(1100))


def test_folding_adds_tiles():
    plane = np.zeros((300, 200), np.float32)
    plane[[3, 131, 259], [5, 133, 5]] = 1, 2, 4
    assert fold(plane)[3, 5] == 7
    assert fold(plane).sum() == 7
