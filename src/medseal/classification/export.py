"""From a trained network to an ONNX file that other runtimes run, gated on validation images."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.classification.examples import Examples, read_examples
from medseal.classification.exported import (
    CARD_NAME,
    MODEL_NAME,
    RECORD_NAME,
    Engine,
    ExportedModel,
    ExportRecord,
    Precision,
    metadata_of,
    write_record,
)
from medseal.classification.gate import GateBounds, GateOutcome, as_texts, compare
from medseal.classification.heldout import Role, known_training, roles_of
from medseal.classification.onnx_graph import OPSET, serialised, to_onnx
from medseal.classification.predict import load, load_folder
from medseal.classification.quantise import RECIPES, Recipe, quantised
from medseal.classification.runtime import engine_version, installed_engines, logits_of_network
from medseal.datasets import Dataset, Record, read_dataset
from medseal.digest import Digest, JsonValue
from medseal.errors import ConfigurationError, ExportRefusedError
from medseal.imaging import display_values
from medseal.imaging.files import write_file
from medseal.imaging.preprocess import standardise
from medseal.imaging.reduced import needed_size, read_reduced
from medseal.weights import is_model_id
from medseal.weights.card import write_card

__all__ = ["ExportConfig", "Material", "export", "export_model", "material_of"]

# Images that int8 scales are fitted on; more change them in the third digit.
_CALIBRATION_IMAGES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """Settings of an export.

    Attributes
    ----------
    precision
        ``f32``; ``bf16``, float32 weights that OpenVINO computes in bfloat16; ``int8``, quantised
        after training (needs NNCF).
    bounds
        Of the gate; the same for every precision.

    Raises
    ------
    ConfigurationError
        No such precision.
    """

    precision: Precision = "bf16"
    bounds: GateBounds = field(default_factory=GateBounds)

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ConfigurationError(f"precision must be one of {', '.join(get_args(Precision))}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """Real images that the gate and the quantisation see.

    Attributes
    ----------
    validation
        What the gate compares on; not trained on, not the test part.
    calibration
        Training images, for int8; None where it is not asked for.
    reduced
        Validation images that reduced decoding applies to, decoded so, in the order of `full`;
        None where there is none.
    full
        The same images, decoded in full.
    facts
        Where they come from; stands in the record.
    """

    validation: Examples
    calibration: NDArray[np.uint8] | None = None
    reduced: NDArray[np.uint8] | None = None
    full: Examples | None = None
    facts: dict[str, JsonValue] = field(default_factory=dict)


def export(
    model: str | Path, data_dir: Path, output: Path, *, config: ExportConfig | None = None
) -> ExportedModel:
    """Export a model after the gate passed on the validation part of its own data set.

    Parameters
    ----------
    model
        Id of an installed model, or a folder that `train` has written.
    data_dir
        Holds the data set that the card names. Phantom images or random arrays are no evidence
        about decisions, so that without real ones there is no export.
    output
        Exists; the folder `card.id` in it is written, or replaced.
    config
        Precision and bounds; bf16 within the default bounds if None.

    Returns
    -------
    ExportedModel
        As written.

    Raises
    ------
    ConfigurationError
        The model has no network, no engine or quantiser is installed, or the split of training
        cannot be found in the data.
    ExportRefusedError
        The gate did not pass; it carries what was found. Nothing was written.
    """
    config = config or ExportConfig()
    is_id = isinstance(model, str) and is_model_id(model)
    classifier = load(str(model)) if is_id else load_folder(Path(model))
    folder = None if is_id else Path(model)
    material = material_of(classifier, folder, data_dir, precision=config.precision)
    return export_model(classifier, material, output, config=config)


def export_model(
    classifier: Classifier, material: Material, output: Path, *, config: ExportConfig
) -> ExportedModel:
    """Export a loaded model after the gate passed on the images of `material`; as `export`."""
    if classifier.network is None:
        raise ConfigurationError(f"{classifier.card.id} has no network that could be exported")
    card_bytes = write_card(classifier.card)
    card_sha256 = Digest.plain(card_bytes)
    metadata = metadata_of(classifier.card, card_sha256=card_sha256, precision=config.precision)
    passed = _passed(classifier, material, config, metadata)
    record = ExportRecord(
        model_id=classifier.card.id,
        card_sha256=card_sha256,
        model_sha256=Digest.plain(passed.network),
        precision=config.precision,
        gates=passed.gates,
        reduced=passed.reduced,
        facts={**material.facts, "bounds": as_texts(asdict(config.bounds)), **passed.facts},
    )
    files = {CARD_NAME: card_bytes, MODEL_NAME: passed.network, RECORD_NAME: write_record(record)}
    _write_folder(output, classifier.card.id, files)
    return ExportedModel(
        card=classifier.card,
        record=record,
        preprocess=classifier.preprocess,
        network=passed.network,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passed:
    """A network that passed the gate, what was found, and how it was made."""

    network: bytes
    gates: dict[Engine, dict[str, JsonValue]]
    reduced: dict[str, JsonValue] | None
    facts: dict[str, JsonValue]


def _passed(
    classifier: Classifier, material: Material, config: ExportConfig, metadata: dict[str, str]
) -> _Passed:
    """Return the first network that the gate lets pass; ExportRefusedError of the last if none.

    In 8 bits there are several recipes, all as fast. They see training images only, but which one
    is taken the validation images decide, out of as many as there are recipes.
    """
    graph = to_onnx(classifier)
    *others, last = RECIPES if config.precision == "int8" else (None,)
    refused: dict[str, JsonValue] = {}

    def attempt(recipe: Recipe | None) -> _Passed:
        made = graph if recipe is None else quantised(graph, material.calibration, recipe=recipe)
        network = serialised(made, metadata, name=classifier.card.id)
        gates, reduced = _gate(classifier, network, material, config)
        facts: dict[str, JsonValue] = {} if recipe is None else {"recipe": recipe}
        facts |= {"refused": refused} if refused else {}
        return _Passed(network=network, gates=gates, reduced=reduced, facts=facts)

    for recipe in others:
        try:
            return attempt(recipe)
        except ExportRefusedError as error:
            refused[str(recipe)] = str(error)
    return attempt(last)


def _gate(
    classifier: Classifier, network: bytes, material: Material, config: ExportConfig
) -> tuple[dict[Engine, dict[str, JsonValue]], dict[str, JsonValue] | None]:
    """Return what was found with each installed engine, and with reduced decoding."""
    engines = installed_engines()
    if not engines:
        raise ConfigurationError("no engine to gate on: pip install 'medseal[runtime]'")
    images, labels = material.validation.images, material.validation.labels
    before = classifier.probabilities(images)
    gates: dict[Engine, dict[str, JsonValue]] = {}
    reduced: dict[str, JsonValue] | None = None
    for engine in engines:
        served = _served(classifier, network, engine, config.precision)
        outcome = compare(before, served.probabilities(images), labels)
        _refuse(classifier.card.id, engine, outcome, config)
        gates[engine] = {"version": engine_version(engine), **outcome.to_dict()}
        if reduced is None and material.reduced is not None and material.full is not None:
            found = compare(
                served.probabilities(material.full.images),
                served.probabilities(material.reduced),
                material.full.labels,
            )
            allowed = not found.reasons(config.bounds)
            reduced = {"engine": engine, "allowed": allowed, **found.to_dict()}
    return gates, reduced


def _served(
    classifier: Classifier, network: bytes, engine: Engine, precision: Precision
) -> Classifier:
    logits = logits_of_network(
        network,
        classifier.preprocess,
        engine=engine,
        precision=precision,
        name=classifier.card.id,
    )
    return Classifier(card=classifier.card, preprocess=classifier.preprocess, logits=logits)


def _refuse(model_id: str, engine: Engine, outcome: GateOutcome, config: ExportConfig) -> None:
    reasons = outcome.reasons(config.bounds)
    if reasons:
        raise ExportRefusedError(
            f"{model_id} is not exported in {config.precision}: with {engine} "
            f"{'; '.join(reasons)}. Choose another precision",
            evidence={"engine": engine, "precision": config.precision, **outcome.to_dict()},
        )


def material_of(
    classifier: Classifier, folder: Path | None, data_dir: Path, *, precision: Precision
) -> Material:
    """Return the validation part of the split on the card, and training images for int8.

    Parameters
    ----------
    classifier
        A trained model.
    folder
        That it was read from; None for an installed one.
    data_dir
        Holds the data set that the card names.
    precision
        For ``int8`` training images are read too.

    Raises
    ------
    ConfigurationError
        The card names no data set, or its split cannot be found in the data.
    """
    card = classifier.card
    name = card.training.get("dataset")
    if not isinstance(name, str):
        raise ConfigurationError(f"the card of {card.id} names no data set")
    data = read_dataset(name, data_dir)
    known = known_training(card, folder=folder, data=data, trained_on=data.root)
    roles = roles_of(data.records, known)
    validation = _with_role(data.records, roles, "validation")
    if known.split is None or not validation:
        raise ConfigurationError(
            f"{data_dir} is not the data that {card.id} was trained on: without its split nobody "
            "knows which images are for validation"
        )
    calibration = None
    if precision == "int8":
        training = _with_role(data.records, roles, "train")
        chosen = training[:: -(-len(training) // _CALIBRATION_IMAGES)]
        calibration = read_examples(data, chosen, config=classifier.preprocess).images
    full, reduced = _reducible(classifier, data, validation)
    return Material(
        validation=read_examples(data, validation, config=classifier.preprocess),
        calibration=calibration,
        reduced=reduced,
        full=full,
        facts={
            "data_set": data.name,
            "part": "validation",
            "split_digest": str(known.split.digest),
            "opset": OPSET,
            "torch": torch.__version__,
        },
    )


def _with_role(records: Sequence[Record], roles: Sequence[Role], wanted: Role) -> list[Record]:
    return [record for record, role in zip(records, roles, strict=True) if role == wanted]


def _reducible(
    classifier: Classifier, data: Dataset, records: Sequence[Record]
) -> tuple[Examples | None, NDArray[np.uint8] | None]:
    """Return the images that reduced decoding applies to, in full and reduced."""
    rows, columns = needed_size(classifier.preprocess)
    full, small, labels = [], [], []
    for record in records:
        bytes_of_file = (data.root / record.path).read_bytes()
        found = read_reduced(bytes_of_file, rows=rows, columns=columns, name=record.path)
        if found is None:
            continue
        whole = display_values(data.read(record))
        full.append(standardise(whole, config=classifier.preprocess))
        small.append(standardise(found.shown[0], config=classifier.preprocess))
        labels.append(data.label_index(record))
    if not full:
        return None, None
    examples: dict[str, Any] = {"images": np.stack(full), "labels": np.array(labels, np.int64)}
    return Examples(**examples), np.stack(small)


def _write_folder(parent: Path, name: str, files: dict[str, bytes]) -> None:
    """Write a folder that appears whole or not at all."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        new = temporary / name
        new.mkdir()
        for file, data in files.items():
            write_file(data, new / file)
        target = parent / name
        if target.exists():
            target.rename(temporary / "replaced")
        new.rename(target)
    finally:
        shutil.rmtree(temporary)
