"""Figures of merit for images, marks and classifiers; NumPy only."""

from medseal.metrics.image_quality import psnr, ssim

__all__ = ["psnr", "ssim"]
