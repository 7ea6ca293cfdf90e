"""Settings of the generative adversarial network."""

from dataclasses import dataclass

from medseal.errors import ConfigurationError

__all__ = ["GanConfig"]

_SIDES = (32, 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class GanConfig:
    """What the networks are and how they are trained.

    Attributes
    ----------
    latent
        Numbers that a generated image is made from, beside its class.
    width
        Filters of the generator's last hidden layer; each layer before it has twice as many.
    steps
        Of the generator.
    batch_size
        Real and generated images a step of the discriminator.
    generator_rate, discriminator_rate
        Learning rates of Adam.
    ema_decay
        Of the moving average of the generator that is sampled, in [0, 1).
    differentiable_augmentation
        Whether the discriminator sees real and generated images changed in the same ways
        (colour, shift, cut-out), without which it learns a small training set by heart.
    balance
        Whether both classes are drawn equally often.
    seed
        Of weights, order and noise.
    threads
        Of torch; part of the settings because sums depend on it in the last bit.
    bfloat16
        Whether forward passes run in bfloat16 (autocast).
    save_every
        Steps between two checkpoints.
    samples
        Images generated of each class for the check against memorisation.

    Raises
    ------
    ConfigurationError
        A value is out of range.
    """

    latent: int = 64
    width: int = 32
    steps: int = 4000
    batch_size: int = 32
    generator_rate: float = 0.0002
    discriminator_rate: float = 0.0002
    ema_decay: float = 0.999
    differentiable_augmentation: bool = True
    balance: bool = True
    seed: int = 1
    threads: int = 2
    bfloat16: bool = True
    save_every: int = 500
    samples: int = 256

    def __post_init__(self) -> None:
        counts = (
            self.latent,
            self.width,
            self.steps,
            self.threads,
            self.save_every,
            self.samples,
        )
        if min(counts) < 1 or min(self.generator_rate, self.discriminator_rate) <= 0:
            raise ConfigurationError("the settings in [gan] must be positive")
        if self.batch_size < 2 or self.seed < 0 or not 0 <= self.ema_decay < 1:  # noqa: PLR2004  # batch statistics of one image are none
            raise ConfigurationError(
                "[gan] batch_size is at least 2, seed at least 0, ema_decay in [0, 1)"
            )


def check_side(rows: int, columns: int) -> None:
    """Refuse a size of images that the networks are not built for.

    Raises
    ------
    ConfigurationError
        Other than 32x32 or 64x64.
    """
    if rows != columns or rows not in _SIDES:
        raise ConfigurationError("a GAN makes images of 32x32 or 64x64: set rows and columns so")
