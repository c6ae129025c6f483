"""What the entry points share: flags, logging, and the line that a user sees when something is wrong."""

import difflib
import itertools
import logging
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

from absl import flags
from ml_collections import ConfigDict, config_flags

PACKAGE = Path(__file__).resolve().parent
KERNELS = PACKAGE.parent / "kernels"
SETTINGS = PACKAGE / "config.py"

CONFIG = config_flags.DEFINE_config_file("config", None, "Recipe, such as configs/preview.py.")
INPUT = flags.DEFINE_string("input", None, "Image file or scene folder; 'bundled' is the landscape of the demo.")
WORKDIR = flags.DEFINE_string("workdir", None, "Folder for everything that is made; a second run goes on in it.")
FORCE = flags.DEFINE_bool("force", False, "Go on in a work folder that was begun with another input or config.")

FLAGS = ("config", "input", "workdir", "force")
SETTING = re.compile(r"--?(?:no)?config\.([^=]+)")
"""A setting on the command line."""
ALIKE = 0.6
"""How alike, from 0 to 1, a name has to be for being suggested."""


def parse(argv: list[str], usage: str) -> None:
    """Parse flags. Prints `usage` for --help; ends the process with code 2 and one line on anything unknown."""
    if {"-h", "--help"} & set(argv[1:]):
        print(usage)
        raise SystemExit(0)
    recipe = _recipe(argv[1:])
    defaults = settings_of(recipe) if recipe is not None else {}
    for setting in filter(None, map(SETTING.match, argv[1:])):
        if recipe is None:
            fail("no recipe given: add --config=configs/preview.py before the settings")
        _check_name(setting[1], defaults)
    try:
        words = flags.FLAGS(argv)[1:]
    except flags.UnrecognizedFlagError as error:
        name = error.flagname
        fail(f"unknown flag --{name}" + (f"; say --config.{name}" if name in defaults else meant(name, FLAGS, "--")))
    except flags.Error as error:
        fail(_wrong_value(str(error), defaults))
    if words:
        fail(f"unexpected argument {words[0]!r}; settings look like --config.time.frames=90")
    values = settings_of(CONFIG.value) if recipe is not None else {}
    for name, default in defaults.items():
        _check_elements(name, default, values[name])


def settings_of(config: ConfigDict) -> dict[str, Any]:
    """Every setting by its dotted name."""
    found: dict[str, Any] = {}
    for name, value in config.items():
        inner = settings_of(value) if isinstance(value, ConfigDict) else None
        found |= {name: value} if inner is None else {f"{name}.{n}": v for n, v in inner.items()}
    return found


def _recipe(words: list[str]) -> ConfigDict | None:
    """What the recipe that is asked for says, before anything is changed on the command line."""
    paths = [w.partition("=")[2] for w in words if re.match("--?config=", w)]
    paths += [following for word, following in itertools.pairwise(words) if word in ("-config", "--config")]
    return load_recipe(paths[-1]) if paths else None


def load_recipe(name: str) -> ConfigDict:
    """What a recipe says, `configs/preview.py` or `recipe.py:argument`; ends with one line and code 2 if it fails."""
    path, colon, argument = name.partition(":")
    if not Path(path).is_file():
        there = [str(p) for folder in ("configs", Path(path).parent) for p in sorted(Path(folder).glob("*.py"))]
        alike = difflib.get_close_matches(path, there, n=1)
        hint = (
            f"; did you mean {alike[0]}?" if alike else "; there are some in configs/, for example configs/preview.py"
        )
        fail(f"{path}: no such recipe{hint}")
    try:
        config = runpy.run_path(path)["get_config"](*[argument] if colon else [])
    except Exception as error:
        if isinstance(error, ValueError) and Path(traceback.extract_tb(error.__traceback__)[-1].filename) == SETTINGS:
            fail(f"--config={name}: {error}")
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        where = f"{path}, line {lines[-1]}" if lines else path
        reason = (str(error).strip().splitlines() or [""])[0]
        fail(f"{where}: the recipe fails with {type(error).__name__}: {reason}")
    if not isinstance(config, ConfigDict):
        fail(f"{path}: its get_config() returns no ConfigDict; start from mom3d_jax.config.default_config()")
    return config


def _check_name(name: str, known: dict[str, Any]) -> None:
    """End with the nearest known setting where there is none of this name."""
    if name in known:
        return
    inside = [other for other in known if other.startswith(f"{name}.")]
    if inside:
        fail(f"{name} is a group of settings; name one of them, for example --config.{inside[0]}=…")
    fail(f"unknown setting {name}{meant(name, known) or ';'} all of them are in mom3d_jax/config.py")


def meant(name: str, known: Iterable[str], before: str = "") -> str:
    """A question that names what is spelled most alike; nothing where nothing is."""

    def likeness(other: str) -> float:
        # A name without its group is compared with the last part of others.
        return difflib.SequenceMatcher(None, name, other if "." in name else other.rpartition(".")[2]).ratio()

    known = list(known)
    best = max(map(likeness, known), default=0.0)
    return f"; did you mean {' or '.join(before + k for k in known if likeness(k) == best)}?" if best > ALIKE else ""


def _wrong_value(words: str, defaults: dict[str, Any]) -> str:
    """The line for a value that cannot be read, from what the flag library says about it."""
    flag = re.match(r"flag --(?:config\.)?([^=]+)=(.*?): ", words, re.DOTALL)
    if flag is None or flag[1] not in {"force", *defaults}:
        return words
    return f"{flag[1]}={flag[2]!r}: {_kind(defaults.get(flag[1], False))} is wanted"


def _kind(default: object) -> str:
    """What a setting takes, in words."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    if isinstance(default, tuple) and default:
        return f"a list of {'names' if isinstance(default[0], str) else 'numbers'} such as {default}"
    return kinds.get(type(default), f"something like {default!r}")


def _check_elements(name: str, default: object, value: object) -> None:
    """End where a list holds names instead of numbers, or the other way round: the flag library does not look."""
    if isinstance(default, tuple) and default and isinstance(value, tuple):
        kind = str if isinstance(default[0], str) else (int, float)
        if not all(isinstance(v, kind) and not isinstance(v, bool) for v in value):
            fail(f"{name}={value!r}: {_kind(default)} is wanted")


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
    workdir = Path(WORKDIR.value).expanduser()
    if workdir.exists() and not workdir.is_dir():
        fail(f"{workdir}: this is a file; --workdir takes a folder")
    return config, workdir, FORCE.value


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
    before = log.level, log.propagate
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
    finally:
        # Whoever calls an entry point from Python may have closed this call's stderr by the next one.
        log.removeHandler(handler)
        log.level, log.propagate = before


class _Plain(logging.Formatter):
    """Time, message; the level only where it is a warning or worse."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{self.formatTime(record, '%H:%M:%S')} {level}{record.getMessage()}"
