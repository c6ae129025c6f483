"""What is done to the flows of the views: the corruption of synthetic data sets."""

from mom3d_jax.synthetic.corruption import COLUMNS, GAIN, NOISE, OUTLIER, ROWS, TURN, Corruption, corrupt, draw

__all__ = ["COLUMNS", "GAIN", "NOISE", "OUTLIER", "ROWS", "TURN", "Corruption", "corrupt", "draw"]
