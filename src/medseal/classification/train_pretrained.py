"""From a configuration and pooled data sets to a model folder that other models start from."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from medseal import weights
from medseal.classification.config import TrainConfig
from medseal.classification.examples import Examples, read_examples
from medseal.classification.initial import HEADS, first_network
from medseal.classification.pretrain import pretrain
from medseal.classification.storage import pack
from medseal.datasets import Dataset, Member, Split, read_dataset
from medseal.datasets.split import PARTS, Part
from medseal.digest import Digest
from medseal.errors import ModelMismatchError
from medseal.weights import Card

__all__ = ["train_pretrained"]

_RUN_DOMAIN = "medseal/pretrain/v1"


def train_pretrained(
    config: TrainConfig, *, data_dir: Path, config_dir: Path, output_dir: Path, split_name: str
) -> tuple[Path, Path, dict[str, Any]]:
    """Pre-train a network on the training parts of several data sets, without their labels.

    Parameters
    ----------
    config
        With [pretrain] datasets.
    data_dir
        Folder with all of them.
    config_dir, output_dir
        As for any run.
    split_name
        Of the file in the run folder that says which images were used.

    Returns
    -------
    tuple
        The model folder, the run folder, and the figures on the validation parts.

    Raises
    ------
    ConfigurationError
        The folder holds another run.
    InputError
        A data set cannot be read, or is grey where colour is wanted.
    """
    # 1. Images: of each data set the parts that its own models train and validate on.
    datasets = [read_dataset(name, data_dir) for name in config.pretrain.datasets]
    splits = [dataset.split(seed=config.split_seed) for dataset in datasets]
    pooled = _pooled(datasets, splits, seed=config.split_seed)
    training, validation = (
        _examples(datasets, splits, part, config=config) for part in ("train", "validation")
    )
    folder = output_dir / f"{config.id}.run"
    folder.mkdir(parents=True, exist_ok=True)
    pooled.write(folder / split_name)
    # 2. Network.
    settings = dataclasses.replace(
        config.network,
        rows=config.preprocess.rows,
        columns=config.preprocess.columns,
        channels=training.channels,
    )
    network, origin = first_network(config, settings, config_dir=config_dir, output_dir=output_dir)
    fitting = dataclasses.replace(config.train, patience=1)
    parts = (config.preprocess, config.augment, config.pretrain, fitting, settings)
    described = [config.method, dict(origin), *(dataclasses.asdict(part) for part in parts)]
    digest = Digest.of(
        _RUN_DOMAIN,
        json.dumps(described, sort_keys=True).encode(),
        pooled.digest.value,
        *(part.images.tobytes() for part in (training, validation)),
    )
    state = pretrain(
        training,
        validation,
        network=network,
        settings=config.pretrain,
        config=config.train,
        augmentation=config.augment,
        folder=folder,
        run_digest=str(digest),
    )
    # 3. Card and weights, without the head, which was not trained.
    best = state.best_row
    figures: dict[str, Any] = {
        "part": "validation",
        "images": len(validation.labels),
        "epochs": len(state.rows),
        "best_epoch": best.epoch,
        "loss": best.validation_loss,
        "views_that_find_each_other": best.validation_accuracy,
    }
    own = {
        name: tensor.numpy()
        for name, tensor in network.state_dict().items()
        if not name.startswith(HEADS)
    }
    card = _card(config, datasets, pooled, network=settings.to_dict(), origin=dict(origin))
    card = dataclasses.replace(card, metrics=figures)
    weights.save(output_dir, card=card, tensors=pack(own, config=config.storage))
    return output_dir / card.id, folder, figures


def _examples(
    datasets: Sequence[Dataset], splits: Sequence[Split], part: Part, *, config: TrainConfig
) -> Examples:
    """Return the images of a part; their label is the data set, for the balance of batches."""
    images, sources, labels = [], [], []
    for number, (dataset, split) in enumerate(zip(datasets, splits, strict=True)):
        try:
            found = read_examples(
                dataset, dataset.select(split.names(part)), config=config.preprocess
            )
        except ModelMismatchError as error:
            raise ModelMismatchError(f"{dataset.name}: {error}") from error
        images.append(found.images)
        sources.append(found.sources)
        labels.append(np.full(len(found.labels), number, dtype=np.int64))
    return Examples(
        images=np.concatenate(images),
        labels=np.concatenate(labels),
        sources=np.concatenate(sources),
    )


def _pooled(datasets: Sequence[Dataset], splits: Sequence[Split], *, seed: int) -> Split:
    """Return the splits as one; names and groups begin with the data set."""
    members: dict[Part, list[Member]] = {part: [] for part in PARTS}
    for dataset, split in zip(datasets, splits, strict=True):
        for part in PARTS:
            members[part] += [
                dataclasses.replace(
                    member,
                    name=f"{dataset.name}/{member.name}",
                    group=f"{dataset.name}/{member.group}",
                )
                for member in split.members[part]
            ]
    return Split(seed=seed, members={part: tuple(sorted(members[part])) for part in PARTS})


def _card(
    config: TrainConfig,
    datasets: Sequence[Dataset],
    pooled: Split,
    *,
    network: dict[str, Any],
    origin: dict[str, str],
) -> Card:
    origins = sorted({(r.source, r.licence) for dataset in datasets for r in dataset.records})
    return Card(
        id=config.id,
        version=config.version,
        task=config.task,
        modality=config.modality,
        method=config.method,
        sha256=Digest.plain(b""),  # set by weights.save
        default=config.default,
        limits=config.limits,
        preprocess={**config.preprocess.to_dict(), "digest": str(config.preprocess.digest)},
        network=network,
        training={
            "datasets": [dataset.name for dataset in datasets],
            "sources": [source or "not stated" for source, _ in origins],
            "licences": [licence or "not stated" for _, licence in origins],
            "split_seed": config.split_seed,
            "split_digest": str(pooled.digest),
            **{f"{part}_images": len(pooled.members[part]) for part in PARTS},
            **({"initial": origin} if origin else {}),
            "storage": {"precision": config.storage.precision},
            "settings": dataclasses.asdict(config.train),
            "projection": config.pretrain.projection,
            "augmentation": config.augment.to_dict(),
        },
    )
