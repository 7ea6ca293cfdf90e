"""Train features and comparison together, and write one model folder; a stopped run goes on."""

import json
import logging
import multiprocessing
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from medseal import weights
from medseal.digest import Digest
from medseal.protection.tamper.reference.codes import BACK_GAIN, MIXTURES, MODULUS
from medseal.protection.tamper.reference.config import FitConfig, ReferenceConfig, read_config
from medseal.protection.tamper.reference.images import Images, read_images
from medseal.protection.tamper.reference.losses import image_logit, total_loss
from medseal.protection.tamper.reference.maps import tile_maps
from medseal.protection.tamper.reference.networks import ReferenceNetwork
from medseal.protection.tamper.reference.samples import Sample, draw
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

__all__ = ["LOG_NAME", "TrainedReference", "train_reference"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
_WARM_UP_STEPS = 100
_LAST_RATE = 0.02
_VALIDATION_BATCHES = 24
_AHEAD = 6
_MIDDLE, _UNIT = 128.0, 64.0
_FALSE_ALARMS = 0.02
_SEVERAL = "several"
_HALF = 0.5
# As in `codes.saturated`.
_HALF_WAY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedReference:
    """What a run has written: its folder, the run's folder, and the last validation figures."""

    folder: Path
    run_folder: Path
    evaluation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the log; `caught` is at 2 % false alarms on validation images."""

    step: int
    loss: float
    validation_loss: float
    auroc: float
    caught: float
    overlap: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Batch:
    """Samples as tensors, (B, 1, ...) each."""

    record: Tensor
    copy: Tensor
    mask: Tensor
    maps: Tensor
    counts: Tensor
    families: tuple[str, ...]


class _Pair(nn.Module):
    """The network, and what reads a forgery from the energy of the residual alone."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.network = ReferenceNetwork(config.network)
        self.energy_scale = nn.Parameter(torch.tensor(8.0))
        self.energy_offset = nn.Parameter(torch.tensor(-5.0))

    def forward(self, batch: _Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of tiles, of places, and of tiles by the energy alone."""
        count = len(batch.record)
        maps, features = self.network.read(torch.cat([batch.record, batch.copy]))
        record, here = features[:count].float(), features[count:].float()
        residual, energy = _read(here, record, generator)
        maps = tuple(one[count:] for one in maps)
        tiles = torch.cat([energy, batch.maps], 1)
        tile_logits, mask_logits = self.network.judge(maps, residual, tiles)
        by_energy = self.energy_scale * energy + self.energy_offset
        return tile_logits.float(), mask_logits.float(), by_energy


def _normalised(plane: Tensor) -> Tensor:
    """Return levels as the network takes them."""
    return (plane - _MIDDLE) / _UNIT


def _read(here: Tensor, record: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return residual and energy as a random key would read them; see `codes.Readout`.

    A value that was quantised after a random offset differs from what it was by noise that is
    uniform over one step, whatever it was (subtractive dither), so that no rounding stands in the
    way of a gradient.
    """
    batch, count, rows, columns = here.shape
    shape = (batch, rows * columns, MIXTURES, count)
    drawn = torch.randint(0, 2, shape, generator=generator, dtype=torch.int8)
    signs = (2.0 * drawn - 1) * count**-0.5
    noise = torch.rand(batch, rows * columns, MIXTURES, generator=generator) - 0.5
    half = MODULUS / 2
    difference = (here - record).flatten(2).transpose(1, 2)  # (B, T, F)
    # Sums of products: matrices this small are multiplied slowly.
    read = (signs * difference[:, :, None]).sum(3)  # (B, T, M)
    apart = (read + noise + half) % MODULUS - half
    back = (signs * apart[..., None]).sum(2).transpose(1, 2)  # (B, F, T)
    square = apart.square()
    energy = (square / (square + _HALF_WAY)).mean(2).reshape(batch, 1, rows, columns)
    return BACK_GAIN * back.reshape(here.shape), energy


_images: Images | None = None


def _start(data: Path, config: FitConfig) -> None:
    """Read the images in the process that draws samples; it alone holds them."""
    global _images  # noqa: PLW0603 - set once, when the process starts
    cv2.setNumThreads(1)
    _images = read_images(
        data,
        per_collection=config.per_collection,
        seed=config.seed,
        without_modalities=config.without_modalities,
    )


def _held() -> Images:
    if _images is None:
        raise RuntimeError("this process has read no images")
    return _images


def _digest() -> str:
    return _held().digest


def _samples(config: FitConfig, numbers: tuple[int, ...], *, validates: bool) -> list[Sample]:
    """Return the samples of one step."""
    pools = _held().validation if validates else _held().training
    rng = np.random.default_rng(numbers)
    return [draw(pools, config, rng) for _ in range(config.batch_size)]


def _batch(samples: list[Sample]) -> _Batch:
    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(one, name) for one in samples]))[:, None]

    maps = [tile_maps(one.copy, one.coarse, one.clipped, one.outside) for one in samples]
    return _Batch(
        record=_normalised(stacked("record")).contiguous(memory_format=torch.channels_last),
        copy=_normalised(stacked("copy")).contiguous(memory_format=torch.channels_last),
        mask=stacked("mask"),
        maps=torch.from_numpy(np.stack(maps)),
        counts=torch.tensor([float(one.counts) for one in samples]),
        families=tuple(one.family for one in samples),
    )


