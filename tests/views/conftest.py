"""Makes the ray-cast world available to the tests of this folder."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def worlds():
    """The module `worlds` beside this file."""
    spec = importlib.util.spec_from_file_location("worlds", Path(__file__).with_name("worlds.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
