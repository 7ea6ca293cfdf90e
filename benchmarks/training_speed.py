"""How fast the five-layer network trains at 224x224, beside plain float32 in the usual layout."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.report import arguments, write_result
from medseal.classification.augment import AugmentConfig, augment
from medseal.classification.examples import Examples
from medseal.classification.fit import FitConfig, learner_for, to_batch, train_epoch
from medseal.classification.networks import Network, NetworkConfig, build

# The retraining that is asked for: images, epochs.
IMAGES, EPOCHS = 3000, 50
QUICK_IMAGES = 192
_ROUNDS = 3
# Plain training is slower and its speed steady: a part of the images is enough.
_PLAIN_SHARE = 4
_SIDE, _BATCH = 224, 32
_AUGMENTATION = AugmentConfig()


def examples(count: int) -> Examples:
    """Return noise of two classes; the speed does not depend on what is seen."""
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (count, _SIDE, _SIDE), dtype=np.uint8)
    return Examples(images=images, labels=np.arange(count, dtype=np.int64) % 2)


def ours(data: Examples, *, threads: int) -> tuple[float, float]:
    """Return the wall and the CPU seconds of an epoch as `medseal train` trains it.

    The augmentation is part of it.
    """
    config = FitConfig(batch_size=_BATCH, threads=threads)
    learner = learner_for(build("five-layer-cnn", NetworkConfig(), seed=1), config)
    start, start_cpu = time.perf_counter(), time.process_time()
    train_epoch(learner, data, config=config, augmentation=_AUGMENTATION, epoch=1)
    return time.perf_counter() - start, time.process_time() - start_cpu


def plain_network() -> Network:
    """Return the same network as one would write it: usual layout, ReLU before the pooling."""
    network = build("five-layer-cnn", NetworkConfig(), seed=1)
    for name, block in list(network.named_children())[:4]:
        setattr(network, name, nn.Sequential(block[0], block[1], nn.ReLU(), nn.MaxPool2d(2)))  # type: ignore[index]  # the children are the blocks
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = layer.weight.data.contiguous()
    return network.train()


def plain(data: Examples) -> float:
    """Return the seconds of an epoch in float32 with the same augmentation, batch and Adam."""
    network = plain_network()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.001)
    generator = np.random.default_rng(1)
    start = time.perf_counter()
    for first in range(0, len(data.labels), _BATCH):
        images = to_batch(data.images[first : first + _BATCH])
        images = augment(images, config=_AUGMENTATION, generator=generator)
        labels = torch.tensor(data.labels[first : first + _BATCH])
        loss = functional.cross_entropy(network(images.contiguous()), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        optimiser.step()
    return time.perf_counter() - start


def measure(count: int, *, threads: int) -> dict[str, Any]:
    """Return the speeds of both, taken in turn.

    Parameters
    ----------
    count
        Images of an epoch of ours; plain training sees a quarter of them.
    threads
        Of torch, for both.
    """
    torch.set_num_threads(threads)
    whole, part = examples(count), examples(max(count // _PLAIN_SHARE, _BATCH))
    ours(examples(_BATCH), threads=threads)
    plain(examples(_BATCH))
    rates, cpu_rates, plain_rates = [], [], []
    for _ in range(_ROUNDS):
        wall, cpu = ours(whole, threads=threads)
        rates.append(count / wall)
        cpu_rates.append(count / cpu)
        plain_rates.append(len(part.labels) / plain(part))
    pairs = zip(rates, plain_rates, strict=True)
    rate = median(rates)
    return {
        "images_an_epoch": count,
        "plain_images": len(part.labels),
        "rounds": _ROUNDS,
        "threads": threads,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "images_per_second": rate,
        "images_per_second_each": rates,
        # Of all threads; with one thread it does not depend on what else the machine does.
        "images_per_cpu_second": median(cpu_rates),
        "plain_images_per_second": median(plain_rates),
        "times_plain": median(a / b for a, b in pairs),
        "minutes_for_3000_images_50_epochs": IMAGES * EPOCHS / rate / 60,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``training_speed.json``."""
    parser: argparse.ArgumentParser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, help=f"an epoch; {IMAGES} if not given")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    chosen = parser.parse_args(argv)
    count = chosen.images or (QUICK_IMAGES if chosen.quick else IMAGES)
    result = measure(count, threads=chosen.threads)
    write_result("training_speed", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
