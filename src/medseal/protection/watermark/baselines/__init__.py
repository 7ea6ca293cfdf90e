"""Other watermarks behind one interface, to measure the product against."""

from medseal.protection.watermark.baselines.block_dct import BlockDct
from medseal.protection.watermark.baselines.method import Method, Reading
from medseal.protection.watermark.baselines.peers import (
    BlindWatermark,
    InvisibleWatermark,
    installed_peers,
)
from medseal.protection.watermark.baselines.spread_spectrum import SpreadSpectrum
from medseal.protection.watermark.baselines.wavelet_svd import WaveletSvd

__all__ = [
    "BlindWatermark",
    "BlockDct",
    "InvisibleWatermark",
    "Method",
    "Reading",
    "SpreadSpectrum",
    "WaveletSvd",
    "installed_peers",
]
