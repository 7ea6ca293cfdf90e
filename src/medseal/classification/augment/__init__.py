"""Random changes of training images that leave the diagnosis and change the acquisition."""

from medseal.classification.augment.batch import augment, augment_labelled
from medseal.classification.augment.config import AugmentConfig
from medseal.classification.augment.mixing import mix_labels

__all__ = ["AugmentConfig", "augment", "augment_labelled", "mix_labels"]
