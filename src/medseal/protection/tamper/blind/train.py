"""Train the blind network on forged tiles and their clean twins, and write one model folder."""

import json
import logging
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medseal import weights
from medseal.digest import Digest
from medseal.errors import InputError
from medseal.metrics.ranking import auroc
from medseal.protection.tamper.blind.calibrate import (
    LARGE_PIXELS,
    calibrated,
    features_of,
    figures,
    trials,
)
from medseal.protection.tamper.blind.calibration import Calibration
from medseal.protection.tamper.blind.config import BlindConfig, FitConfig, read_config
from medseal.protection.tamper.blind.handling import random_handling
from medseal.protection.tamper.blind.inference import Engine
from medseal.protection.tamper.blind.losses import blind_loss
from medseal.protection.tamper.blind.networks import BlindNetwork, restore, stored_tensors
from medseal.protection.tamper.blind.plane import Plane
from medseal.protection.tamper.blind.samples import (
    FAMILIES,
    Pictures,
    Recipe,
    draw_batch,
    forge,
    read_pictures,
)
from medseal.protection.tamper.blind.scan import Tile, scanned
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

__all__ = ["LOG_NAME", "TrainedBlind", "train_blind"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
_WARM_UP_STEPS = 100
_LAST_RATE = 0.02
_LEAST_PAIRS = 2
# Of each modality, at the end: forgeries of a validation image, such images, training images.
_TRIAL_DRAWS, _TRIAL_PICTURES, _KNOWN_PICTURES = 3, 60, 80
_VALIDATION_PICTURES, _VALIDATION_SIDE = 160, 512


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedBlind:
    """What a run has written: its folder, the run's folder, and the validation figures."""

    folder: Path
    run_folder: Path
    evaluation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One line of the log: mean loss since the last line, and figures on validation images."""

    step: int
    loss: float
    auroc: float
    pixel_f1: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Trained:
    """The network that is trained, and the running mean of its weights, which is kept."""

    live: BlindNetwork
    mean: BlindNetwork

    @property
    def device(self) -> torch.device:
        return self.live.high_pass.device

    def averaged(self, decay: float) -> None:
        """Move the mean a step towards the live network."""
        ours, theirs = self.mean.state_dict(), self.live.state_dict()
        for name, tensor in ours.items():
            if tensor.is_floating_point():
                tensor.lerp_(theirs[name], 1 - decay)


def _rate(config: FitConfig, step: int) -> float:
    return warm_cosine(
        step, steps=config.steps, warm_up_steps=_WARM_UP_STEPS, last_share=_LAST_RATE
    )


def _recipe(config: FitConfig, *, step: int) -> Recipe:
    """Return how pairs to train on are made: easy ones at first."""
    unknown = set(config.without_families) - set(FAMILIES)
    if unknown:
        raise InputError(f"families of forgeries are {', '.join(FAMILIES)}; not {min(unknown)}")
    done = min(1.0, step / max(config.easy_share * config.steps, 1))
    return Recipe(
        families=tuple(name for name in FAMILIES if name not in config.without_families),
        strength=config.first_strength + (1 - config.first_strength) * done,
        handled_share=config.handled_share * done,
        twin_share=config.twin_share,
    )


def _look(network: BlindNetwork, config: FitConfig, plane: Plane) -> Tile:
    device = network.high_pass.device
    levels = torch.from_numpy(plane)[None, None].to(device)
    with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
        found = network(levels)
    return Tile(
        forged=found.forged[0, 0].cpu().numpy(),
        trusted=found.trusted[0, 0].cpu().numpy(),
        score=float(found.score[0]),
        features=found.features[0].cpu().numpy(),
    )


def _validate(network: BlindNetwork, pictures: Pictures, config: FitConfig) -> tuple[float, float]:
    """Return AUROC and mean pixel F1 of larger edits on whole images, the same draws each time."""
    network.eval()
    scores: list[float] = []
    overlaps: list[float] = []
    chosen = pictures.validation[:_VALIDATION_PICTURES]
    for place, picture in enumerate(chosen):
        rng = np.random.default_rng([config.seed, place])
        plane = picture.plane[:_VALIDATION_SIDE, :_VALIDATION_SIDE].astype(np.float32)
        donor = chosen[int(rng.integers(len(chosen)))].plane.astype(np.float32)
        handling = random_handling(rng, share=config.handled_share)
        pair = forge(
            plane,
            donor,
            rng,
            recipe=Recipe(families=(FAMILIES[place % len(FAMILIES)],)),
            handling=handling,
            whole=picture.plane.dtype == np.uint8,
        )
        forged, clean = (
            scanned(one, lambda part: _look(network, config, part))
            for one in (pair.forged, pair.clean)
        )
        scores += [clean.score, forged.score]
        if pair.extent_pixels >= LARGE_PIXELS:
            found = forged.forged > 0
            shared = int((found & pair.mask).sum())
            overlaps.append(2 * shared / max(int(found.sum() + pair.mask.sum()), 1))
    labels = np.tile([0, 1], len(chosen))
    return auroc(labels, np.array(scores)), float(np.mean(overlaps))


def _train_step(
    trained: _Trained,
    optimiser: torch.optim.Optimizer,
    pictures: Pictures,
    config: FitConfig,
    step: int,
) -> float:
    """Take one step; its draws depend on seed and step alone, so that a run can go on."""
    rng = np.random.default_rng([config.seed, step])
    for group in optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate(config, step)
    side = config.tile_sides[int(rng.integers(len(config.tile_sides)))]
    area = (min(config.tile_sides) / side) ** 2
    batch = draw_batch(
        pictures,
        rng,
        side=side,
        count=max(round(config.pairs * area), _LEAST_PAIRS),
        recipe=_recipe(config, step=step),
    )
    device = trained.device
    levels = torch.from_numpy(np.concatenate([batch.forged, batch.clean]))[:, None].to(device)
    masks = torch.from_numpy(batch.masks)[:, None].to(device)
    trained.live.train()
    with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
        found = trained.live(levels)
    loss = blind_loss(found, masks, positive_weight=config.positive_weight)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(trained.live.parameters(), 2.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    # The first steps say little: the mean begins to be one when there are some.
    trained.averaged(min(config.average, (step + 1) / (step + 10)))
    return float(loss.detach())


def _state(trained: _Trained, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    networks = above("live.", trained.live) | above("mean.", trained.mean)
    return networks | optimiser_tensors("optimiser.", optimiser)


def _resumed(
    trained: _Trained, optimiser: torch.optim.Optimizer, folder: Path, *, run_digest: str
) -> list[_Row]:
    """Return the log of the run in the folder, its state restored; empty if it has not begun."""
    found = read_run(folder, run_digest=run_digest)
    if found is None:
        return []
    tensors, lines = found
    try:
        rows = [_Row(**line) for line in lines]
        trained.live.load_state_dict(below("live.", tensors))
        trained.mean.load_state_dict(below("mean.", tensors))
    except (TypeError, RuntimeError) as error:
        raise damaged(folder) from error
    restore_optimiser(optimiser, below("optimiser.", tensors))
    return rows


def _fit(
    trained: _Trained, pictures: Pictures, config: FitConfig, folder: Path, *, run_digest: str
) -> list[_Row]:
    """Train to the end, from the start or from where the run in the folder stopped."""
    optimiser = torch.optim.AdamW(
        trained.live.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    rows = _resumed(trained, optimiser, folder, run_digest=run_digest)
    losses: list[float] = []
    start = time.perf_counter()
    for step in range(rows[-1].step if rows else 0, config.steps):
        losses.append(_train_step(trained, optimiser, pictures, config, step))
        if (step + 1) % config.validation_every and step + 1 < config.steps:
            continue
        ranked, overlap = _validate(trained.mean, pictures, config)
        row = _Row(
            step=step + 1,
            loss=float(np.mean(losses)),
            auroc=ranked,
            pixel_f1=overlap,
            seconds=time.perf_counter() - start,
        )
        rows.append(row)
        losses, start = [], time.perf_counter()
        write_run(folder, _state(trained, optimiser), run_digest=run_digest, rows=rows)
        (folder / LOG_NAME).write_text("".join(json.dumps(asdict(line)) + "\n" for line in rows))
        _LOGGER.info(
            "step %d of %d: loss %.4f, validation AUROC %.4f, pixel F1 %.4f, %.0f s",
            *(row.step, config.steps, row.loss, ranked, overlap, row.seconds),
        )
    return rows


def train_blind(config_path: Path, *, data_dir: Path, output_dir: Path) -> TrainedBlind:
    """Train the network and write its folder; a run that was stopped goes on.

    Parameters
    ----------
    config_path
        TOML with the method ``tamper-blind``.
    data_dir
        As for `datasets.material.training_files`.
    output_dir
        Created if missing; takes the model folder ``<id>`` and ``<id>.run`` beside it.

    Raises
    ------
    ConfigurationError
        The configuration is wrong, or `output_dir` holds a run of another one.
    InputError
        There are no images to train on, or none of what is to be left out.
    WeightsError
        The file of the run is damaged, or the model to start from is missing or of another size.
    """
    config = read_config(config_path)
    fit = config.train
    _recipe(fit, step=0)
    run_folder = output_dir / f"{config.id}.run"
    run_folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(fit.threads)
    torch.manual_seed(fit.seed)
    pictures = read_pictures(
        data_dir,
        per_collection=fit.per_collection,
        seed=fit.seed,
        without_modalities=fit.without_modalities,
    )
    trained, initial = _networks(config, output_dir)
    # How often the state is saved changes no result.
    settings = asdict(config.network) | asdict(fit) | {"validation_every": 0, "threads": 0}
    text = json.dumps([settings, pictures.digest, initial], sort_keys=True)
    rows = _fit(trained, pictures, fit, run_folder, run_digest=str(Digest.plain(text.encode())))
    tensors = stored_tensors(trained.mean)
    calibration, evaluation = _calibrated(tensors, pictures, seed=fit.seed)
    card = Card(
        **{name: getattr(config, name) for name in ("id", "version", "task", "modality")},
        method=config.method,
        limits=config.limits,
        default=config.default,
        sha256=Digest.plain(b""),  # replaced when the tensors are written
        network=_listed(asdict(config.network)),
        calibration=calibration.numbers,
        training=_listed(asdict(fit))
        | {"images": pictures.count, "data_digest": pictures.digest, "initial": initial}
        | {"seconds": round(sum(row.seconds for row in rows))},
        metrics={"part": "validation"} | evaluation,
    )
    weights.save(output_dir, card=card, tensors=tensors | calibration.tensors())
    # The tables by family, modality and handling are on the card.
    totals = {name: one for name, one in evaluation.items() if not isinstance(one, Mapping)}
    return TrainedBlind(folder=output_dir / config.id, run_folder=run_folder, evaluation=totals)


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as a card holds them."""
    return {name: list(one) if isinstance(one, tuple) else one for name, one in values.items()}


def _calibrated(
    tensors: Mapping[str, NDArray[np.floating]], pictures: Pictures, *, seed: int
) -> tuple[Calibration, dict[str, TomlValue]]:
    """Return thresholds and figures, of the network as it is stored and run for a verdict."""
    engine = Engine.of(tensors, name="the trained network")
    seen = trials(pictures, engine.look, seed=seed, draws=_TRIAL_DRAWS, most=_TRIAL_PICTURES)
    known = features_of(pictures, engine.look, seed=seed, most=_KNOWN_PICTURES)
    calibration = calibrated(seen, known)
    return calibration, dict(figures(seen, calibration))


def _networks(config: BlindConfig, output_dir: Path) -> tuple[_Trained, str]:
    """Return the networks and the digest of what they start from, empty if drawn."""
    network, initial = BlindNetwork(config.network), ""
    if config.initial:
        card, tensors = weights.load_folder(output_dir / config.initial)
        restore(network, tensors)
        initial = str(card.sha256)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    mean = deepcopy(network)
    mean.requires_grad_(requires_grad=False)
    return _Trained(live=network, mean=mean), initial
