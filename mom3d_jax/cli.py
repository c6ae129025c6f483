"""What the entry points share: flags, logging, and the line that a user sees when something is wrong."""

import logging
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from absl import flags
from ml_collections import ConfigDict, config_flags

PACKAGE = Path(__file__).resolve().parent
KERNELS = PACKAGE.parent / "kernels"

CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe, such as configs/preview.py.")
INPUT = flags.DEFINE_string("input", None, "Image file or scene folder; 'bundled' is the landscape of the demo.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder for everything that is made; a second run goes on in it.")
FORCE = flags.DEFINE_bool("force", False, "Go on in a work folder that was begun with another input or config.")


def parse(argv: list[str], usage: str) -> None:
    """Parse flags. Prints `usage` for --help; ends the process with code 2 and one line on anything unknown."""
    if {"-h", "--help"} & set(argv[1:]):
        print(usage)
        raise SystemExit(0)
    for word in argv[1:]:
        flag, _, recipe = word.partition("=")
        # The flag library reads the file later, and fails in several lines.
        if flag.lstrip("-") == "config" and recipe and not Path(recipe.split(":")[0]).is_file():
            fail(f"{recipe}: no such recipe; there are some in configs/, for example configs/preview.py")
    try:
        words = flags.FLAGS(argv)[1:]
    except (AttributeError, KeyError) as error:  # what config_flags raises for a setting that there is not
        fail(f"unknown setting {_innermost(error)}; all of them are in mom3d_jax/config.py")
    except (flags.Error, TypeError, ValueError, OSError) as error:
        fail(str(error))
    if words:
        fail(f"unexpected argument {words[0]!r}; settings look like --config.time.frames=90")


def _innermost(error: BaseException) -> str:
    """The text inside nested exceptions and quotes, on one line."""
    inside: object = error
    while isinstance(inside, BaseException) and inside.args:
        inside = inside.args[0]
    return " ".join(str(inside).replace("\\n", " ").split()).strip("'\"")


def job() -> tuple[ConfigDict, Path, bool]:
    """The config with `--input` filled in, the work folder, and whether to force."""
    if CONFIG.value is None:
        fail("no recipe given: add --config=configs/preview.py")
    config = CONFIG.value
    if INPUT.value is not None:
        with config.unlocked():
            config.input = INPUT.value
    if not config.input:
        fail("no input given: add --input=PATH, an image file or a scene folder")
    if WORKDIR.value is None:
        fail("no work folder given: add --workdir=OUT")
    return config, Path(WORKDIR.value).expanduser(), FORCE.value


def fail(message: str) -> NoReturn:
    """End the process with one line and code 2."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)


def guarded(action: Callable[[], None]) -> None:
    """Run an entry point: bad input ends with one line and code 2, anything unforeseen with its traceback."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Plain())
    # Our own package only: the libraries below talk at length on INFO.
    log = logging.getLogger("mom3d_jax")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        action()
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error))
    except (ValueError, NotImplementedError, FloatingPointError) as error:
        # Our own code raises these with a line that is meant for the user; from a library they are a bug.
        raised_in = Path(traceback.extract_tb(error.__traceback__)[-1].filename).resolve()
        if not (raised_in.is_relative_to(PACKAGE) or raised_in.is_relative_to(KERNELS)):
            raise
        fail(str(error))


class _Plain(logging.Formatter):
    """Time, message; the level only where it is a warning or worse."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{record.getMessage()}"
