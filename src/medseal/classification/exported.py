"""The folder of an exported model: what it states, and how it is verified before it is parsed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args

from medseal.digest import Digest, JsonValue, canonical_json, parse_canonical_json
from medseal.errors import DigestMismatchError, InputError, WeightsError
from medseal.imaging.files import read_file
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card
from medseal.weights.card import MAX_CARD_BYTES, parse_card
from medseal.weights.store import CARD_NAME

__all__ = [
    "CARD_NAME",
    "FORMAT",
    "MAX_METADATA_BYTES",
    "MAX_MODEL_BYTES",
    "MAX_RECORD_BYTES",
    "MODEL_NAME",
    "RECORD_NAME",
    "Engine",
    "ExportRecord",
    "ExportedModel",
    "Precision",
    "is_exported",
    "metadata_of",
    "onnx_metadata",
    "parse_record",
    "preprocess_of",
    "read_exported",
    "write_record",
]

FORMAT = "medseal/exported-model/v1"
MODEL_NAME, RECORD_NAME = "model.onnx", "export.json"

MAX_MODEL_BYTES = 256 * 2**20
"""Bytes of the network's file; ResNet-50 in float32 has 94 MiB."""

MAX_RECORD_BYTES = 64 * 2**10
"""Bytes of the record of the gate."""

MAX_METADATA_BYTES = 64 * 2**10
"""Bytes of all metadata inside the network's file together."""

Precision = Literal["f32", "bf16", "int8"]
Engine = Literal["openvino", "onnx"]
_PREFIX = "medseal."
_FIELDS = frozenset(
    {"format", "model_id", "card_sha256", "model_sha256", "precision", "reduced", "gates", "facts"}
)
# Protocol Buffers, encoding: wire types, and metadata_props of ModelProto in onnx.proto.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_METADATA_FIELD = 14
_MAX_VARINT_BYTES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecord:
    """Contents of ``export.json``.

    Attributes
    ----------
    model_id
        Of the card.
    card_sha256, model_sha256
        Of the bytes of ``card.toml`` and ``model.onnx``.
    precision
        That the network runs in, where the engine and the processor have it.
    gates
        Engine to what the gate found with it; an engine that is not here was not gated.
    reduced
        What the gate found with reduced decoding; None where it was not measured.
    facts
        Bounds of the gate, data set, part and digest of the split, versions.
    """

    model_id: str
    card_sha256: Digest
    model_sha256: Digest
    precision: Precision
    gates: Mapping[Engine, Mapping[str, JsonValue]]
    reduced: Mapping[str, JsonValue] | None
    facts: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExportedModel:
    """An exported model, verified; the network is not parsed yet.

    Attributes
    ----------
    card
        Of the trained model.
    record
        Of the export.
    preprocess
        Settings that turn display values into the network's input.
    network
        Bytes of the ONNX file.
    """

    card: Card
    record: ExportRecord
    preprocess: PreprocessConfig
    network: bytes


def is_exported(folder: Path) -> bool:
    """Return whether a folder is laid out as an exported model."""
    return (folder / RECORD_NAME).is_file()


def read_exported(folder: Path) -> ExportedModel:
    """Return the exported model in a folder, after these checks in this order.

    1. Each file is read up to its limit.
    2. The record is parsed; it names the digests of the two others.
    3. Card and network have these digests. Only then
    4. the card is parsed, and its preprocessing means here what it meant in training;
    5. the network's own metadata are read, and say the same as the card.

    Raises
    ------
    DigestMismatchError
        The card or the network is not the one that was exported.
    WeightsError
        A file is missing, too large or malformed, or the three do not belong together.
    """
    name = folder.name
    record_bytes = _read(folder / RECORD_NAME, MAX_RECORD_BYTES)
    card_bytes = _read(folder / CARD_NAME, MAX_CARD_BYTES)
    network = _read(folder / MODEL_NAME, MAX_MODEL_BYTES)
    record = parse_record(record_bytes, name=name)
    for data, stated, what in (
        (card_bytes, record.card_sha256, "card"),
        (network, record.model_sha256, "network"),
    ):
        found = Digest.plain(data)
        if found != stated:
            raise DigestMismatchError(
                f"{name}: the {what} is not the one that was exported; export the model again",
                expected=stated.value.hex(),
                actual=found.value.hex(),
            )
    card = parse_card(card_bytes, name=name)
    preprocess = preprocess_of(card)
    if card.id != record.model_id:
        raise WeightsError(
            f"{name}: the record belongs to {record.model_id}, the card to {card.id}"
        )
    expected = metadata_of(card, card_sha256=record.card_sha256, precision=record.precision)
    if onnx_metadata(network, name=name) != expected:
        raise WeightsError(
            f"{name}: the network was exported with other settings than its card states; "
            "export the model again"
        )
    return ExportedModel(card=card, record=record, preprocess=preprocess, network=network)


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_file(path, limit_bytes=limit)
    except InputError as error:
        raise WeightsError(f"{path.parent.name}: {path.name} is missing or too large") from error


