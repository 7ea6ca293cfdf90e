"""The card of a model: what it is for, what it was trained on, how good it is, its limits."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from medseal.digest import Digest
from medseal.errors import InputError, WeightsError

__all__ = [
    "FORMAT",
    "MAX_CARD_BYTES",
    "Card",
    "TomlValue",
    "is_model_id",
    "parse_card",
    "write_card",
]

FORMAT = "medseal/model-card/v1"
# Cards are a few kilobytes; this bounds what the TOML parser is given.
MAX_CARD_BYTES = 64 * 2**10
_MODEL_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MAX_ID_CHARACTERS = 64
_FIRST_LINE = f'format = "{FORMAT}"\n'.encode()
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

TomlValue = str | int | float | bool | list["TomlValue"] | Mapping[str, "TomlValue"]
Table = Mapping[str, TomlValue]


def _empty() -> Table:
    return MappingProxyType({})


def is_model_id(text: str) -> bool:
    """Return whether `text` is lower-case words joined by hyphens, so safe as a folder name."""
    return len(text) <= _MAX_ID_CHARACTERS and _MODEL_ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Contents of ``card.toml``.

    Attributes
    ----------
    id
        The model id; also the name of its folder and of its file in ``configs/``.
    version
        Of the weights, for example ``1``.
    task
        What is decided, for example ``tumour``.
    modality
        DICOM code of the images it takes, or ``any``.
    method
        Which code turns the tensors into a model.
    sha256
        Of ``weights.safetensors``.
    default
        Whether a command takes this model for its task and modality when none is named.
    classes
        Names in the order of the outputs; empty for a model that does not classify.
    limits
        What the model is not good for, in plain words.
    preprocess, network, calibration, training, metrics
        Settings, origin of the data and measured figures, each with the names of its part.

    Raises
    ------
    WeightsError
        The id is not a model id, or a text is empty.
    """

    id: str
    version: str
    task: str
    modality: str
    method: str
    sha256: Digest
    default: bool
    limits: str
    classes: tuple[str, ...] = ()
    preprocess: Table = field(default_factory=_empty)
    network: Table = field(default_factory=_empty)
    calibration: Table = field(default_factory=_empty)
    training: Table = field(default_factory=_empty)
    metrics: Table = field(default_factory=_empty)

    def __post_init__(self) -> None:
        if not is_model_id(self.id):
            raise WeightsError("a model id is lower-case words joined by hyphens")
        for name in ("version", "task", "modality", "method", "limits"):
            if not getattr(self, name):
                raise WeightsError(f"card of {self.id}: {name} is empty")


_TEXTS = ("id", "version", "task", "modality", "method", "limits")
_TABLES = ("preprocess", "network", "calibration", "training", "metrics")
_REQUIRED: Mapping[str, type] = {**dict.fromkeys(_TEXTS, str), "default": bool, "sha256": str}
_OPTIONAL: Mapping[str, type] = {"classes": list, **dict.fromkeys(_TABLES, dict)}


def parse_card(data: bytes, *, name: str) -> Card:
    """Return the card in `data`.

    Parameters
    ----------
    data
        At most `MAX_CARD_BYTES`, exactly as `write_card` writes it (docs/spec/model-folder.md).
    name
        Of the model, for messages.

    Raises
    ------
    WeightsError
        Too large, of another version, not TOML, a field is missing, unknown or of the wrong type,
        or spelled otherwise than `write_card` does.
    """
    if len(data) > MAX_CARD_BYTES:
        raise WeightsError(f"card of {name}: more than {MAX_CARD_BYTES} bytes")
    if not data.startswith(_FIRST_LINE):
        raise WeightsError(f"card of {name}: the first line must say {FORMAT}")
    try:
        value = tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        raise WeightsError(f"card of {name}: not valid TOML") from None
    _check_fields(value, name=name)
    try:
        sha256 = Digest.parse(value["sha256"])
    except InputError:
        raise WeightsError(f"card of {name}: sha256 is not a digest") from None
    fields = {
        **value,
        "sha256": sha256,
        "classes": tuple(value.get("classes", ())),
        **{table: MappingProxyType(value.get(table, {})) for table in _TABLES},
    }
    card = Card(**fields)
    if write_card(card) != data:
        raise WeightsError(f"card of {name}: not in canonical form")
    return card


def _check_fields(value: dict[str, Any], *, name: str) -> None:
    """Refuse missing, unknown and wrongly typed fields; take out the format, which was checked."""
    del value["format"]
    kinds = {**_REQUIRED, **_OPTIONAL}
    if not set(_REQUIRED) <= set(value) <= set(kinds):
        wrong = sorted(set(_REQUIRED) - set(value)) + sorted(set(value) - set(kinds))
        raise WeightsError(f"card of {name}: missing or unknown fields: {', '.join(wrong)}")
    for key, item in value.items():
        if type(item) is not kinds[key]:
            raise WeightsError(f"card of {name}: {key} has the wrong type")
    if not all(isinstance(item, str) for item in value.get("classes", [])):
        raise WeightsError(f"card of {name}: a class has a name")


def write_card(card: Card) -> bytes:
    """Return the card as UTF-8 TOML; `parse_card` gives an equal card back."""
    lines = [_FIRST_LINE.decode().rstrip()]
    for name in ("id", "version", "task", "modality", "method", "default"):
        lines.append(f"{name} = {_inline(getattr(card, name))}")
    lines.append(f"sha256 = {_inline(str(card.sha256))}")
    lines.append(f"classes = {_inline(list(card.classes))}")
    lines.append(f"limits = {_inline(card.limits)}")
    for name in _TABLES:
        lines.extend(_table(name, getattr(card, name)))
    return ("\n".join(lines) + "\n").encode()


def _table(path: str, table: Table) -> list[str]:
    """Return the lines of a table: its own values first, then the tables inside it."""
    if not table:
        return []
    lines = ["", f"[{path}]"]
    inner: list[str] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            inner.extend(_table(f"{path}.{_key(key)}", value))
        else:
            lines.append(f"{_key(key)} = {_inline(value)}")
    return lines + inner


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _inline(key)


def _inline(value: object) -> str:
    """Return a TOML value on one line (TOML 1.0: String, Integer, Float, Boolean, Array)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        # JSON escapes are TOML escapes, except that TOML also wants U+007F escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    raise WeightsError(f"a card cannot hold a {type(value).__name__}")
