"""Settings of a training run of the watermark networks, read from a TOML file in configs/."""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from medseal.errors import ConfigurationError
from medseal.protection.watermark.networks import NetworkConfig
from medseal.weights.config_file import read_run_settings

__all__ = ["METHOD", "FitConfig", "WatermarkConfig", "read_config"]

METHOD = "watermark-cnn"


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


def read_config(path: Path) -> WatermarkConfig:
    """Return the settings in a file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or holds a wrong, unknown or missing setting.
    """
    settings = read_run_settings(path, method=METHOD, network=NetworkConfig, train=FitConfig)
    return WatermarkConfig(**settings)
