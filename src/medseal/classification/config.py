"""Settings of a training run, read from a TOML file in configs/."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from medseal.classification.augment import AugmentConfig
from medseal.classification.baselines import SvmConfig
from medseal.classification.fit import FitConfig
from medseal.errors import ConfigurationError
from medseal.imaging.preprocess import PreprocessConfig

__all__ = ["MAX_CONFIG_BYTES", "Method", "TrainConfig", "read_config"]

MAX_CONFIG_BYTES = 64 * 2**10
Method = Literal["five-layer-cnn", "linear-svm"]
_Section = TypeVar("_Section", AugmentConfig, FitConfig, PreprocessConfig, SvmConfig)
_TEXTS = ("id", "version", "task", "modality", "method", "dataset", "limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides a run, but the images.

    Attributes
    ----------
    id, version, task, modality, limits, default
        As on the model's card.
    method
        Which kind of model.
    dataset
        Name of the data set.
    split_seed
        Draws the 80/10/10 split.
    abstain_share
        Of the validation images that the model shall leave to a person, in [0, 1).
    preprocess
        Of images, in training and in serving.
    augment, train
        Of the network; not used by the SVM.
    svm
        Not used by the network.

    Raises
    ------
    ConfigurationError
        A value is out of range.
    """

    id: str
    version: str
    task: str
    modality: str
    method: Method
    dataset: str
    limits: str
    default: bool = False
    split_seed: int = 1
    abstain_share: float = 0.05
    preprocess: PreprocessConfig
    augment: AugmentConfig
    train: FitConfig
    svm: SvmConfig

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigurationError(f"method must be one of {', '.join(get_args(Method))}")
        if not 0 <= self.abstain_share < 1 or self.split_seed < 0:
            raise ConfigurationError("abstain_share must lie in [0, 1), split_seed from 0 up")


def read_config(path: Path) -> TrainConfig:
    """Return the settings in a TOML file; what it leaves out keeps its default.

    Raises
    ------
    ConfigurationError
        Unreadable, not TOML, or a setting is missing, unknown or of the wrong type or range.
    """
    try:
        data = path.read_bytes()
        table = tomllib.loads(data[:MAX_CONFIG_BYTES].decode())
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: not valid TOML of {MAX_CONFIG_BYTES} bytes") from error
    try:
        sections = (
            _section(PreprocessConfig, "preprocess", table.pop("preprocess", {})),
            _section(AugmentConfig, "augment", table.pop("augment", {})),
            _section(FitConfig, "train", table.pop("train", {})),
            _section(SvmConfig, "svm", table.pop("svm", {})),
        )
        _check_top(table)
        preprocess, augment, train, svm = sections
        return TrainConfig(**table, preprocess=preprocess, augment=augment, train=train, svm=svm)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def _check_top(table: Mapping[str, object]) -> None:
    kinds: dict[str, tuple[type, ...]] = dict.fromkeys(_TEXTS, (str,))
    kinds |= {"default": (bool,), "split_seed": (int,), "abstain_share": (int, float)}
    unknown = sorted(set(table) - set(kinds)) + sorted(set(_TEXTS) - set(table))
    if unknown:
        raise ConfigurationError(f"missing or unknown settings: {', '.join(unknown)}")
    for name, value in table.items():
        if type(value) not in kinds[name]:
            raise ConfigurationError(f"{name} has the wrong type")


def _section(kind: type[_Section], name: str, table: object) -> _Section:
    """Return the dataclass `kind` from a TOML table, types checked against its defaults."""
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"[{name}] must be a table")
    defaults: dict[str, Any] = {field.name: field.default for field in fields(kind)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in defaults:
            raise ConfigurationError(f"[{name}] has no setting {key}")
        values[key] = _convert(value, like=defaults[key], name=f"[{name}] {key}")
    return kind(**values)


def _convert(value: object, *, like: object, name: str) -> object:
    if isinstance(like, tuple) and isinstance(value, list):
        return tuple(_convert(item, like=like[0], name=name) for item in value)
    if isinstance(like, float) and type(value) is int:
        return float(value)
    if type(value) is not type(like):
        raise ConfigurationError(f"{name} must be of type {type(like).__name__}")
    return value
