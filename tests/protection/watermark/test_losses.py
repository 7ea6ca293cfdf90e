import numpy as np
import pytest
import torch

from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.watermark.differentiable import plane_of, tensor_of
from medseal.protection.watermark.losses import bit_loss, heard_bits, within_limits
from medseal.protection.watermark.pattern import fold, pattern, repeated
from medseal.protection.watermark.payload import CODED_BITS
from tests.protection.pictures import KEY, texture

CODED = np.random.default_rng(1).integers(0, 2, CODED_BITS).astype(np.uint8)


@pytest.mark.parametrize("shape", [(64, 64), (100, 130), (40, 200)])
def test_bits_are_heard_as_the_reader_hears_them(shape):
    estimate = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    keyed = pattern(KEY)
    heard = heard_bits(tensor_of(estimate), keyed)
    assert heard.shape == (CODED_BITS,)
    assert np.allclose(heard.numpy(), keyed.sums(fold(estimate)), atol=1e-5)


def test_the_loss_falls_where_the_bits_are_heard():
    keyed = pattern(KEY)
    plane = repeated(keyed.tile(CODED), (64, 128))
    estimate = tensor_of(plane * 0.1).requires_grad_()
    loss, right = bit_loss(estimate, keyed, CODED)
    assert right == 1
    loss.backward()
    # More of the pattern lowers the loss.
    assert float((estimate.grad * tensor_of(plane)).sum()) < 0
    none, share = bit_loss(tensor_of(plane * 0), keyed, CODED)
    assert float(none) == pytest.approx(np.log(2))
    assert share == 0
    wrong, share = bit_loss(tensor_of(plane), keyed, 1 - CODED)
    assert share == 0
    assert float(wrong) > float(none) > float(loss.detach())


def host(rows=160, columns=140):
    return (texture(rows, columns) * 255).astype(np.float32)


@pytest.mark.parametrize("size", [1e-4, 1.0, 300.0])
@pytest.mark.parametrize(("psnr_db", "least"), [(45.0, 0.98), (60.0, 0.98), (40.0, 0.997)])
def test_both_limits_are_kept_and_one_is_met(size, psnr_db, least):
    cover = host()
    rng = np.random.default_rng(3)
    residual = rng.normal(0, size, cover.shape).astype(np.float32) * (cover > 0)
    added = within_limits(tensor_of(cover), tensor_of(residual), psnr_db=psnr_db, ssim=least)
    marked = cover + plane_of(added)
    decibels = psnr(cover, marked, data_range=255)
    alike = ssim(cover, marked, data_range=255)
    if size < 1e-3:
        # Fifty times as loud at most: a residual of nothing stays nothing.
        assert decibels > psnr_db + 6
        return
    assert decibels >= psnr_db - 0.01
    # The window of training is a square one, on every third place.
    assert 1 - alike <= (1 - least) * 1.35
    assert decibels < psnr_db + 0.01 or 1 - alike > (1 - least) * 0.7


def test_the_gradient_knows_the_factor():
    cover = tensor_of(host(64, 64))
    rng = np.random.default_rng(4)
    residual = tensor_of(rng.normal(0, 1, (64, 64))).requires_grad_()
    added = within_limits(cover, residual, psnr_db=45, ssim=0.5)
    # A louder residual of the same shape changes nothing, so that way the gradient is 0.
    (added * tensor_of(rng.normal(size=(64, 64)))).sum().backward()
    along = float((residual.grad * residual.detach()).sum())
    other = float((residual.grad * tensor_of(rng.normal(size=(64, 64)))).sum())
    assert abs(along) < 1e-3 * residual.grad.norm() * residual.detach().norm()
    assert other != 0
    assert torch.isfinite(residual.grad).all()


def test_nothing_stays_nothing():
    cover = tensor_of(host(64, 64))
    nothing = torch.zeros(1, 1, 64, 64, requires_grad=True)
    added = within_limits(cover, nothing, psnr_db=45, ssim=0.99)
    assert not added.any()
    added.sum().backward()
    assert torch.isfinite(nothing.grad).all()
