import numpy as np
import pytest
import torch

from medseal.protection.attacks.draws import Drawn, random_distortion
from medseal.protection.watermark.differentiable import (
    copy_maps_of,
    distorted,
    plane_of,
    resampled,
    tensor_of,
    whole_levels,
)
from medseal.protection.watermark.frame import copy_maps, resample
from tests.protection.pictures import texture


def levels(rows=48, columns=40, *, seed=0):
    return np.rint(20 + texture(rows, columns, seed=seed) * 200).astype(np.float32)


def leaf(plane):
    return tensor_of(plane).requires_grad_()


def test_arrays_come_back():
    plane = levels()
    tensor = tensor_of(plane)
    assert tensor.shape == (1, 1, 48, 40)
    assert np.array_equal(plane_of(tensor), plane)


def test_the_maps_are_those_of_the_frame():
    plane = levels()
    assert np.allclose(copy_maps_of(tensor_of(plane))[0].numpy(), copy_maps(plane), atol=1e-4)


def test_gradients_of_the_maps_are_right_away_from_the_edge():
    """Finite differences of a random projection, moved along a smooth random direction."""
    rng = np.random.default_rng(2)
    plane = levels(64, 64)
    weight = np.zeros((4, 64, 64))
    weight[:, 20:44, 20:44] = rng.normal(size=(4, 24, 24))
    tensor = leaf(plane)
    (copy_maps_of(tensor)[0] * torch.from_numpy(weight)).sum().backward()
    direction = np.zeros_like(plane)
    direction[16:48, 16:48] = rng.normal(size=(32, 32))
    step = np.float32(0.02)
    ahead, behind = (copy_maps(plane + sign * step * direction) for sign in (1, -1))
    slope = float((weight * (ahead.astype(np.float64) - behind)).sum()) / (2 * float(step))
    assert float((tensor.grad[0, 0].numpy() * direction).sum()) == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("shape", [(24, 20), (96, 80), (48, 40), (40, 40)])
def test_resampling_and_its_gradient(shape):
    plane = levels()
    tensor = leaf(plane)
    small = resampled(tensor, shape)
    assert np.array_equal(plane_of(small), resample(plane, shape))
    # The gradient of the sum is about that of a mean times the number of places.
    small.sum().backward()
    ratio = shape[0] * shape[1] / plane.size
    assert tensor.grad.mean().item() == pytest.approx(ratio, rel=0.01)
    # Smooth directions are resampled alike on both ways.
    row, column = np.indices(plane.shape)
    direction = np.sin(row / 9) * np.cos(column / 7)
    weight = resample(direction.astype(np.float32), shape)
    tensor.grad = None
    (resampled(tensor, shape) * tensor_of(weight)).sum().backward()
    moved = resample((plane + direction).astype(np.float32), shape) - resample(plane, shape)
    slope = float((weight * moved).sum())
    found = float((tensor.grad[0, 0].numpy() * direction).sum())
    assert found == pytest.approx(slope, rel=0.1)


def test_whole_levels_round_and_clip_and_pass_the_gradient():
    tensor = leaf(np.array([[-3.0, 0.4, 1.6, 255.4, 300]], np.float32))
    whole = whole_levels(tensor)
    assert whole[0, 0, 0].tolist() == [0, 0, 2, 255, 255]
    whole.sum().backward()
    assert tensor.grad[0, 0, 0].tolist() == [0, 1, 1, 0, 0]


def test_a_distorted_copy_is_that_of_the_distortion():
    plane = levels(96, 80)
    rng = np.random.default_rng(4)
    for _ in range(40):
        drawn = random_distortion(rng, strength=1.0)
        tensor = leaf(plane)
        copy = distorted(tensor, drawn)
        assert plane_of(copy).shape == plane.shape
        assert np.array_equal(plane_of(copy), np.rint(plane_of(copy)))
        if len(drawn.steps) == 1:
            assert np.array_equal(plane_of(copy), drawn.apply(plane))
        copy.sum().backward()
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.abs().sum() > 0


def of_kind(kind):
    """Return a drawn distortion of one kind alone."""
    rng = np.random.default_rng(5)
    while True:
        drawn = random_distortion(rng, strength=1.0)
        if [name for name, _ in drawn.steps] == [kind]:
            return drawn


def gradient_through(drawn: Drawn, plane, weight):
    tensor = leaf(plane)
    (distorted(tensor, drawn) * tensor_of(weight)).sum().backward()
    return tensor.grad[0, 0].numpy()


def test_the_adjoint_of_a_blur_by_finite_differences():
    rng = np.random.default_rng(6)
    plane, weight = levels(64, 64), np.zeros((64, 64), np.float32)
    direction = np.zeros((64, 64), np.float32)
    for each in (weight, direction):
        each[16:48, 16:48] = rng.normal(size=(32, 32))
    drawn = of_kind("blur")
    change = drawn.steps[0][1]
    # A step so large that levels need not be rounded: the blur is linear.
    slope = float((weight * (change(plane + direction) - change(plane))).sum())
    found = float((gradient_through(drawn, plane, weight) * direction).sum())
    assert found == pytest.approx(slope, rel=1e-3)


def test_compression_passes_the_coefficients_that_it_kept():
    rng = np.random.default_rng(7)
    plane = levels(64, 64)
    weight = rng.normal(size=(64, 64)).astype(np.float32)
    passed = gradient_through(of_kind("JPEG"), plane, weight)
    # Less than all, more than nothing, and of the same direction.
    assert 0.01 < (passed * passed).sum() / (weight * weight).sum() < 0.9
    assert (passed * weight).sum() > 0


def test_what_was_cut_away_passes_nothing():
    plane = levels(64, 64)
    drawn = of_kind("crop black")
    gone = (drawn.apply(plane) == 0) & (plane > 0)
    passed = gradient_through(drawn, plane, np.ones((64, 64), np.float32))
    assert gone.any()
    assert not passed[gone].any()
    assert passed[~gone].all()
