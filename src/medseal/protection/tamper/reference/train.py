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
from torch import nn

from medseal import weights
from medseal.digest import Digest
from medseal.errors import ConfigurationError, WeightsError
from medseal.protection.tamper.narrowing import TENSORS
from medseal.protection.tamper.reference.config import FitConfig, ReferenceConfig, read_config
from medseal.protection.tamper.reference.fusion import FUSION
from medseal.protection.tamper.reference.images import Images, read_images
from medseal.protection.tamper.reference.inference import CALIBRATION
from medseal.protection.tamper.reference.losses import total_loss
from medseal.protection.tamper.reference.pair import Batch, Pair, batch_of
from medseal.protection.tamper.reference.samples import Sample, draw
from medseal.protection.tamper.reference.validation import Checked, validate
from medseal.protection.tamper.reference.whole import WholeImages, draw_whole, whole_images
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

__all__ = ["LOG_NAME", "TrainedReference", "train_reference"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
_WARM_UP_STEPS = 100
_LAST_RATE = 0.02
_VALIDATION_PAIRS = 384
_AHEAD = 6


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


_images: Images | WholeImages | None = None


def _start(data: Path, config: FitConfig) -> str:
    """Read the images in the process that draws samples; it alone holds them. Return a digest."""
    global _images  # noqa: PLW0603 - set once, when the process starts
    cv2.setNumThreads(1)
    if config.pairs == "whole":
        _images = whole_images(data, without_modalities=config.without_modalities)
        return _images.digest
    _images = read_images(
        data,
        per_collection=config.per_collection,
        seed=config.seed,
        without_modalities=config.without_modalities,
    )
    return _images.digest


def _samples(config: FitConfig, numbers: tuple[int, ...], *, validates: bool) -> list[Sample]:
    """Return the samples of one step."""
    if _images is None:
        raise RuntimeError("this process has read no images")
    rng = np.random.default_rng(numbers)
    if isinstance(_images, WholeImages):
        folders = _images.validation if validates else _images.training
        return draw_whole(folders, config, rng, config.batch_size)
    pools = _images.validation if validates else _images.training
    return [draw(pools, config, rng) for _ in range(config.batch_size)]


def _batches(
    pool: ProcessPoolExecutor, config: FitConfig, *, first: int
) -> Iterator[tuple[int, Batch]]:
    """Yield the batch of each step, drawn ahead by another process from seed and step alone."""
    ahead: deque[Future[list[Sample]]] = deque()
    asked = first
    last = config.stop_after or config.steps
    for step in range(first, last):
        while asked < last and len(ahead) < _AHEAD:
            numbers = (config.seed, asked)
            ahead.append(pool.submit(_samples, config, numbers, validates=False))
            asked += 1
        yield step, batch_of(ahead.popleft().result())


def _rate(config: FitConfig, step: int) -> float:
    return warm_cosine(
        step, steps=config.steps, warm_up_steps=_WARM_UP_STEPS, last_share=_LAST_RATE
    )


def _fit(
    pair: Pair, pool: ProcessPoolExecutor, config: FitConfig, folder: Path, *, run_digest: str
) -> tuple[list[_Row], Checked]:
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
        batch_of(pool.submit(_samples, config, (config.seed, 2**31, n), validates=True).result())
        for n in range(-(-_VALIDATION_PAIRS // config.batch_size))
    ]
    losses: list[float] = []
    last = config.stop_after or config.steps
    start = time.perf_counter()
    for step, batch in _batches(pool, config, first=rows[-1].step if rows else 0):
        losses.append(_train_step(pair, optimiser, batch, config, step))
        if (step + 1) % config.validation_every and step + 1 < last:
            continue
        checked = validate(pair, held, config)
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
    return rows, validate(pair, held, config)


def _save(
    folder: Path,
    pair: Pair,
    optimiser: torch.optim.Optimizer,
    rows: list[_Row],
    *,
    run_digest: str,
) -> None:
    tensors = above("networks.", pair) | optimiser_tensors("optimiser.", optimiser)
    write_run(folder, tensors, run_digest=run_digest, rows=rows)
    (folder / LOG_NAME).write_text("".join(json.dumps(asdict(line)) + "\n" for line in rows))


def _report(row: _Row, checked: Checked, config: FitConfig) -> None:
    _LOGGER.info(
        "step %d of %d: loss %.4f, validation %.4f, area %.4f, caught %.3f, overlap %.3f, %.0f s",
        *(row.step, config.steps, row.loss, row.validation_loss, row.auroc, row.caught),
        *(row.overlap, row.seconds),
    )
    parts = ", ".join(f"{name or 'false alarms'} {v:.2f}" for name, v in checked.by_family.items())
    _LOGGER.info("caught at 2 %% false alarms: %s", parts)


def _train_step(
    pair: Pair, optimiser: torch.optim.Optimizer, batch: Batch, config: FitConfig, step: int
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


def _start_from(pair: Pair, folder: Path) -> str:
    """Take the networks of another model, and return its digest."""
    card, tensors = weights.load_folder(folder)
    known = {
        name: torch.from_numpy(np.array(one))
        for name, one in tensors.items()
        if name not in (CALIBRATION, FUSION) and not name.startswith(TENSORS)
    }
    try:
        pair.network.load_state_dict(known)
    except RuntimeError as error:
        raise WeightsError(f"{card.id} is not a comparison of this size of network") from error
    return str(card.sha256)


def _told_apart(config: ReferenceConfig) -> ReferenceConfig:
    """Return settings under which validation sees copies of both kinds, which it tells apart."""
    if not 0 < config.train.edited_share < 1:
        raise ConfigurationError(
            "[train] edited_share lies between 0 and 1: validation needs forged copies and others"
        )
    return config


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
        The file of the run is damaged, or the model to start from is missing or of another size.
    """
    config = _told_apart(read_config(config_path))
    fit = config.train
    run_folder = output_dir / f"{config.id}.run"
    run_folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(fit.threads)
    torch.manual_seed(fit.seed)
    pair = Pair(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    initial = _start_from(pair, output_dir / config.initial) if config.initial else ""
    # Not forked: threads of this process would leave locks behind that nobody opens.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        data_digest = pool.submit(_start, data_dir, fit).result()
        # How often the state is saved changes no result.
        settings = asdict(config.network) | asdict(fit) | {"validation_every": 0, "threads": 0}
        text = json.dumps([settings, data_digest, initial], sort_keys=True)
        digest = str(Digest.plain(text.encode()))
        rows, checked = _fit(pair, pool, fit, run_folder, run_digest=digest)
    evaluation: dict[str, TomlValue] = {
        "part": "validation",
        "pairs": checked.pairs,
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
        | {
            "data_digest": data_digest,
            "initial": initial,
            "seconds": round(sum(row.seconds for row in rows)),
        },
        metrics=evaluation,
    )
    weights.save(output_dir, card=card, tensors=tensors)
    return TrainedReference(
        folder=output_dir / config.id, run_folder=run_folder, evaluation=evaluation
    )


def _plain(settings: dict[str, Any]) -> dict[str, TomlValue]:
    """Return settings as a card holds them."""
    return {name: list(v) if isinstance(v, tuple) else v for name, v in settings.items()}
