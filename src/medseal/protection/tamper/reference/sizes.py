"""Sizes that training and inference share: what the networks see of a plane."""

__all__ = [
    "BANDS",
    "CELLS",
    "DETAIL_CELLS",
    "DETAIL_FLOOR",
    "LOCAL_FLOOR",
    "LOCAL_SIDE",
    "MIDDLE_LEVEL",
    "SPREAD_FLOOR",
    "UNIT_LEVELS",
]

MIDDLE_LEVEL, UNIT_LEVELS = 128.0, 64.0
"""A plane as the networks take it: levels less the middle, in units."""

CELLS = 4
"""Cells a side of a tile whose means the features see beside the trunk's maps."""

BANDS = ((1, 3), (3, 7))
"""Places a side of the two means whose difference is a band of detail."""

DETAIL_CELLS = 2
"""Cells a side of a tile in which the strength of each band is seen."""

DETAIL_FLOOR = 1e-4
"""Added to the mean square of a band: where there is none its logarithm is that of noise."""

LOCAL_SIDE, LOCAL_FLOOR = 15, 0.08
"""Places a side of what is local, and the deviation of even tissue, in units of the plane."""

SPREAD_FLOOR = 1e-6
"""Added to a local variance, so that its root has a slope."""