def _batches(
    pool: ProcessPoolExecutor, config: FitConfig, *, first: int
) -> Iterator[tuple[int, _Batch]]:
    """Yield the batch of each step, drawn ahead by another process from seed and step alone."""
    ahead: deque[Future[list[Sample]]] = deque()
    asked = first
    for step in range(first, config.steps):
        while asked < config.steps and len(ahead) < _AHEAD:
            numbers = (config.seed, asked)
            ahead.append(pool.submit(_samples, config, numbers, validates=False))
            asked += 1
        yield step, _batch(ahead.popleft().result())


def _rate(config: FitConfig, step: int) -> float:
    warm = min(1.0, (step + 1) / _WARM_UP_STEPS)
    cosine = (1 + np.cos(np.pi * min(1.0, step / config.steps))) / 2
    return float(warm * (cosine * (1 - _LAST_RATE) + _LAST_RATE))


def _figures(scores: np.ndarray, forged: np.ndarray) -> tuple[float, float]:
    """Return the area under the curve, and the share caught at 2 % false alarms."""
    benign, edits = scores[~forged], scores[forged]
    above_all = (edits[:, None] > benign[None]).mean() + (edits[:, None] == benign[None]).mean() / 2
    limit = np.quantile(benign, 1 - _FALSE_ALARMS)
    return float(above_all), float((edits > limit).mean())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Checked:
    loss: float
    auroc: float
    caught: float
    overlap: float
    by_family: dict[str, float]


def _validate(pair: _Pair, held: list[_Batch], config: FitConfig) -> _Checked:
    """Return figures on validation pairs, the same each time."""
    generator = torch.Generator().manual_seed(config.seed)
    pair.eval()
    losses, scores, forged, overlaps, families = [], [], [], [], []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        for batch in held:
            logits = pair(batch, generator)
            outside = batch.maps[:, 2:]
            losses.append(float(total_loss(logits, batch.mask, outside, batch.counts)))
            kept = batch.counts > 0
            score = image_logit(logits[0], 1 - outside)
            truth = batch.mask >= _HALF
            found = logits[1] > 0
            both = (truth & found).sum((1, 2, 3)).float()
            either = (truth.sum((1, 2, 3)) + found.sum((1, 2, 3))).float()
            is_forged = torch.tensor([bool(name) for name in batch.families])
            overlaps += (2 * both / either.clamp(min=1))[kept & is_forged].tolist()
            scores += score[kept].tolist()
            forged += is_forged[kept].tolist()
            for name, keep in zip(batch.families, kept, strict=True):
                families += [_SEVERAL if " + " in name else name] if keep else []
    pair.train()
    values, truths = np.array(scores), np.array(forged)
    auroc, caught = _figures(values, truths)
    limit = np.quantile(values[~truths], 1 - _FALSE_ALARMS)
    names = np.array(families)
    by_family = {
        str(name): float((values[names == name] > limit).mean()) for name in sorted(set(families))
    }
    return _Checked(
        loss=float(np.mean(losses)),
        auroc=auroc,
        caught=caught,
        overlap=float(np.mean(overlaps)),
        by_family=by_family,
    )