def preprocess_of(card: Card) -> PreprocessConfig:
    """Return the settings on a card; the digest shows that they mean the same here.

    Raises
    ------
    WeightsError
        They are malformed, or this version of the package preprocesses otherwise.
    """
    settings: dict[str, Any] = dict(card.preprocess)
    stated = settings.pop("digest", None)
    try:
        config = PreprocessConfig(**settings)
    except (TypeError, InputError) as error:
        raise WeightsError(f"card of {card.id}: [preprocess] is malformed") from error
    if stated != str(config.digest):
        raise WeightsError(f"{card.id} was trained with other preprocessing: update the package")
    return config


def metadata_of(card: Card, *, card_sha256: Digest, precision: Precision) -> dict[str, str]:
    """Return what stands inside the network's file, so that it can be used without its folder."""
    calibration = {"temperature": 1.0, "offsets": [0.0] * len(card.classes), **card.calibration}
    return {
        f"{_PREFIX}format": FORMAT,
        f"{_PREFIX}model_id": card.id,
        f"{_PREFIX}card_sha256": str(card_sha256),
        f"{_PREFIX}weights_sha256": str(card.sha256),
        f"{_PREFIX}precision": precision,
        f"{_PREFIX}classes": json.dumps(list(card.classes)),
        f"{_PREFIX}preprocess": json.dumps(dict(card.preprocess), sort_keys=True),
        f"{_PREFIX}temperature": json.dumps(calibration["temperature"]),
        f"{_PREFIX}offsets": json.dumps(calibration["offsets"]),
        f"{_PREFIX}limits": card.limits,
    }


def write_record(record: ExportRecord) -> bytes:
    """Return the record as canonical JSON; `parse_record` gives an equal record back."""
    return canonical_json(
        {
            "format": FORMAT,
            "model_id": record.model_id,
            "card_sha256": str(record.card_sha256),
            "model_sha256": str(record.model_sha256),
            "precision": record.precision,
            "gates": {engine: dict(found) for engine, found in record.gates.items()},
            "reduced": None if record.reduced is None else dict(record.reduced),
            "facts": dict(record.facts),
        }
    )


def parse_record(data: bytes, *, name: str) -> ExportRecord:
    """Return the record in `data`.

    Raises
    ------
    WeightsError
        Not canonical JSON, of another version, or a field is missing, unknown or malformed.
    """
    try:
        value: Any = parse_canonical_json(data)
        if not isinstance(value, dict) or value.get("format") != FORMAT or set(value) != _FIELDS:
            raise WeightsError(f"{name}: {RECORD_NAME} is not of the form {FORMAT}")
        gates, reduced = value["gates"], value["reduced"]
        tables = [gates, value["facts"], *gates.values(), *([] if reduced is None else [reduced])]
        if not all(isinstance(table, dict) for table in tables) or not (
            set(gates) <= set(get_args(Engine)) and value["precision"] in get_args(Precision)
        ):
            raise WeightsError(f"{name}: {RECORD_NAME} names an unknown engine or precision")
        return ExportRecord(
            model_id=str(value["model_id"]),
            card_sha256=Digest.parse(value["card_sha256"]),
            model_sha256=Digest.parse(value["model_sha256"]),
            precision=value["precision"],
            gates=MappingProxyType({key: MappingProxyType(gate) for key, gate in gates.items()}),
            reduced=None if reduced is None else MappingProxyType(reduced),
            facts=MappingProxyType(value["facts"]),
        )
    except (InputError, AttributeError, TypeError) as error:
        raise WeightsError(f"{name}: {RECORD_NAME} is malformed") from error


def onnx_metadata(data: bytes, *, name: str) -> dict[str, str]:
    """Return the metadata of this package in an ONNX file, without parsing its network.

    Parameters
    ----------
    data
        Of a file whose digest was checked.
    name
        Of the model, for messages.

    Raises
    ------
    WeightsError
        No ONNX file, or more than `MAX_METADATA_BYTES` of metadata, or a key that stands twice.

    References
    ----------
    onnx.proto, ModelProto and StringStringEntryProto; Protocol Buffers, encoding.
    """
    found: dict[str, str] = {}
    size_bytes = 0
    try:
        for number, entry in _fields(memoryview(data)):
            if number != _METADATA_FIELD or entry is None:
                continue
            size_bytes += len(entry)
            parts = {inner: bytes(text or b"").decode() for inner, text in _fields(entry)}
            key = parts.get(1, "")
            if size_bytes > MAX_METADATA_BYTES or key in found:
                raise WeightsError(f"{name}: too many metadata in {MODEL_NAME}")
            if key.startswith(_PREFIX):
                found[key] = parts.get(2, "")
    except (IndexError, ValueError) as error:
        raise WeightsError(f"{name}: {MODEL_NAME} is no ONNX file") from error
    return found


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | None]]:
    """Yield number and, where it is one of bytes, content of each field of a message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind, content = tag & 7, None
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind in _FIXED_BYTES:
            position += _FIXED_BYTES[kind]
        elif kind == _BYTES:
            length, position = _varint(data, position)
            content = data[position : position + length]
            position += length
        else:
            raise ValueError(f"wire type {kind}")
        if position > len(data):
            raise ValueError("a field ends after the message")
        yield tag >> 3, content


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        byte = data[position + shift]
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:  # noqa: PLR2004  the top bit says that more follow
            return value, position + shift + 1
    raise ValueError("a number of more than 64 bits")
