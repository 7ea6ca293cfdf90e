"""Another sequence changes the order of the tissues, not the air and not the outline."""

import numpy as np
import torch

from medseal.classification.augment.sequence import sequence

HEAD = torch.zeros(64, 1, 48, 48)
HEAD[:, :, 8:40, 8:40] = 0.3
HEAD[:, :, 16:24, 16:32] = 0.6
HEAD[:, :, 28:36, 16:32] = 0.9


def test_air_stays_dark_and_the_tissues_change_places() -> None:
    result = sequence(HEAD, probability=1.0, strength=1.0, generator=np.random.default_rng(1))
    assert result.min() >= 0
    assert result.max() <= 1
    assert result[:, :, :4].max() < 0.02
    falls = result[:, 0, 20, 20] > result[:, 0, 32, 20]
    assert 0.05 < falls.float().mean() < 0.6


def test_no_image_is_chosen_with_probability_zero() -> None:
    result = sequence(HEAD, probability=0.0, strength=1.0, generator=np.random.default_rng(1))
    assert torch.equal(result, HEAD)


def test_colour_is_remapped_alike_in_all_channels() -> None:
    colour = HEAD[:4].expand(-1, 3, -1, -1).contiguous()
    result = sequence(colour, probability=1.0, strength=1.0, generator=np.random.default_rng(2))
    assert torch.allclose(result[:, 0], result[:, 1])
    assert not torch.allclose(result, colour)
