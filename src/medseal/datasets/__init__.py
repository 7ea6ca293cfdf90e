"""Labelled images, one split for all of them, and generated phantoms."""

from medseal.datasets.catalogue import NAMES, read_dataset
from medseal.datasets.loader import Dataset, Record
from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.datasets.split import Member, Split, make_split

__all__ = [
    "NAMES",
    "Dataset",
    "Member",
    "Record",
    "Split",
    "ct_phantom",
    "make_split",
    "mr_phantom",
    "read_dataset",
]
