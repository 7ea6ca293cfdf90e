"""Effect of generated images on the recall of a rare class, with and without, over seeds.

The malignant class of a data set is made rare in training. A GAN is trained on what is left and
fills the class up; the five-layer network is trained on the rare class as it is, on the same
images drawn in balance (the plain remedy), and both ways on real and generated images together,
each for as many steps. Intervals are 95 %, paired, over groups of test images and over seeds. The
paper claims two points of recall.
"""

import dataclasses
import json
import logging
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.report import arguments, write_result
from medseal.classification.augment import AugmentConfig
from medseal.classification.calibrate import softmax
from medseal.classification.examples import Examples, read_examples
from medseal.classification.fit import FitConfig, fit, logits_of
from medseal.classification.gan import GanConfig, check_memorisation, fill_up, fit_gan, sample
from medseal.classification.gan.memorisation import Features, picture_vectors
from medseal.classification.gan.networks import Generator
from medseal.classification.networks import Network, NetworkConfig, build
from medseal.datasets import Dataset, read_dataset
from medseal.digest import Digest
from medseal.errors import InputError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.metrics.classification import FIGURES, weighted_figures
from medseal.metrics.intervals import Interval, group_weights

SIDE = 64
RESAMPLES = 2000
CLAIMED_RECALL_POINTS = 2.0
ARMS: Mapping[str, str] = {
    "without": "the rare class as it is",
    "in_balance": "the same images, both classes drawn equally often",
    "with_gan": "the rare class filled up with generated images",
    "in_balance_with_gan": "drawn equally often, the rare class half real, half generated",
}
# Sensitivity is the recall of the rare class.
NAMES = (
    "accuracy",
    "balanced_accuracy",
    "sensitivity",
    "specificity",
    "precision",
    "auroc",
    "sensitivity_at_90_specificity",
)
_PAIRS = (
    ("with_gan", "without"),
    ("in_balance", "without"),
    ("with_gan", "in_balance"),
    ("in_balance_with_gan", "in_balance"),
)
# How the images of an epoch are drawn; generated images count as another source.
_DRAWN = {"in_balance": "label", "in_balance_with_gan": "label-source"}
_DOMAIN = "medseal/benchmark/gan/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One data set with its rare class.

    Attributes
    ----------
    data_set
        Name.
    rare
        Class that is made rare.
    kept
        Training images that it keeps.
    colour
        Whether the network sees colour.
    """

    data_set: str
    rare: str
    kept: int
    colour: bool


SETTINGS = (
    Setting(data_set="skin", rare="malignant", kept=100, colour=True),
    Setting(data_set="breast-ultrasound", rare="malignant", kept=40, colour=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is computed: seeds of the classifier, its epochs, steps of the GAN."""

    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    epochs: int = 10
    images_per_epoch: int = 800
    gan: GanConfig = dataclasses.field(
        default_factory=lambda: GanConfig(steps=2000, width=24, threads=1, save_every=250)
    )


