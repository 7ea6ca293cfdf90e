"""Train one restoration network on coarse pictures under random channels; write its model folder.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from medseal import weights
from medseal.digest import Digest
from medseal.protection.encryption.cipher_image import NO_CLAIM
from medseal.protection.encryption.cnn.analog_config import AnalogConfig, FitConfig, read_config
from medseal.protection.encryption.cnn.analog_features import Damaged, estimate, features, gate
from medseal.protection.encryption.cnn.analog_networks import RestorationNetwork
from medseal.protection.encryption.cnn.analog_samples import (
    Sample,
    Samples,
    disturbed,
    draw,
    read_samples,
    whole,
)
from medseal.weights import Card
from medseal.weights.card import TomlValue
from medseal.weights.run_file import (
    above,
    below,
    damaged,
    optimiser_tensors,
    read_run,
    restore_optimiser,
    write_run,
)
from medseal.weights.schedule import warm_cosine

__all__ = ["LOG_NAME", "TrainedRestoration", "train_restoration"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
_WARM_UP_STEPS = 50
_LAST_RATE = 0.02
# A squared error is bounded by the inverse of it, in units of the coarse picture's own.
_LOUD = 0.02
_VALIDATION_IMAGES = 48
_SIDE_MULTIPLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRestoration:
    """What a run has written: its folder, the run's folder, and the last validation figures."""

    folder: Path
    run_folder: Path
    evaluation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the log.

    Mean loss since the last line, and decibels won over the linear estimate on validation images,
    with the whole coarse picture and with the base alone.
    """

    step: int
    loss: float
    gain_db: float
    base_gain_db: float
    seconds: float


def _tensors(damaged_: Damaged) -> tuple[Tensor, Tensor, Tensor]:
    """Return features, gate times error, and the linear estimate: (C, H, W) each."""
    scale = gate(damaged_) * np.float32(damaged_.error)
    linear = estimate(damaged_)
    return (
        torch.from_numpy(features(damaged_)),
        torch.from_numpy(scale)[None],
        torch.from_numpy(np.asarray(linear, np.float32))[None],
    )


def _loss(
    network: RestorationNetwork, cuts: list[tuple[Sample, Damaged]], *, bfloat16: bool
) -> Tensor:
    """Return the squared error in units of the coarse picture's own; loud places are bounded."""
    parts = [_tensors(damaged_) for _, damaged_ in cuts]
    maps, scale, linear = (torch.stack(part) for part in zip(*parts, strict=True))
    image = torch.stack([torch.from_numpy(sample.image)[None] for sample, _ in cuts])
    error = torch.tensor([damaged_.error for _, damaged_ in cuts]).view(-1, 1, 1, 1)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        answer = network(maps)
    off = (linear + scale * answer.float() - image) / error
    square = off * off
    return torch.mean(square / (1 + _LOUD * square))


def _rate(config: FitConfig, step: int) -> float:
    return warm_cosine(
        step, steps=config.steps, warm_up_steps=_WARM_UP_STEPS, last_share=_LAST_RATE
    )


def _gain_db(
    network: RestorationNetwork, samples: Samples, config: FitConfig, *, base_share: float
) -> float:
    """Return mean decibels won over the linear estimate; the same draws each time."""
    rng = np.random.default_rng(config.seed)
    gains = []
    for sample in samples.validation[:_VALIDATION_IMAGES]:
        even = whole(sample, side_multiple=_SIDE_MULTIPLE)
        damaged_ = disturbed(even, rng, base_share=base_share)
        maps, scale, linear = _tensors(damaged_)
        with torch.no_grad():
            restored = linear + scale * network(maps[None])[0]
        image = torch.from_numpy(even.image)[None]
        before, after = (float(((x - image) ** 2).mean()) for x in (linear, restored))
        gains.append(10 * np.log10(max(before, 1e-12) / max(after, 1e-12)))
    return float(np.mean(gains))


