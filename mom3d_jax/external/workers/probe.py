"""What an environment has: asked by `python -m mom3d_jax doctor`, run by the Python of a model.

    python probe.py REPO MODULE ...

Imports the modules, looks for those of the repository (importing them might start work), and asks torch for GPUs.
Each finding is a line of JSON behind `progress `, so that whatever libraries print does not matter.
"""

import importlib
import importlib.util
import json
import os
import platform
import sys

DEPTH = 4
"""Folders below the repository in which its modules are looked for."""


def tell(**finding):
    """One finding."""
    print("progress " + json.dumps(finding), flush=True)


def in_repository(repo, module):
    """Whether a repository has a module or package of this name; adapters put its inner folders on the path."""
    if not repo:
        return False
    for folder, inner, files in os.walk(repo):
        if module + ".py" in files or module in inner:
            return True
        if folder[len(repo) :].count(os.sep) >= DEPTH:
            inner[:] = []
        inner[:] = [name for name in inner if not name.startswith(".")]
    return False


def version_of(module):
    """Its version, empty where it has none."""
    found = importlib.import_module(module)
    return str(getattr(found, "__version__", ""))


def main(repo, modules):
    """Tell everything."""
    tell(python=platform.python_version())
    for module in modules:
        try:
            tell(module=module, version=version_of(module))
        except BaseException as error:  # libraries that do not fit together raise anything
            if in_repository(repo, module):
                tell(module=module, version="")
                continue
            words = (str(error).strip().splitlines() or [""])[0]
            tell(module=module, error="%s: %s" % (type(error).__name__, words[:300]))
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            tell(gpu=torch.cuda.get_device_name(number), bytes=torch.cuda.get_device_properties(number).total_memory)
    elif hasattr(torch, "backends") and hasattr(torch.backends, "mps") and torch.backends.mps.is_available():
        tell(gpu="mps", bytes=0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
