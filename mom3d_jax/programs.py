"""Compiled programs in a process that lives long.

XLA's programs for CPUs take about nine memory maps each, and JAX keeps every one of them. Linux allows a process 65,530
maps (`vm.max_map_count`); one that has used them up crashes inside the compiler.
"""

import gc
import logging
from pathlib import Path

import jax

log = logging.getLogger(__name__)

MAPS = Path("/proc/self/maps")
LIMIT = Path("/proc/sys/vm/max_map_count")


def release_programs(share: float = 0.4) -> bool:
    """Drop all compiled programs once the process has used up a share of its memory maps; they are compiled anew.

    Args:
      share: of the maps that Linux allows. Other systems have no such limit, and nothing is dropped.

    Returns:
      Whether they were dropped.
    """
    if not (MAPS.exists() and LIMIT.exists()):
        return False
    used, allowed = MAPS.read_bytes().count(b"\n"), int(LIMIT.read_text())
    if used < share * allowed:
        return False
    log.info("%d of %d memory maps are in use: compiled programs are dropped", used, allowed)
    jax.clear_caches()
    gc.collect()
    return True