EFFORTS = {
    "skin": Effort(),
    # Half as many images: less training, and an interval that stays wide with any number of seeds.
    "breast-ultrasound": Effort(
        seeds=(1, 2, 3), gan=GanConfig(steps=1200, width=24, threads=1, save_every=200)
    ),
}
QUICK = Effort(
    seeds=(1, 2),
    epochs=1,
    images_per_epoch=64,
    gan=GanConfig(steps=4, width=4, batch_size=8, threads=1, save_every=2, samples=8),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Images of a setting: training with the rare class thinned out, validation, test."""

    training: Examples
    validation: Examples
    test: Examples
    groups: tuple[str, ...]
    rare: int
    classes: int


def thinned(examples: Examples, *, rare: int, kept: int) -> Examples:
    """Return the examples with `kept` images of one class, drawn with a fixed seed.

    Raises
    ------
    InputError
        The class has no more than `kept` images.
    """
    inside = np.flatnonzero(examples.labels == rare)
    if len(inside) <= kept:
        raise InputError(f"the class has {len(inside)} training images: it cannot keep {kept}")
    drawn = np.random.default_rng(1).permutation(inside)[:kept]
    chosen = np.sort(np.concatenate([np.flatnonzero(examples.labels != rare), drawn]))
    return Examples(
        images=examples.images[chosen],
        labels=examples.labels[chosen],
        sources=examples.sources[chosen],
    )


def read_parts(setting: Setting, dataset: Dataset) -> Parts:
    """Return the images of a data set by the library's split."""
    split = dataset.split(seed=1)
    preprocess = PreprocessConfig(
        rows=SIDE, columns=SIDE, colour=setting.colour, equalise_histogram=False
    )
    training, validation, test = (
        read_examples(dataset, dataset.select(split.names(part)), config=preprocess)
        for part in ("train", "validation", "test")
    )
    rare = dataset.classes.index(setting.rare)
    return Parts(
        training=thinned(training, rare=rare, kept=setting.kept),
        validation=validation,
        test=test,
        groups=tuple(record.group for record in dataset.select(split.names("test"))),
        rare=rare,
        classes=len(dataset.classes),
    )


def _digest(*parts: object) -> str:
    arrays = [p.images.tobytes() + p.labels.tobytes() for p in parts if isinstance(p, Examples)]
    settings = [repr(part).encode() for part in parts if not isinstance(part, Examples)]
    return str(Digest.of(_DOMAIN, *arrays, *settings))


def fit_arm(
    parts: Parts, arm: str, generator: Generator, *, effort: Effort, seed: int, folder: Path
) -> Network:
    """Return the network of one arm and seed; all arms make the same number of steps."""
    training = parts.training
    if arm.endswith("with_gan"):
        training = fill_up(training, generator, generator=np.random.default_rng([seed, 77]))
    config = FitConfig(
        seed=seed,
        max_epochs=effort.epochs,
        patience=effort.epochs,
        threads=1,
        balance=_DRAWN.get(arm, "none"),
        images_per_epoch=effort.images_per_epoch,
        select_by="balanced-loss",
    )
    network = build(
        "five-layer-cnn",
        NetworkConfig(rows=SIDE, columns=SIDE, channels=training.channels, classes=parts.classes),
        seed=seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    fit(
        training,
        parts.validation,
        network=network,
        config=config,
        augmentation=AugmentConfig(),
        folder=folder,
        run_digest=_digest(training, parts.validation, config),
    )
    return network.eval()


def figures_of(network: Network, parts: Parts, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `NAMES` of the rare class against the rest on the test part, (r, figures)."""
    labels = (parts.test.labels == parts.rare).astype(np.int64)
    logits = logits_of(network, parts.test.images).numpy()
    positive = softmax(logits.astype(np.float64))[:, parts.rare]
    both = np.stack([1 - positive, positive], axis=1)
    decided = (logits.argmax(axis=1) == parts.rare).astype(np.int64)
    figures = weighted_figures(labels, both, predicted=decided, weights=weights)
    return figures[:, [FIGURES.index(name) for name in NAMES]]


def interval(per_seed: NDArray[np.float64], estimate: float) -> dict[str, float]:
    """Return the estimate with the 95 % interval over images and seeds.

    Parameters
    ----------
    per_seed
        (seeds, resamples of the images).
    estimate
        Mean over seeds on the images as they are.
    """
    seeds, resamples = per_seed.shape
    drawn = np.random.default_rng(3).integers(seeds, size=(seeds, resamples))
    values = np.take_along_axis(per_seed, drawn, axis=0).mean(axis=0)
    low, high = np.nanquantile(values, [0.025, 0.975])
    return dataclasses.asdict(Interval(estimate=estimate, low=float(low), high=float(high)))


def compare(networks: Mapping[str, Sequence[Network]], parts: Parts) -> dict[str, Any]:
    """Return the figures of each arm and their paired differences.

    A figure that one of the runs does not define (precision of a class that is never named) is
    left out.
    """
    draws = group_weights(parts.groups, generator=np.random.default_rng(2), resamples=RESAMPLES)
    weights = np.concatenate([np.ones((1, len(parts.groups))), *draws])
    # (seeds, 1 + resamples, figures) of each arm; row 0 is the images as they are.
    found = {
        arm: np.stack([figures_of(network, parts, weights) for network in of_arm])
        for arm, of_arm in networks.items()
    }
    result: dict[str, Any] = {"arms": {}, "differences": {}}
    for arm, values in found.items():
        result["arms"][arm] = {
            name: interval(values[:, 1:, k], float(values[:, 0, k].mean()))
            for k, name in enumerate(NAMES)
            if np.isfinite(values[:, 0, k]).all()
        }
    for first, second in _PAIRS:
        change = found[first] - found[second]
        result["differences"][f"{first}_minus_{second}"] = {
            name: interval(change[:, 1:, k], float(change[:, 0, k].mean()))
            | {"each_seed": change[:, 0, k].tolist()}
            for k, name in enumerate(NAMES)
            if np.isfinite(change[:, 0, k]).all()
        }
    return result


def network_features(network: Network) -> Features:
    """Return a measure of what is shown: mean maps of the last layer of a classifier."""

    def features(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        signed = torch.tensor(images, dtype=torch.float32).div_(255)
        batch = signed.unsqueeze(1) if signed.ndim == 3 else signed.permute(0, 3, 1, 2)  # noqa: PLR2004  # (n, rows, columns)
        with torch.inference_mode():
            return np.asarray(network.features(batch).mean(dim=(2, 3)).numpy(), dtype=np.float32)

    return features


def copies(generator: Generator, parts: Parts, network: Network, count: int) -> dict[str, Any]:
    """Return the check against copies by pictures and by the features of a classifier."""
    labels = np.full(count, parts.rare, dtype=np.int64)
    made = sample(generator, labels, generator=np.random.default_rng(4))
    training, held_out = (
        part.images[part.labels == parts.rare] for part in (parts.training, parts.validation)
    )
    return {
        name: dataclasses.asdict(
            check_memorisation(made, training=training, held_out=held_out, features=features)
        )
        for name, features in (
            ("pictures", picture_vectors),
            ("features", network_features(network)),
        )
    }


def measure(setting: Setting, dataset: Dataset, *, effort: Effort, work: Path) -> dict[str, Any]:
    """Return everything about one data set; a stopped measurement goes on where it was."""
    parts = read_parts(setting, dataset)
    folder = work / setting.data_set
    (folder / "gan").mkdir(parents=True, exist_ok=True)
    start = time.process_time()
    generator = fit_gan(
        parts.training,
        classes=parts.classes,
        config=effort.gan,
        folder=folder / "gan",
        run_digest=_digest(parts.training, effort.gan),
    )
    networks = {
        arm: [
            fit_arm(
                parts,
                arm,
                generator,
                effort=effort,
                seed=seed,
                folder=folder / f"{arm}-{seed}",
            )
            for seed in effort.seeds
        ]
        for arm in ARMS
    }
    counts = np.bincount(parts.training.labels, minlength=parts.classes).tolist()
    return {
        "rare_class": setting.rare,
        "training_images": dict(zip(dataset.classes, counts, strict=True)),
        "test_images": len(parts.groups),
        "seeds": len(effort.seeds),
        "gan": dataclasses.asdict(effort.gan),
        "claimed_recall_points": CLAIMED_RECALL_POINTS,
        "copies": copies(generator, parts, networks["in_balance"][0], effort.gan.samples),
        **compare(networks, parts),
        "cpu_seconds_of_this_run": time.process_time() - start,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure all settings and write the result."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="folder for checkpoints; kept, to go on later")
    parser.add_argument("--only", nargs="*", help="data sets to measure; the others are kept")
    chosen = parser.parse_args(argv)
    if chosen.data is None:
        parser.error("needs --data DIR")
    logging.getLogger("medseal.train").addHandler(logging.StreamHandler(sys.stderr))
    with tempfile.TemporaryDirectory() as temporary:
        work = chosen.work or Path(temporary)
        result = {
            setting.data_set: measure(
                setting,
                read_dataset(setting.data_set, chosen.data),
                effort=QUICK if chosen.quick else EFFORTS[setting.data_set],
                work=work,
            )
            for setting in SETTINGS
            if not chosen.only or setting.data_set in chosen.only
        }
    path = chosen.output / f"gan{'.quick' if chosen.quick else ''}.json"
    if chosen.only and path.is_file():
        result = {**json.loads(path.read_text())["result"]["data_sets"], **result}
    write_result("gan", {"arms": dict(ARMS), "data_sets": result}, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
