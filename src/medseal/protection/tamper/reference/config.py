"""Settings of the comparison with a record and of its training, read from a TOML file."""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from medseal.errors import ConfigurationError
from medseal.weights.config_file import read_run_settings

__all__ = ["METHOD", "FitConfig", "NetworkConfig", "ReferenceConfig", "read_config"]

METHOD = "tamper-reference"
_SCALES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Sizes of the networks.

    Attributes
    ----------
    channels
        Of the trunk at halves, quarters, eighths and sixteenths.
    features
        Of a tile, from which a key reads a few mixtures.
    inner, blocks
        Channels and residual blocks of the comparison.
    """

    channels: tuple[int, ...] = (16, 32, 48, 64)
    features: int = 12
    inner: int = 80
    blocks: int = 2

    def __post_init__(self) -> None:
        """Refuse what is no network.

        Raises
        ------
        ConfigurationError
            A size is not positive, or there are not four scales.
        """
        whole = all(isinstance(size, int) for size in self.channels)
        if len(self.channels) != _SCALES or not whole or min(self.channels) < 1:
            raise ConfigurationError("[network] channels are four whole numbers")
        if min(self.features, self.inner, self.blocks) < 1:
            raise ConfigurationError("[network] sizes are at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """The loop.

    Attributes
    ----------
    seed
        Of weights and draws.
    steps, batch_size, learning_rate, weight_decay
        Of AdamW; the rate falls to 2 % along a cosine.
    per_collection
        Most images taken from one folder of small images.
    edited_share
        Of the copies, those that are forged.
    moved_share
        Of the copies, those that were turned or scaled and brought back.
    pairs
        ``patches`` of images with errors of registration imitated, or ``whole`` images brought back
        by the registration itself, which `moved_share`, `per_collection` and `coarse` do not touch.
    coarse
        How a record keeps the means of tiles: ``picture``, in eight levels fitted to the image; or
        ``uniform``, with noise drawn, which is the easier way to begin.
    stop_after
        Steps after which the run ends although its schedule goes on; 0 for the whole of it.
    without_families, without_modalities
        Held out: forgeries that are not drawn, and modalities no image of which is read.
    validation_every
        Steps between two looks at the validation images; state is saved then.
    threads
        Of PyTorch.
    bfloat16
        Convolutions in bfloat16, where the processor has it.
    """

    seed: int = 1
    steps: int = 6000
    batch_size: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    per_collection: int = 200
    edited_share: float = 0.6
    moved_share: float = 0.4
    pairs: str = "patches"
    coarse: str = "picture"
    stop_after: int = 0
    without_families: tuple[str, ...] = ()
    without_modalities: tuple[str, ...] = ()
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
        shares = (self.edited_share, self.moved_share)
        if min(*counts, self.threads) < 1 or not all(0 <= share <= 1 for share in shares):
            raise ConfigurationError("[train] counts are at least 1 and shares lie in 0 to 1")
        if self.coarse not in ("picture", "uniform") or not 0 <= self.stop_after <= self.steps:
            raise ConfigurationError("[train] coarse is picture or uniform, stop_after a step")
        if self.pairs not in ("patches", "whole"):
            raise ConfigurationError("[train] pairs are patches or whole")
        rates = (self.learning_rate, self.weight_decay)
        if not (self.learning_rate > 0 <= self.weight_decay and all(map(isfinite, rates))):
            raise ConfigurationError("[train] rates are positive")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceConfig:
    """A file in configs/ with the method ``tamper-reference``.

    Attributes
    ----------
    id, version, task, modality, method, limits
        As on the card.
    default
        Whether this model serves when none is named.
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


def read_config(path: Path) -> ReferenceConfig:
    """Return the settings in a file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or holds a wrong, unknown or missing setting.
    """
    settings = read_run_settings(path, method=METHOD, network=NetworkConfig, train=FitConfig)
    return ReferenceConfig(**settings)
