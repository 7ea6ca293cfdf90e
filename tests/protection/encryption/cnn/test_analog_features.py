import dataclasses

import numpy as np
import pytest

from medseal.protection.encryption.cnn.analog_features import Damaged, estimate, features, gate
from medseal.protection.encryption.cnn.analog_plan import MAPS


def damaged(noise: float = 0.01, weight: float = 1.0, error: float = 0.01) -> Damaged:
    rng = np.random.default_rng(1)
    shape = (20, 16)
    return Damaged(
        picture=rng.random(shape).astype(np.float32),
        error=error,
        residual=rng.normal(0, 0.01, shape).astype(np.float32),
        weight=np.full(shape, weight, np.float32),
        noise=noise,
    )


def test_all_that_was_heard_is_taken_and_nothing_is_left_to_the_network() -> None:
    whole = damaged(noise=0.0)
    assert np.array_equal(estimate(whole), whole.picture + whole.residual)
    assert not gate(whole).any()


def test_nothing_that_was_lost_is_taken() -> None:
    lost = damaged(weight=0.0)
    assert np.array_equal(estimate(lost), lost.picture)
    assert np.all(gate(lost) == 1)


def test_half_of_it_is_taken_where_noise_is_as_loud() -> None:
    loud = dataclasses.replace(damaged(), noise=0.01 / np.sqrt(2))
    assert gate(loud).mean() == pytest.approx(0.5, abs=0.05)


def test_where_the_image_is_flat_what_is_heard_is_noise() -> None:
    rng = np.random.default_rng(2)
    detail = np.zeros((64, 64), np.float32)
    detail[:, 32:] = rng.normal(0, 0.03, (64, 32))
    residual = detail + rng.normal(0, 0.01, detail.shape).astype(np.float32)
    shown = dataclasses.replace(
        damaged(),
        picture=np.zeros_like(detail),
        residual=residual,
        weight=np.ones_like(detail),
    )
    assert gate(shown)[:, :28].mean() > 0.8
    assert gate(shown)[:, 36:].mean() < 0.2


def test_no_error_needs_no_residual() -> None:
    none = dataclasses.replace(damaged(error=0.0, noise=0.0), residual=np.zeros((20, 16), "f4"))
    assert np.array_equal(estimate(none), none.picture)
    assert np.isfinite(features(none)).all()


def test_features_are_bounded_maps() -> None:
    maps = features(damaged())
    assert maps.shape == (MAPS, 20, 16)
    assert maps.dtype == np.float32
    assert np.abs(maps).max() < 10
