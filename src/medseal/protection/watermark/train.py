"""Train embedding and extraction together, through real distortions, and write one model folder."""

import json
import logging
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medseal import weights
from medseal.digest import Digest
from medseal.errors import WeightsError
from medseal.protection.attacks.draws import random_distortion
from medseal.protection.watermark.config import FitConfig, WatermarkConfig, read_config
from medseal.protection.watermark.differentiable import (
    copy_maps_of,
    distorted,
    plane_of,
    resampled,
    tensor_of,
    whole_levels,
)
from medseal.protection.watermark.frame import (
    FRAME_SIDE,
    host_maps,
    host_views,
    resample,
    working_shape,
)
from medseal.protection.watermark.losses import bit_loss, within_limits
from medseal.protection.watermark.networks import EmbeddingNetwork, ExtractionNetwork
from medseal.protection.watermark.pattern import Pattern, pattern, repeated
from medseal.protection.watermark.payload import (
    CODED_BITS,
    KEY_BYTES,
    PAYLOAD_BYTES,
    encode,
)
from medseal.protection.watermark.samples import Sample, Samples, draw, read_samples
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
from medseal.weights.store import Tensors

__all__ = ["LOG_NAME", "TrainedWatermark", "train_watermark"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
_WARM_UP_STEPS = 30
_LAST_RATE = 0.03
_EARLY_SHARE = 0.25
_STRENGTH_SHARE = 0.35
_VALIDATION_IMAGES = 24
# Of the copies that are moved, those that are turned by any angle.
_TURNED_SHARE = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedWatermark:
    """What a run has written: its folder, the run's folder, and the last validation figures."""

    folder: Path
    run_folder: Path
    evaluation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the log: means since the last line, and figures on the validation images."""

    step: int
    loss: float
    bits_right: float
    validation_loss: float
    validation_bits_right: float
    seconds: float


class _Pair(nn.Module):
    """Both networks."""

    def __init__(self, config: WatermarkConfig) -> None:
        super().__init__()
        self.embedding = EmbeddingNetwork(config.network)
        self.extraction = ExtractionNetwork(config.network)

    def marked(self, sample: Sample, tile: np.ndarray, limits: tuple[float, float]) -> Tensor:
        """Return a marked cover image in whole levels: (1, 1, rows, columns)."""
        cover = tensor_of(sample.plane)
        maps = torch.from_numpy(host_maps(sample.plane, sample.shape))[None]
        residual = self.embedding(maps, tensor_of(repeated(tile, sample.shape))).float()
        native = (sample.plane.shape[0], sample.plane.shape[1])
        residual = resampled(residual, native)
        scaled = within_limits(cover, residual, psnr_db=limits[0], ssim=limits[1])
        return whole_levels(cover + scaled)


def _half_precision(config: FitConfig) -> AbstractContextManager[Any]:
    return torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16)


def _limits(config: FitConfig, step: int) -> tuple[float, float]:
    """Return decibels and similarity of a step: louder at first, so that it learns at all."""
    early = max(0.0, 1 - step / (_EARLY_SHARE * config.steps)) * config.early_db
    return config.psnr_db - early, 1 - (1 - config.ssim) * 10 ** (early / 10)


def _rate(config: FitConfig, step: int) -> float:
    return warm_cosine(
        step, steps=config.steps, warm_up_steps=_WARM_UP_STEPS, last_share=_LAST_RATE
    )


def _moved(frame: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return the frame turned, magnified and shifted, and the way back."""
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < _TURNED_SHARE else rng.normal(0, 0.03)
    scale, aspect = rng.uniform(0.9, 2.0), frame.shape[-2] / frame.shape[-1]
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    shift = rng.uniform(-0.1, 0.1, 2)
    there = np.array(
        [[cosine, -sine * aspect, shift[0]], [sine / aspect, cosine, shift[1]], [0, 0, 1]]
    )
    back = np.linalg.inv(there)
    return _warped(frame, there, "bicubic"), torch.from_numpy(back)


def _warped(frame: Tensor, matrix: Any, mode: str) -> Tensor:
    theta = torch.as_tensor(matrix)[:2][None].float()
    grid = functional.affine_grid(theta, list(frame.shape), align_corners=False)
    return functional.grid_sample(frame, grid, mode=mode, align_corners=False)


def _codeword(
    pair: _Pair, sample: Sample, keyed: Pattern, config: FitConfig, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return random coded bits, or the codeword of a random payload that fits the host."""
    if not config.informed:
        return rng.integers(0, 2, CODED_BITS).astype(np.uint8)
    views = host_views(resample(sample.plane, sample.shape))
    with torch.no_grad(), _half_precision(config):
        estimates = [
            plane_of(pair.extraction(copy_maps_of(tensor_of(view))).float()) for view in views
        ]
    return encode(rng.bytes(PAYLOAD_BYTES), rng.bytes(KEY_BYTES), keyed.heard(estimates))


def _step_loss(
    pair: _Pair, sample: Sample, config: FitConfig, step: int, rng: np.random.Generator
) -> tuple[Tensor, float]:
    """Return the loss of one image: mark, distort, read."""
    keyed = pattern(rng.bytes(KEY_BYTES))
    coded = _codeword(pair, sample, keyed, config, rng)
    strength = min(1.0, config.first_strength + step / (_STRENGTH_SHARE * config.steps))
    with _half_precision(config):
        copy = pair.marked(sample, keyed.tile(coded), _limits(config, step))
    copy = distorted(copy, random_distortion(rng, strength=strength))
    frame, back = resampled(copy, sample.shape), None
    if rng.random() < config.moved_share:
        frame, back = _moved(frame, rng)
    maps = copy_maps_of(frame)
    with _half_precision(config):
        estimate = pair.extraction(maps)
    if back is not None:
        estimate = _warped(estimate, back, "bilinear")
    return bit_loss(estimate, keyed, coded)


def _validate(pair: _Pair, samples: Samples, config: FitConfig) -> tuple[float, float]:
    """Return loss and share of bits heard right on validation images, the same draws each time."""
    rng = np.random.default_rng(config.seed)
    figures = []
    with torch.no_grad():
        for grey in samples.validation[:_VALIDATION_IMAGES]:
            plane = grey.astype(np.float32)
            sample = Sample(plane=plane, shape=working_shape(*grey.shape, side=FRAME_SIDE))
            loss, right = _step_loss(pair, sample, config, config.steps, rng)
            figures.append((float(loss), right))
    loss, right = np.mean(figures, axis=0)
    return float(loss), float(right)


def _optimiser(pair: _Pair, config: FitConfig) -> torch.optim.AdamW:
    scale = pair.extraction.scale
    others = [weight for weight in pair.parameters() if weight is not scale]
    rate = config.learning_rate
    # The one factor of the log-likelihoods has a long way to go.
    groups = [{"params": others, "lr": rate}, {"params": [scale], "lr": 10 * rate}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=config.weight_decay)


def _train_step(
    pair: _Pair, optimiser: torch.optim.Optimizer, samples: Samples, config: FitConfig, step: int
) -> tuple[float, float]:
    """Take one step; its draws depend on seed and step alone, so that a run can go on."""
    rng = np.random.default_rng([config.seed, step])
    rate = _rate(config, step)
    for group, first in zip(optimiser.param_groups, (1, 10), strict=True):
        group["lr"] = config.learning_rate * first * rate
    total, right = 0.0, 0.0
    for _ in range(config.batch_size):
        sample = draw(samples, rng, large_share=config.large_share)
        loss, heard = _step_loss(pair, sample, config, step, rng)
        (loss / config.batch_size).backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach()) / config.batch_size
        right += heard / config.batch_size
    nn.utils.clip_grad_norm_(pair.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return total, right


def _fit(
    pair: _Pair, samples: Samples, config: FitConfig, folder: Path, *, run_digest: str
) -> list[_Row]:
    """Train to the end, from the start or from where the run in the folder stopped."""
    optimiser = _optimiser(pair, config)
    rows: list[_Row] = []
    found = read_run(folder, run_digest=run_digest)
    if found is not None:
        tensors, lines = found
        try:
            rows = [_Row(**line) for line in lines]
        except TypeError as error:
            raise damaged(folder) from error
        pair.load_state_dict(below("networks.", tensors))
        restore_optimiser(optimiser, below("optimiser.", tensors))
    since: list[tuple[float, float]] = []
    start = time.perf_counter()
    for step in range(rows[-1].step if rows else 0, config.steps):
        since.append(_train_step(pair, optimiser, samples, config, step))
        if (step + 1) % config.validation_every and step + 1 < config.steps:
            continue
        loss, right = (float(mean) for mean in np.mean(since, axis=0))
        checked, heard = _validate(pair, samples, config)
        row = _Row(
            step=step + 1,
            loss=loss,
            bits_right=right,
            validation_loss=checked,
            validation_bits_right=heard,
            seconds=time.perf_counter() - start,
        )
        rows.append(row)
        since, start = [], time.perf_counter()
        tensors = above("networks.", pair) | optimiser_tensors("optimiser.", optimiser)
        write_run(folder, tensors, run_digest=run_digest, rows=rows)
        log = "".join(json.dumps(asdict(line)) + "\n" for line in rows)
        (folder / LOG_NAME).write_text(log)
        _LOGGER.info(
            "step %d of %d: loss %.4f, bits right %.4f, validation %.4f and %.4f, %.0f s",
            *(row.step, config.steps, loss, right, checked, heard, row.seconds),
        )
    return rows


def _start_from(pair: _Pair, tensors: Tensors, *, model_id: str) -> None:
    try:
        pair.load_state_dict({name: torch.from_numpy(np.array(t)) for name, t in tensors.items()})
    except RuntimeError as error:
        raise WeightsError(f"{model_id} is not a watermark of this size of network") from error


def train_watermark(config_path: Path, *, data_dir: Path, output_dir: Path) -> TrainedWatermark:
    """Train both networks and write their folder; a run that was stopped goes on.

    Parameters
    ----------
    config_path
        TOML with the method ``watermark-cnn``.
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
        The file of the run is damaged, or the model to start from is missing or of another size.
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
    pair = _Pair(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    initial = ""
    if config.initial:
        card, tensors = weights.load_folder(output_dir / config.initial)
        _start_from(pair, tensors, model_id=config.initial)
        initial = str(card.sha256)
    text = json.dumps([settings, samples.digest, initial], sort_keys=True)
    digest = str(Digest.plain(text.encode()))
    rows = _fit(pair, samples, fit, run_folder, run_digest=digest)
    evaluation: dict[str, TomlValue] = {
        "part": "validation",
        "images": min(len(samples.validation), _VALIDATION_IMAGES),
        "coded_bits_right": rows[-1].validation_bits_right,
        "loss": rows[-1].validation_loss,
    }
    tensors = {name: tensor.numpy() for name, tensor in above("", pair).items()}
    card = Card(
        **{name: getattr(config, name) for name in ("id", "version", "task", "modality")},
        method=config.method,
        limits=config.limits,
        default=config.default,
        sha256=Digest.plain(b""),  # replaced when the tensors are written
        network=asdict(config.network),
        training=asdict(fit)
        | {"images": len(samples.large) + len(samples.small), "data_digest": samples.digest}
        | {"initial": initial}
        | {"seconds": round(sum(row.seconds for row in rows))},
        metrics=evaluation,
    )
    weights.save(output_dir, card=card, tensors=tensors)
    return TrainedWatermark(
        folder=output_dir / config.id, run_folder=run_folder, evaluation=evaluation
    )