def _train_step(
    network: RestorationNetwork,
    optimiser: torch.optim.Optimizer,
    samples: Samples,
    config: FitConfig,
    step: int,
) -> float:
    """Take one step; its draws depend on seed and step alone, so that a run can go on."""
    rng = np.random.default_rng([config.seed, step])
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate(config, step)
    cuts = []
    for _ in range(config.batch_size):
        sample = draw(samples.training, rng, side=config.patch_side)
        cuts.append((sample, disturbed(sample, rng, base_share=config.base_share)))
    loss = _loss(network, cuts, bfloat16=config.bfloat16)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def _restored_run(
    network: RestorationNetwork, optimiser: torch.optim.Optimizer, folder: Path, run_digest: str
) -> list[_Row]:
    """Return the rows of the run in a folder, its state taken over; none where there is no run."""
    found = read_run(folder, run_digest=run_digest)
    if found is None:
        return []
    tensors, lines = found
    try:
        rows = [_Row(**line) for line in lines]
    except TypeError as error:
        raise damaged(folder) from error
    network.load_state_dict(below("network.", tensors))
    restore_optimiser(optimiser, below("optimiser.", tensors))
    return rows


def _fit(
    network: RestorationNetwork, samples: Samples, config: FitConfig, folder: Path, digest: str
) -> list[_Row]:
    """Train to the end, from the start or from where the run in the folder stopped."""
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    rows = _restored_run(network, optimiser, folder, digest)
    since: list[float] = []
    start = time.perf_counter()
    for step in range(rows[-1].step if rows else 0, config.steps):
        since.append(_train_step(network, optimiser, samples, config, step))
        if (step + 1) % config.validation_every and step + 1 < config.steps:
            continue
        row = _Row(
            step=step + 1,
            loss=float(np.mean(since)),
            gain_db=_gain_db(network, samples, config, base_share=0.0),
            base_gain_db=_gain_db(network, samples, config, base_share=1.0),
            seconds=time.perf_counter() - start,
        )
        rows.append(row)
        since, start = [], time.perf_counter()
        tensors = above("network.", network) | optimiser_tensors("optimiser.", optimiser)
        write_run(folder, tensors, run_digest=digest, rows=rows)
        log = "".join(json.dumps(asdict(line)) + "\n" for line in rows)
        (folder / LOG_NAME).write_text(log)
        _LOGGER.info(
            "step %d of %d: loss %.4f, won %.2f dB, of the base alone %.2f dB, %.0f s",
            *(row.step, config.steps, row.loss, row.gain_db, row.base_gain_db, row.seconds),
        )
    return rows


def _card(config: AnalogConfig, samples: Samples, rows: list[_Row]) -> Card:
    evaluation: dict[str, TomlValue] = {
        "part": "validation",
        "images": min(len(samples.validation), _VALIDATION_IMAGES),
        "gain_db": rows[-1].gain_db,
        "base_gain_db": rows[-1].base_gain_db,
    }
    return Card(
        **{name: getattr(config, name) for name in ("id", "version", "task", "modality")},
        method=config.method,
        limits=f"{config.limits} {NO_CLAIM}",
        default=config.default,
        sha256=Digest.plain(b""),  # replaced when the tensors are written
        network=asdict(config.network),
        training=asdict(config.train)
        | {"images": len(samples.training), "data_digest": samples.digest}
        | {"seconds": round(sum(row.seconds for row in rows))},
        metrics=evaluation,
    )


def train_restoration(config_path: Path, *, data_dir: Path, output_dir: Path) -> TrainedRestoration:
    """Train a network and write its folder; a run that was stopped goes on.

    Parameters
    ----------
    config_path
        TOML with the method ``cipher-analog``.
    data_dir
        As for `material.training_files`.
    output_dir
        Created if missing; takes the model folder ``<id>`` and ``<id>.run`` beside it.

    Raises
    ------
    ConfigurationError
        The configuration is wrong, or `output_dir` holds a run of another one.
    InputError
        There are no images to train on.
    WeightsError
        The file of the run is damaged.
    """
    config = read_config(config_path)
    fit = config.train
    run_folder = output_dir / f"{config.id}.run"
    run_folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(fit.threads)
    torch.manual_seed(fit.seed)
    samples = read_samples(data_dir, per_collection=fit.per_collection, seed=fit.seed)
    # How often the state is saved changes no result.
    settings = asdict(config.network) | asdict(fit) | {"validation_every": 0, "threads": 0}
    text = json.dumps([settings, samples.digest], sort_keys=True)
    network = RestorationNetwork(config.network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rows = _fit(network, samples, fit, run_folder, str(Digest.plain(text.encode())))
    card = _card(config, samples, rows)
    tensors = {name: tensor.numpy() for name, tensor in above("", network).items()}
    weights.save(output_dir, card=card, tensors=tensors)
    return TrainedRestoration(
        folder=output_dir / config.id, run_folder=run_folder, evaluation=card.metrics
    )
