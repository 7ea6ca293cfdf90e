import dataclasses

import numpy as np
import pytest
import torch

from medseal import weights
from medseal.digest import Digest
from medseal.errors import DigestMismatchError, WeightsError
from medseal.protection.watermark import inference
from medseal.protection.watermark.frame import copy_maps, host_maps
from medseal.protection.watermark.networks import (
    EmbeddingNetwork,
    ExtractionNetwork,
    NetworkConfig,
)
from medseal.protection.watermark.pattern import pattern, repeated
from medseal.weights import Card
from medseal.weights.run_file import above
from tests.protection.pictures import KEY, texture

TINY = NetworkConfig(
    embedding_channels=4, embedding_blocks=1, extraction_channels=6, extraction_blocks=2
)


def pair_of(config):
    torch.manual_seed(5)
    return EmbeddingNetwork(config), ExtractionNetwork(config)


def tensors_of(config):
    embedding, extraction = pair_of(config)
    both = above("embedding.", embedding) | above("extraction.", extraction)
    return {name: tensor.numpy() for name, tensor in both.items()}


def saved(folder, tensors, *, model_id="tiny"):
    card = Card(
        id=model_id,
        version="1",
        task=inference.TASK,
        modality="any",
        method="watermark-cnn",
        limits="None.",
        default=False,
        sha256=Digest.plain(b""),
    )
    weights.save(folder, card=card, tensors=tensors)
    return folder / model_id


def inputs(shape=(128, 96)):
    plane = (texture(*shape) * 255).astype(np.float32)
    coded = np.random.default_rng(1).integers(0, 2, 808).astype(np.uint8)
    return host_maps(plane, shape), repeated(pattern(KEY).tile(coded), shape), copy_maps(plane)


def of_pytorch(pair, host, tile, copy):
    embedding, extraction = pair
    with torch.no_grad():
        residual = embedding(torch.from_numpy(host)[None], torch.from_numpy(tile)[None, None])
        estimate = extraction(torch.from_numpy(copy)[None])
    return residual[0, 0].numpy(), estimate[0, 0].numpy()


def check_close(given, wanted):
    """Compare within the precision of bfloat16, in which some processors compute."""
    assert given.shape == wanted.shape
    assert np.std(given - wanted) < 0.04 * np.std(wanted)
    assert np.corrcoef(given.ravel(), wanted.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("shape", [(128, 96), (64, 66)])
def test_it_computes_what_pytorch_does(tmp_path, shape):
    networks = inference.load_folder(saved(tmp_path, tensors_of(TINY)))
    host, tile, copy = inputs(shape)
    residual, estimate = of_pytorch(pair_of(TINY), host, tile, copy)
    assert networks.model_id == "tiny"
    check_close(networks.residual(host, tile), residual)
    check_close(networks.estimate(copy), estimate)


def test_the_shipped_weights_compute_what_pytorch_does():
    model_id = weights.default_for(inference.TASK)
    card, tensors = weights.load(model_id)
    pair = pair_of(NetworkConfig(**card.network))
    for network, prefix in zip(pair, ("embedding.", "extraction."), strict=True):
        own = {
            name.removeprefix(prefix): torch.from_numpy(np.array(tensor, np.float32))
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        network.load_state_dict(own)
    networks = inference.load()
    host, tile, copy = inputs()
    residual, estimate = of_pytorch(pair, host, tile, copy)
    check_close(networks.residual(host, tile), residual)
    check_close(networks.estimate(copy), estimate)
    assert inference.load() is networks


def test_the_same_result_each_time_and_one_that_stays():
    networks = inference.load()
    _, _, copy = inputs()
    first = networks.estimate(copy)
    kept = first.copy()
    networks.estimate(copy * 0)
    assert np.array_equal(first, kept)
    assert np.array_equal(networks.estimate(copy), kept)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("embedding.trunk.first.weight"),
        lambda tensors: tensors.pop("extraction.scale"),
        lambda tensors: tensors.update(
            {"extraction.trunk.first.weight": np.zeros((6, 7, 3, 3), np.float32)}
        ),
    ],
    ids=["no first layer", "no scale", "another shape"],
)
def test_tensors_of_something_else_are_refused(tmp_path, change):
    tensors = tensors_of(TINY)
    change(tensors)
    with pytest.raises(WeightsError, match="not the tensors of a watermark"):
        inference.load_folder(saved(tmp_path, tensors))


def test_a_folder_that_is_missing_or_damaged(tmp_path):
    with pytest.raises(WeightsError, match=r"card\.toml"):
        inference.load_folder(tmp_path / "none")
    folder = saved(tmp_path, tensors_of(TINY))
    file = folder / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DigestMismatchError, match="weights of tiny are not those on its card"):
        inference.load_folder(folder)


def test_networks_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        inference.load().model_id = "other"