def _fit(
    pair: _Pair, pool: ProcessPoolExecutor, config: FitConfig, folder: Path, *, run_digest: str
) -> tuple[list[_Row], _Checked]:
    """Train to the end, from the start or from where the run in the folder stopped."""
    optimiser = torch.optim.AdamW(
        pair.parameters(),
        lr=config.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=config.weight_decay,
    )
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
    held = [
        _batch(pool.submit(_samples, config, (config.seed, 2**31, n), validates=True).result())
        for n in range(_VALIDATION_BATCHES)
    ]
    losses: list[float] = []
    start = time.perf_counter()
    for step, batch in _batches(pool, config, first=rows[-1].step if rows else 0):
        losses.append(_train_step(pair, optimiser, batch, config, step))
        if (step + 1) % config.validation_every and step + 1 < config.steps:
            continue
        checked = _validate(pair, held, config)
        row = _Row(
            step=step + 1,
            loss=float(np.mean(losses)),
            validation_loss=checked.loss,
            auroc=checked.auroc,
            caught=checked.caught,
            overlap=checked.overlap,
            seconds=time.perf_counter() - start,
        )
        rows.append(row)
        losses, start = [], time.perf_counter()
        _save(folder, pair, optimiser, rows, run_digest=run_digest)
        _report(row, checked, config)
    return rows, _validate(pair, held, config)


def _save(
    folder: Path,
    pair: _Pair,
    optimiser: torch.optim.Optimizer,
    rows: list[_Row],
    *,
    run_digest: str,
) -> None:
    tensors = above("networks.", pair) | optimiser_tensors("optimiser.", optimiser)
    write_run(folder, tensors, run_digest=run_digest, rows=rows)
    (folder / LOG_NAME).write_text("".join(json.dumps(asdict(line)) + "\n" for line in rows))


def _report(row: _Row, checked: _Checked, config: FitConfig) -> None:
    _LOGGER.info(
        "step %d of %d: loss %.4f, validation %.4f, area %.4f, caught %.3f, overlap %.3f, %.0f s",
        *(row.step, config.steps, row.loss, row.validation_loss, row.auroc, row.caught),
        *(row.overlap, row.seconds),
    )
    parts = ", ".join(f"{name or 'false alarms'} {v:.2f}" for name, v in checked.by_family.items())
    _LOGGER.info("caught at 2 %% false alarms: %s", parts)


def _train_step(
    pair: _Pair, optimiser: torch.optim.Optimizer, batch: _Batch, config: FitConfig, step: int
) -> float:
    """Take one step; its draws depend on seed and step alone, so that a run can go on."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate(config, step)
    with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
        logits = pair(batch, generator)
    loss = total_loss(logits, batch.mask, batch.maps[:, 2:], batch.counts)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(pair.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(loss.detach())


def train_reference(config_path: Path, *, data_dir: Path, output_dir: Path) -> TrainedReference:
    """Train the networks and write their folder; a run that was stopped goes on.

    Parameters
    ----------
    config_path
        TOML with the method ``tamper-reference``.
    data_dir
        As for `datasets.material.training_files`.
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
    pair = _Pair(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Not forked: threads of this process would leave locks behind that nobody opens.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, initializer=_start, initargs=(data_dir, fit)) as pool:
        data_digest = pool.submit(_digest).result()
        # How often the state is saved changes no result.
        settings = asdict(config.network) | asdict(fit) | {"validation_every": 0, "threads": 0}
        digest = str(Digest.plain(json.dumps([settings, data_digest], sort_keys=True).encode()))
        rows, checked = _fit(pair, pool, fit, run_folder, run_digest=digest)
    evaluation: dict[str, TomlValue] = {
        "part": "validation",
        "pairs": _VALIDATION_BATCHES * fit.batch_size,
        "auroc": round(checked.auroc, 4),
        "caught_at_2_percent_false_alarms": round(checked.caught, 4),
        "pixel_f1": round(checked.overlap, 4),
    }
    tensors = {name: tensor.numpy() for name, tensor in above("", pair.network).items()}
    card = Card(
        **{name: getattr(config, name) for name in ("id", "version", "task", "modality")},
        method=config.method,
        limits=config.limits,
        default=config.default,
        sha256=Digest.plain(b""),  # replaced when the tensors are written
        network=_plain(asdict(config.network)),
        training=_plain(asdict(fit))
        | {"data_digest": data_digest, "seconds": round(sum(row.seconds for row in rows))},
        metrics=evaluation,
    )
    weights.save(output_dir, card=card, tensors=tensors)
    return TrainedReference(
        folder=output_dir / config.id, run_folder=run_folder, evaluation=evaluation
    )


def _plain(settings: dict[str, Any]) -> dict[str, TomlValue]:
    """Return settings as a card holds them."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}
