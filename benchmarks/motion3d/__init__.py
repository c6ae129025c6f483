"""Solvers of 3D-MOM against known motions: `python -m benchmarks.motion3d`."""
