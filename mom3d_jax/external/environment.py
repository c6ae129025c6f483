"""The environment of a worker: the user's, without what belongs to JAX and to the Python that runs it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

PREFIXES = ("JAX_", "XLA_", "TF_", "TPU_", "PYTHON", "CUDNN_")
"""Variables that speak to JAX, to its libraries or to another Python."""
NAMES = {
    *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"),
    *("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_MODULE_LOADING", "NVIDIA_TF32_OVERRIDE"),
    *("VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "__PYVENV_LAUNCHER__"),
}
"""Libraries of one CUDA release break programs that bring another; what a model needs is said in its settings."""


def worker_environment(python: Path | None, seed: int, own: Mapping[str, str]) -> dict[str, str]:
    """Variables for a worker.

    Args:
      python: its Python, where there is one; the folder it lies in comes first on PATH, ours is taken off.
      seed: of hashes, so that what depends on their order repeats.
      own: of the model's settings; they come last.
    """
    kept = {n: v for n, v in os.environ.items() if n not in NAMES and not n.startswith(PREFIXES)}
    ours = str(Path(sys.prefix) / "bin")
    folders = [str(python.parent)] if python else []
    folders += [f for f in kept.get("PATH", os.defpath).split(os.pathsep) if f != ours]
    return {
        **kept,
        "PATH": os.pathsep.join(folders),
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "PYTHONHASHSEED": str(seed % 2**32),
        # Deterministic matrix products; without it torch refuses them where determinism is asked for.
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        # Nothing is fetched in the middle of a run: weights lie there before it, and their hash is on record.
        "HF_HUB_OFFLINE": "1",
        **{name: str(value) for name, value in own.items()},
    }
