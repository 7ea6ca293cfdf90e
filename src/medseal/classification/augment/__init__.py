"""Random changes of training images that leave the diagnosis and change the acquisition."""

from medseal.classification.augment.batch import augment
from medseal.classification.augment.config import AugmentConfig
from medseal.classification.augment.mixing import mix_labels

__all__ = ["AugmentConfig", "augment", "mix_labels"]
