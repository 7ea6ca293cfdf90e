"""Invisible watermark in stored values: embed a payload, extract it from any copy."""

from medseal.protection.watermark.embed import DEFAULT_PSNR_DB, MIN_SIDE, embed
from medseal.protection.watermark.extract import Extraction, extract
from medseal.protection.watermark.payload import KEY_BYTES, PAYLOAD_BYTES
from medseal.protection.watermark.removal import (
    Removable,
    embed_removable,
    remove,
    side_information,
)

__all__ = [
    "DEFAULT_PSNR_DB",
    "KEY_BYTES",
    "MIN_SIDE",
    "PAYLOAD_BYTES",
    "Extraction",
    "Removable",
    "embed",
    "embed_removable",
    "extract",
    "remove",
    "side_information",
]
