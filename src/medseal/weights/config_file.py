"""A training configuration in TOML: texts of the card, and tables of numbers with defaults."""

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from medseal.errors import ConfigurationError
from medseal.weights.card import is_model_id

__all__ = ["MAX_CONFIG_BYTES", "read_run_settings"]

MAX_CONFIG_BYTES = 64 * 2**10
"""Bytes of the longest configuration."""

_TEXTS = ("id", "version", "task", "modality", "method", "limits")
_OTHERS = ("default", "initial", "network", "train")

_Table = TypeVar("_Table")


def _table_of(kind: type[_Table], values: Any, *, name: str) -> _Table:
    """Return a table of a configuration as the dataclass that stands for it.

    Parameters
    ----------
    kind
        A dataclass each field of which has a default.
    values
        As TOML gives them; a list becomes a tuple, a whole number may stand for a float.
    name
        Of the table, for the message.

    Raises
    ------
    ConfigurationError
        Not a table, an unknown setting, one of the wrong type, or what `kind` itself refuses.
    """
    if not isinstance(values, dict):
        raise ConfigurationError(f"[{name}] is a table")
    defaults = kind()
    known = {one.name for one in fields(kind)}  # type: ignore[arg-type]
    unknown = set(values) - known
    if unknown:
        raise ConfigurationError(f"[{name}] has no setting {', '.join(sorted(unknown))}")
    given = {key: tuple(one) if isinstance(one, list) else one for key, one in values.items()}
    for key, value in given.items():
        wanted = type(getattr(defaults, key))
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ConfigurationError(f"[{name}] {key} is of type {wanted.__name__}")
    return kind(**given)


def _read(path: Path, method: str) -> dict[str, Any]:
    """Return the settings in a file, its texts checked."""
    try:
        data = path.read_bytes()[: MAX_CONFIG_BYTES + 1]
        values = tomllib.loads(data.decode())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigurationError(f"{path}: a configuration has at most {MAX_CONFIG_BYTES} bytes")
    missing = [name for name in _TEXTS if not isinstance(values.get(name), str)]
    if missing:
        raise ConfigurationError(f"{path}: texts are missing: {', '.join(missing)}")
    if values["method"] != method or not is_model_id(values["id"]):
        raise ConfigurationError(f"{path}: method is {method}, id is a model id")
    unknown = set(values) - {*_TEXTS, *_OTHERS}
    if unknown:
        raise ConfigurationError(f"{path}: unknown settings: {', '.join(sorted(unknown))}")
    return values


def read_run_settings(path: Path, *, method: str, network: type, train: type) -> dict[str, Any]:
    """Return the settings of a training run by name, checked.

    Parameters
    ----------
    path
        TOML: the texts of the card; perhaps ``default`` and ``initial``, the id of a model to start
        from; and the tables ``network`` and ``train``.
    method
        That the file must name.
    network, train
        Dataclasses of the two tables, each field with a default.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or holds a wrong, unknown or missing setting.
    """
    values = _read(path, method)
    initial = values.get("initial", "")
    if not isinstance(initial, str) or (initial and not is_model_id(initial)):
        raise ConfigurationError(f"{path}: initial is a model id")
    return {name: values[name] for name in _TEXTS} | {
        "default": values.get("default") is True,
        "initial": initial,
        "network": _table_of(network, values.get("network", {}), name="network"),
        "train": _table_of(train, values.get("train", {}), name="train"),
    }
