"""Scenes with exact truth from the command line: `python -m mom3d_jax synth --help`."""

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from mom3d_jax.cameras import PATHS
from mom3d_jax.synthetic.dataset import Meter, Plan, write_dataset
from mom3d_jax.synthetic.families import FAMILIES
from mom3d_jax.synthetic.given import read_corruptions
from mom3d_jax.synthetic.truth import TRUTHS

LOOPS = {"both": tuple(TRUTHS), "false": ("advected",), "true": ("periodic",)}

EXPLAINED = f"""
families
  {", ".join(FAMILIES)}

output, in DIR
  manifest.json          which scenes, and how they were made; written last
  NAME/image.png|json    what a user brings: photo and LabelMe annotation; NAME is an input of train.py
  NAME/given/            the same with what --corrupt asks for, also an input of train.py
  NAME/truth/            exact depth, motion, flow, masks, cameras; frames and their motion along paths

examples
  python -m mom3d_jax synth --out data/small --scenes 4
  python -m mom3d_jax synth --out data/full --scenes 12 --size 512x288
  python -m mom3d_jax synth --out data/hard --families waterfall,fjord --scenes 4 --corrupt depth=0.05,flow=1,mask=3
"""


class Parser(argparse.ArgumentParser):
    """Raises what is wrong, for one line without the usage."""

    def error(self, message: str) -> NoReturn:
        """Raise."""
        raise ValueError(f"{message}; python -m mom3d_jax synth --help explains all flags")


def parse(words: Sequence[str]) -> Plan:
    """The command line.

    Raises:
      ValueError: anything unknown or out of range; one line that names it.
    """
    parser = Parser(
        "python -m mom3d_jax synth",
        description="Render procedural landscapes with exact depth, motion, flow, occlusion and frames.",
        epilog=EXPLAINED,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder that gets one folder per scene; a second call "
        "goes on in it")  # fmt: skip
    add("--scenes", type=int, default=1, metavar="N", help="how many: every family with the first seed, then the next")
    add("--size", default="256x144", metavar="WxH", help="of the pictures, px (default 256x144)")
    add("--seed", type=int, default=0, metavar="S", help="first seed (default 0)")
    add("--families", default=",".join(FAMILIES), metavar="A,B", help="which kinds of landscape (default: all)")
    add("--frames", type=int, default=60, metavar="K", help="frames per path, and period of the loop (default 60)")
    add("--paths", default=",".join(PATHS), metavar="A,B", help=f"camera paths (default: {','.join(PATHS)})")
    add("--arrows", type=int, default=1, metavar="K", help="arrows that the annotation has, times what a person would "
        "draw (default 1)")  # fmt: skip
    add("--corrupt", default="", metavar="K=V,…", help="depth=0.05,scale=1.1,flow=1,mask=3,hints=2: what is wrong in "
        "NAME/given")  # fmt: skip
    add("--loop", choices=LOOPS, default="both", help="which truths: content that moves on, that loops, or both")
    add("--workers", type=int, default=os.cpu_count() or 1, metavar="K", help="processes (default: one per core)")
    asked = parser.parse_args(words)
    size = asked.size.split("x")
    if len(size) != 2 or not all(part.isdigit() for part in size):
        raise ValueError(f"--size {asked.size} is not WIDTHxHEIGHT, such as 256x144")
    return Plan(
        out=asked.out.expanduser(),
        scenes=asked.scenes,
        width=int(size[0]),
        height=int(size[1]),
        seed=asked.seed,
        families=tuple(asked.families.split(",")),
        frames=asked.frames,
        paths=tuple(asked.paths.split(",")),
        truths=LOOPS[asked.loop],
        arrows=asked.arrows,
        corruptions=read_corruptions(asked.corrupt),
        workers=asked.workers,
    )


def run(words: Sequence[str], meter: Callable[[str, int, int], Meter]) -> None:
    """Read the command line and render; prints the folder of every scene.

    Args:
      words: of the command line.
      meter: makes a progress meter from (name, total, done before).

    Raises:
      ValueError: bad input; one line that names it and the remedy.
      OSError: something cannot be read or written.
    """
    for folder in write_dataset(parse(words), meter):
        print(folder)
