"""Settings of a training run of the watermark networks, read from a TOML file in configs/."""

import tomllib
from dataclasses import dataclass, field, fields
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from medseal.errors import ConfigurationError
from medseal.protection.watermark.networks import NetworkConfig
from medseal.weights import is_model_id

__all__ = ["METHOD", "FitConfig", "WatermarkConfig", "read_config"]

METHOD = "watermark-cnn"
MAX_CONFIG_BYTES = 64 * 2**10
_TEXTS = ("id", "version", "task", "modality", "method", "limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """The loop.

    Attributes
    ----------
    seed
        Of weights, draws and order.
    steps, batch_size, learning_rate, weight_decay
        Of AdamW; the rate falls to 3 % along a cosine.
    psnr_db, ssim
        What every residual is held to.
    large_share
        Of the images drawn, those with a long side of at least 384.
    per_collection
        Most images taken from one folder of small images.
    moved_share
        Of the copies, those that are read turned and magnified, as before synchronisation.
    informed
        Codewords fit the host, as the embedder chooses them; else they are drawn at random, which
        is the easier way to begin.
    early_db
        How much louder the first quarter of the steps begins.
    first_strength
        Of the distortions; it reaches 1 after a third of the steps.
    validation_every
        Steps between two looks at the validation images; state is saved then.
    threads
        Of PyTorch.
    bfloat16
        Convolutions in bfloat16, where the processor has it.
    """

    seed: int = 1
    steps: int = 6000
    batch_size: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    psnr_db: float = 45.0
    ssim: float = 0.9905
    large_share: float = 0.72
    per_collection: int = 150
    moved_share: float = 0.25
    informed: bool = False
    early_db: float = 4.0
    first_strength: float = 0.3
    validation_every: int = 250
    threads: int = 1
    bfloat16: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises
        ------
        ConfigurationError
            A number is out of range.
        """
        counts = (self.steps, self.batch_size, self.per_collection, self.validation_every)
        shares = (self.large_share, self.moved_share, self.ssim)
        if min(*counts, self.threads) < 1 or not all(0 <= share <= 1 for share in shares):
            raise ConfigurationError("[train] counts are at least 1 and shares lie in 0 to 1")
        rates = (self.weight_decay, self.early_db, self.first_strength)
        positive = min(self.learning_rate, self.psnr_db) > 0 <= min(rates)
        if not positive or not all(map(isfinite, (self.learning_rate, self.psnr_db, *rates))):
            raise ConfigurationError("[train] rates and decibels are positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkConfig:
    """A file in configs/ with the method ``watermark-cnn``.

    Attributes
    ----------
    id, version, task, modality, method, limits
        As on the card.
    default
        Whether commands take this model when none is named.
    network, train
        Tables of the file.
    initial
        Id of a model of this method in the output folder to start from; empty: drawn from the seed.
    """

    id: str
    version: str
    task: str
    modality: str
    method: str
    limits: str
    default: bool = False
    network: NetworkConfig = field(default_factory=NetworkConfig)
    train: FitConfig = field(default_factory=FitConfig)
    initial: str = ""


_Table = TypeVar("_Table", NetworkConfig, FitConfig)


def _table(kind: type[_Table], values: Any, *, name: str) -> _Table:
    if not isinstance(values, dict):
        raise ConfigurationError(f"[{name}] is a table")
    known = {one.name for one in fields(kind)}
    unknown = set(values) - known
    if unknown:
        raise ConfigurationError(f"[{name}] has no setting {', '.join(sorted(unknown))}")
    for key, value in values.items():
        wanted = type(getattr(kind(), key))
        if type(value) is not wanted and not (wanted is float and type(value) is int):
            raise ConfigurationError(f"[{name}] {key} is of type {wanted.__name__}")
    return kind(**values)


def read_config(path: Path) -> WatermarkConfig:
    """Return the settings in a file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or holds a wrong, unknown or missing setting.
    """
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
    if values["method"] != METHOD or not is_model_id(values["id"]):
        raise ConfigurationError(f"{path}: method is {METHOD}, id is a model id")
    initial = values.get("initial", "")
    if not isinstance(initial, str) or (initial and not is_model_id(initial)):
        raise ConfigurationError(f"{path}: initial is a model id")
    unknown = set(values) - {*_TEXTS, "default", "initial", "network", "train"}
    if unknown:
        raise ConfigurationError(f"{path}: unknown settings: {', '.join(sorted(unknown))}")
    return WatermarkConfig(
        **{name: values[name] for name in _TEXTS},
        default=values.get("default") is True,
        network=_table(NetworkConfig, values.get("network", {}), name="network"),
        train=_table(FitConfig, values.get("train", {}), name="train"),
        initial=initial,
    )
