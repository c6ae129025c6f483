"""Lists of Gaussians per image tile."""

from .op import TILE, Bins, bin_gaussians, bucket, count, tile_grid

__all__ = ["TILE", "Bins", "bin_gaussians", "bucket", "count", "tile_grid"]
