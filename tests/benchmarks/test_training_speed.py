import torch

from benchmarks.training_speed import examples, plain_network
from medseal.classification.fit import channels_last
from medseal.classification.networks import NetworkConfig, build


def test_both_ways_train_the_same_network():
    ours, plain = build("five-layer-cnn", NetworkConfig(), seed=1).eval(), plain_network().eval()
    images = torch.rand(1, 1, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(ours(channels_last(images)), plain(images), atol=1e-5, rtol=0)
        assert ours.block1(channels_last(images)).is_contiguous(memory_format=torch.channels_last)
        assert plain.block1(images).is_contiguous()


def test_examples_hold_two_classes():
    data = examples(5)
    assert data.images.shape == (5, 224, 224)
    assert data.labels.tolist() == [0, 1, 0, 1, 0]
