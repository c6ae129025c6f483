"""Bilinear sampling of feature planes."""

from .op import sample_planes

__all__ = ["sample_planes"]
