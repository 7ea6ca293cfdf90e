"""Settings of the blind detector and of its training, read from a TOML file in configs/."""

from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from medseal.errors import ConfigurationError
from medseal.protection.tamper.blind.networks import STRIDE, NetworkConfig
from medseal.weights.config_file import read_run_settings

__all__ = ["METHOD", "BlindConfig", "FitConfig", "read_config"]

METHOD = "tamper-blind"
_LEAST_TILE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """The loop.

    Attributes
    ----------
    seed
        Of weights, draws and order.
    steps, learning_rate, weight_decay
        Of AdamW; the rate falls to 2 % along a cosine.
    tile_sides
        Of the tiles of a step, one of them drawn for each step.
    pairs
        Forged tiles with their clean twins in a step of the smallest tiles; of larger ones as many
        as have the same area.
    twin_share
        Of the clean tiles, those that are the forged one before it was forged; the others come from
        other images. Twins show what a forgery is, others what nature is.
    handled_share
        Of the pairs, those that are compressed, resized, turned and so on after the forgery, from
        the end of the easy steps on.
    first_strength
        Of the forgeries at the first step, as `attacks.random_edit` takes it; 1 at the end of the
        easy steps.
    easy_share
        Of the steps, those in which forgeries become harder and handling sets in.
    positive_weight
        Of the changed places of a tile in the loss of the map, as `losses.blind_loss` takes it.
    average
        Decay of the running mean of the weights, which is what is kept.
    per_collection
        Most images taken from one folder.
    without_families, without_modalities
        Forgeries and images that are validated on but never trained on.
    validation_every
        Steps between two looks at the validation images; state is saved then.
    threads
        Of PyTorch.
    bfloat16
        Convolutions in bfloat16, where the processor has it.
    """

    seed: int = 1
    steps: int = 12000
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    tile_sides: tuple[int, ...] = (128, 160, 192)
    pairs: int = 12
    twin_share: float = 1.0
    handled_share: float = 0.5
    first_strength: float = 0.2
    easy_share: float = 0.33
    positive_weight: float = 0.2
    average: float = 0.998
    per_collection: int = 400
    without_families: tuple[str, ...] = ()
    without_modalities: tuple[str, ...] = ()
    validation_every: int = 1000
    threads: int = 1
    bfloat16: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises
        ------
        ConfigurationError
            A number is out of range.
        """
        counts = (self.steps, self.pairs, self.per_collection, self.validation_every, self.threads)
        if min(counts) < 1:
            raise ConfigurationError("[train] counts are at least 1")
        whole = all(isinstance(side, int) and side % STRIDE == 0 for side in self.tile_sides)
        if not self.tile_sides or not whole or min(self.tile_sides) < _LEAST_TILE:
            raise ConfigurationError(
                f"[train] tile sides are multiples of {STRIDE} from {_LEAST_TILE}"
            )
        shares = (self.twin_share, self.handled_share, self.first_strength, self.easy_share)
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigurationError("[train] shares and strength lie in 0 to 1")
        rates = (self.learning_rate, self.weight_decay, self.positive_weight)
        if not all(map(isfinite, rates)) or min(rates) <= 0 or not 0 <= self.average < 1:
            raise ConfigurationError("[train] rates are positive, and average lies in 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindConfig:
    """A file in configs/ with the method ``tamper-blind``.

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


def read_config(path: Path) -> BlindConfig:
    """Return the settings in a file.

    Raises
    ------
    ConfigurationError
        The file cannot be read, is not TOML, or holds a wrong, unknown or missing setting.
    """
    settings = read_run_settings(path, method=METHOD, network=NetworkConfig, train=FitConfig)
    return BlindConfig(**settings)
