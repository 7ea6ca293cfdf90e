"""Generated images of a class for training, with a check against copies of training images."""

from medseal.classification.gan.config import GanConfig
from medseal.classification.gan.fit import fit_gan
from medseal.classification.gan.memorisation import Memorisation, check_memorisation
from medseal.classification.gan.sample import fill_up, sample

__all__ = ["GanConfig", "Memorisation", "check_memorisation", "fill_up", "fit_gan", "sample"]
