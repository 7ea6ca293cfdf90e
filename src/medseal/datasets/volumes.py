"""Volumes: which slices to train on; a prediction of a volume is the mean over its slices."""

from medseal.errors import ConfigurationError

__all__ = ["MAX_SLICES", "slice_numbers"]

# Slices of one volume that training takes; neighbours show almost the same.
MAX_SLICES = 32


def slice_numbers(frames: int, *, at_most: int = MAX_SLICES) -> tuple[int, ...]:
    """Return which frames of a volume are examples: evenly spaced, never the outermost if fewer.

    Parameters
    ----------
    frames
        Number of frames, 1 for a single image.
    at_most
        Number of slices to take.

    Raises
    ------
    ConfigurationError
        A number is below 1.

    Notes
    -----
    A volume is one record, so its slices never cross a split. `Classifier.predict` gives a volume
    the mean of the calibrated probabilities of all its slices.
    """
    if frames < 1 or at_most < 1:
        raise ConfigurationError("slices are taken from at least one frame, and at least one")
    count = min(frames, at_most)
    return tuple(int((index + 0.5) * frames / count) for index in range(count))
