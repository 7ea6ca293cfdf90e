"""Settings of a training run of a restoration network, read from a TOML file in configs/.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from medseal.errors import ConfigurationError
from medseal.protection.encryption.cnn.analog_plan import NetworkConfig
from medseal.weights.config_file import read_run_settings

__all__ = ["METHOD", "AnalogConfig", "FitConfig", "read_config"]

METHOD = "cipher-analog"
_SIDE_MULTIPLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """The loop.

    Attributes
    ----------
    seed
        Of weights, draws and order.
    steps, batch_size, learning_rate, weight_decay
        Of AdamW; the rate falls to 2 % along a cosine.
    patch_side
        Of the cuts that a step is taken on.
    per_collection
        Most images taken from one folder.
    base_share
        Of the cuts, those of which only the base picture came through.
    validation_every
        Steps between two looks at the validation images; state is saved then.
    threads
        Of PyTorch.
    bfloat16
        Convolutions in bfloat16, where the processor has it.
    """

    seed: int = 1
    steps: int = 2000
    batch_size: int = 12
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    patch_side: int = 96
    per_collection: int = 90
    base_share: float = 0.12
    validation_every: int = 200
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
        if min(*counts, self.threads) < 1 or not 0 <= self.base_share <= 1:
            raise ConfigurationError("[train] counts are at least 1 and shares lie in 0 to 1")
        if self.patch_side < _SIDE_MULTIPLE or self.patch_side % _SIDE_MULTIPLE:
            raise ConfigurationError(f"[train] patch_side is a multiple of {_SIDE_MULTIPLE}")
        rates = (self.learning_rate, self.weight_decay)
        if not all(map(isfinite, rates)) or self.learning_rate <= 0 or self.weight_decay < 0:
            raise ConfigurationError("[train] rates are positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogConfig:
    """A file in configs/ with the method ``cipher-analog``.

    Attributes
    ----------
    id, version, task, modality, method, limits
        As on the card.
    default
        Whether this network restores the cipher images of its backbone.
    network, train
        Tables of the file.
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


def read_config(path: Path) -> AnalogConfig:
    """Return the settings in a file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or holds a wrong, unknown or missing setting.
    """
    settings = read_run_settings(path, method=METHOD, network=NetworkConfig, train=FitConfig)
    if settings.pop("initial"):
        raise ConfigurationError(f"{path}: a restoration network starts from its seed alone")
    return AnalogConfig(**settings)
