"""A generator of images as a model of its own: trained, checked for copies, stored, read again."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.config import TrainConfig
from medseal.classification.examples import Examples
from medseal.classification.gan import Memorisation, check_memorisation, fit_gan, sample
from medseal.classification.gan.networks import Generator
from medseal.classification.storage import pack, unpack
from medseal.datasets import Split
from medseal.digest import Digest
from medseal.errors import WeightsError
from medseal.imaging.preprocess import PreprocessConfig

__all__ = ["FittedGenerator", "fit_generator", "load_generator"]

_RUN_DOMAIN = "medseal/gan-run/v1"
Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedGenerator:
    """What training a generator gives.

    Attributes
    ----------
    tensors
        As they are stored.
    network
        For the card, under [network]: what `load_generator` builds it from.
    notes
        For the card, under [training].
    memorisation
        By class: how near generated images come to those of training.
    """

    tensors: Tensors
    network: Mapping[str, Any]
    notes: Mapping[str, Any]
    memorisation: Mapping[str, Memorisation]


def fit_generator(
    training: Examples,
    validation: Examples,
    *,
    classes: Sequence[str],
    config: TrainConfig,
    folder: Path,
) -> FittedGenerator:
    """Train the GAN that the configuration describes and compare its images with real ones.

    Parameters
    ----------
    training, validation
        With an image of each class; the second is never trained on.
    classes
        Names.
    config
        With `method` gan.
    folder
        Takes checkpoint and log; a run that was stopped goes on.

    Raises
    ------
    ConfigurationError
        Images of a size that cannot be made, or the folder holds another run.
    """
    settings = dataclasses.replace(config.gan, steps=1, save_every=1)  # a run may be made longer
    network = fit_gan(
        training,
        classes=len(classes),
        config=config.gan,
        folder=folder,
        run_digest=str(
            Digest.of(
                _RUN_DOMAIN,
                json.dumps(dataclasses.asdict(settings), sort_keys=True).encode(),
                config.preprocess.digest.value,
                training.images.tobytes(),
                training.labels.tobytes(),
            )
        ),
    )
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    tensors = pack(state, config=config.storage)
    table = {
        "side": training.images.shape[1],
        "channels": training.channels,
        "latent": config.gan.latent,
        "width": config.gan.width,
        "classes": list(classes),
    }
    stored = _network_from(table, tensors)
    return FittedGenerator(
        tensors=tensors,
        network=table,
        notes={"settings": dataclasses.asdict(config.gan)},
        memorisation={
            name: _check(stored, number, training, validation, config)
            for number, name in enumerate(classes)
        },
    )


def _check(
    network: Generator, label: int, training: Examples, validation: Examples, config: TrainConfig
) -> Memorisation:
    labels = np.full(config.gan.samples, label, dtype=np.int64)
    made = sample(network, labels, generator=np.random.default_rng(config.gan.seed))
    return check_memorisation(
        made,
        training=training.images[training.labels == label],
        held_out=validation.images[validation.labels == label],
    )


def load_generator(
    folder: Path, *, classes: Sequence[str], preprocess: PreprocessConfig, split: Split
) -> Generator:
    """Return the generator in a folder that training has written, in evaluation mode.

    Parameters
    ----------
    folder
        With card and weights.
    classes, preprocess, split
        Of the images that the generated ones are to be added to.

    Raises
    ------
    WeightsError
        Damaged, no generator, or one of other classes, of other preprocessing or of another
        split: it would carry images of the test part into training.
    """
    card, tensors = weights.load_folder(folder)
    if card.method != "gan":
        raise WeightsError(f"{card.id} is a model of {card.method}, it makes no images")
    if card.network.get("classes") != list(classes):
        raise WeightsError(f"{card.id} makes images of other classes than {', '.join(classes)}")
    if card.preprocess.get("digest") != str(preprocess.digest):
        raise WeightsError(f"{card.id} makes images of other preprocessing")
    if card.training.get("split_digest") != str(split.digest):
        raise WeightsError(f"{card.id} was trained on another split: its images may show the test")
    return _network_from(card.network, tensors)


def _network_from(table: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Generator:
    try:
        network = Generator(
            side=table["side"],
            channels=table["channels"],
            classes=len(table["classes"]),
            latent=table["latent"],
            width=table["width"],
        )
        # Copies, since torch refuses read-only memory; float16 becomes float32 on loading.
        network.load_state_dict({k: torch.tensor(v) for k, v in unpack(tensors).items()})
    except (KeyError, TypeError, RuntimeError) as error:
        raise WeightsError("the weights do not fit the generator on the card") from error
    network.requires_grad_(False)
    return network.eval()
