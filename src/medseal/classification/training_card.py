"""The card of a model that has just been trained: origin of the data, settings, figures."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from medseal.classification.methods import Fitted, Run
from medseal.datasets.split import PARTS
from medseal.digest import Digest
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card

__all__ = ["card_of", "metrics_of", "stored_card"]

_NOT_STATED = "not stated"


def card_of(run: Run, fitted: Fitted) -> Card:
    """Return the card without calibration and figures."""
    return stored_card(
        run, preprocess=fitted.preprocess, network=fitted.network, notes=fitted.notes
    )


def stored_card(
    run: Run,
    *,
    preprocess: PreprocessConfig,
    network: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> Card:
    """Return the card of a model that need not classify.

    Parameters
    ----------
    run
        Where it comes from.
    preprocess
        Of the images that it takes or makes.
    network, notes
        For the card, under [network] and [training].
    """
    config, dataset, split = run.config, run.dataset, run.split
    settings: dict[str, Any] = {**preprocess.to_dict(), "digest": str(preprocess.digest)}
    sources = Counter((record.source, record.licence) for record in dataset.records)
    training: dict[str, Any] = {
        "dataset": dataset.name,
        "sources": [source or _NOT_STATED for source, _ in sorted(sources)],
        "licences": [licence or _NOT_STATED for _, licence in sorted(sources)],
        **{
            name: list(value)
            for name, value in (("kept", config.data.sources), ("left_out", config.data.without))
            if value
        },
        "split_seed": config.split_seed,
        "split_digest": str(split.digest),
        **{f"{part}_images": len(split.members[part]) for part in PARTS},
        **{f"{part}_groups": len({m.group for m in split.members[part]}) for part in PARTS},
        **notes,
    }
    return Card(
        id=config.id,
        version=config.version,
        task=config.task,
        modality=config.modality,
        method=config.method,
        sha256=Digest.plain(b""),  # set by weights.save
        default=config.default,
        limits=config.limits,
        classes=dataset.classes,
        preprocess=settings,
        network=network,
        training=training,
    )


def metrics_of(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures for the card: [estimate, low, high] each.

    Parameters
    ----------
    evaluation
        As `medseal.classification.evaluation.score` gives it, with ``part``, and ``left_out`` if
        sources were left out.
    """
    metrics = {"part": evaluation["part"], **_figures(evaluation)}
    if "left_out" in evaluation:
        metrics["left_out"] = _figures(evaluation["left_out"])
    return metrics


def _figures(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    figures = {
        name: list(value.values())
        for name, value in evaluation["figures"].items()
        if None not in value.values()
    }
    return {
        "images": evaluation["images"],
        "groups": evaluation["groups"],
        "interval": "95 % bootstrap by group",
        "confusion_matrix": evaluation["confusion_matrix"],
        **figures,
    }
