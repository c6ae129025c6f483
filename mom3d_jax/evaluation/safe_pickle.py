"""Arrays out of pickles and files of torch.save, without running anything that they ask for.

A pickle is a program: it names functions and has them called. Here every name becomes an inert mark and every call a
record of its name and arguments, so that loading builds a tree of plain values; names that no array needs are refused.
The array is then read off the tree. Nothing of torch is imported.

Formats, from the documentation of Python (`pickle`), NumPy (`ndarray.__reduce__`) and PyTorch (serialization notes):

* NumPy: `_reconstruct` with the state (version, shape, dtype, Fortran order, bytes), or `_frombuffer` (protocol 5);
* torch: `_rebuild_tensor_v2(storage, offset, size, stride, …)`. The storage is a file of torch.save again
  (`_load_from_bytes`), or, inside of one, the persistent id ("storage", type, key, device, numbers);
* torch.save since 1.6: a zip file with `NAME/data.pkl` and the bytes of each storage in `NAME/data/KEY`;
* torch.save before: pickles of a magic number, version and system, then of the object and of the keys of its storages,
  then the count (int64) and the bytes of each storage.
"""

import dataclasses
import io
import math
import pickle
import pickletools
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

NAMES = {
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "numpy.core.multiarray._reconstruct": "reconstruct",
    "numpy._core.multiarray._reconstruct": "reconstruct",
    "numpy.core.numeric._frombuffer": "frombuffer",
    "numpy._core.numeric._frombuffer": "frombuffer",
    "_codecs.encode": "encode",
    "collections.OrderedDict": "hooks",
    "torch._utils._rebuild_tensor_v2": "tensor",
    "torch.storage._load_from_bytes": "saved",
    "torch.HalfStorage": "f2",
    "torch.FloatStorage": "f4",
    "torch.DoubleStorage": "f8",
}
"""The names that a pickle may use, and what they mean here."""

FLOATS = ("f2", "f4", "f8")
MOST_MEMOS = 10_000
"""Highest place in the memo; Python reserves room for all below it, and an array needs a dozen."""
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ZIP_MAGIC = b"PK\x03\x04"
DAMAGED = "it is damaged or cut short; fetch it again"


class PickleError(ValueError):
    """Not an array, damaged, or asking for more than an array needs; the message continues "FILE: "."""


class _Call:
    """A call that was asked for and not made."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...]):
        self.name, self.arguments = name, arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Name:
    """What stands where the pickle names a function or a class."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *arguments: Any) -> _Call:
        return _Call(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        raise PickleError(f"tries to change {self.name}, which no array does; do not trust this file")


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Numbers that lie elsewhere in a file of torch.save."""

    kind: str
    key: str
    count: int


class _Loader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Name:
        """An inert mark for one of `NAMES`."""
        meaning = NAMES.get(f"{module}.{name}")
        if meaning is None:
            shown = ascii(f"{module}.{name}"[:80])[1:-1]
            raise PickleError(f"asks for {shown}, which no array needs; do not trust this file")
        return _Name(meaning)

    def persistent_load(self, pid: Any) -> _Storage:
        """The place of a storage."""
        match pid:
            case ("storage", _Name(name=kind), str(key), str(), int(count), *views) if kind in FLOATS and count >= 0:
                if not any(views):
                    return _Storage(kind, key, count)
        raise PickleError("has a storage that is not of floating numbers; save it as float32")


def _load(stream: io.BytesIO) -> Any:
    """The tree of one pickle; the stream is left behind it."""
    start = stream.tell()
    # A dry run: lengths that the data do not have, and places that would take all memory, are found here.
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name.endswith("PUT") and isinstance(argument, int) and argument > MOST_MEMOS:
            raise PickleError(DAMAGED)
    stream.seek(start)
    return _Loader(stream).load()


Read = Callable[[_Storage], np.ndarray]


def read_array(data: bytes) -> Float[np.ndarray, "..."]:
    """The floating numbers of a pickled NumPy array or torch tensor, or of a file of torch.save that holds one.

    Raises:
      PickleError: anything else.
    """
    try:
        return _array(*_tree(data))
    except PickleError:
        raise
    except Exception as error:  # bytes that are no pickle fail in every way that the machine of pickles can fail
        raise PickleError(f"{DAMAGED} ({type(error).__name__})") from error


def _tree(data: bytes) -> tuple[Any, Read]:
    """The tree of a file, and how its storages are read."""
    if data.startswith(ZIP_MAGIC):
        return _zipped(data)
    stream = io.BytesIO(data)
    first = _load(stream)
    return _legacy(stream) if type(first) is int and first == LEGACY_MAGIC else (first, _none_there)


def _none_there(storage: _Storage) -> np.ndarray:
    raise PickleError(DAMAGED)


def _zipped(data: bytes) -> tuple[Any, Read]:
    archive = zipfile.ZipFile(io.BytesIO(data))
    # torch never compresses; what does might unpack to any size.
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise PickleError(DAMAGED)
    (main,) = (name for name in archive.namelist() if name.endswith("/data.pkl"))
    root = main.removesuffix("data.pkl")
    order = archive.read(f"{root}byteorder") if f"{root}byteorder" in archive.namelist() else b"little"

    def read(storage: _Storage) -> np.ndarray:
        return _numbers(archive.read(f"{root}data/{storage.key}"), storage, ">" if order == b"big" else "<")

    return _load(io.BytesIO(archive.read(main))), read


def _legacy(stream: io.BytesIO) -> tuple[Any, Read]:
    """The rest of the file, after the magic number."""
    version, system = _load(stream), _load(stream)
    if version != 1001 or not isinstance(system, dict):
        raise PickleError("has another version of torch.save than 1001; save it with a current torch")
    order = "<" if system.get("little_endian", True) else ">"
    tree, keys = _load(stream), _load(stream)
    rest = stream.read()

    def read(storage: _Storage) -> np.ndarray:
        # With more than one storage their sizes would have to be known to find the wanted one; a tensor has one.
        if keys != [storage.key]:
            raise PickleError("holds more than one array; save one array or tensor")
        return _numbers(rest[8:], storage, order)

    return tree, read


def _numbers(raw: bytes, storage: _Storage, order: str) -> np.ndarray:
    kind = np.dtype(order + storage.kind)
    if len(raw) != storage.count * kind.itemsize:
        raise PickleError(DAMAGED)
    return np.frombuffer(raw, kind)


def _array(node: Any, read: Read) -> np.ndarray:
    """The array that a tree describes."""
    match node:
        case _Storage():
            return read(node)
        case _Call(name="saved", arguments=(data,)):
            return _array(*_tree(_raw(data)))
        case _Call(name="tensor", arguments=(storage, offset, size, stride, *_)):
            return _strided(_array(storage, read), offset, size, stride)
        case _Call(name="frombuffer", arguments=(raw, dtype, tuple(shape), str(order))) if order in ("C", "F"):
            return np.frombuffer(_raw(raw), _dtype(dtype)).reshape(shape, order="F" if order == "F" else "C")
        case _Call(name="reconstruct", state=(_, tuple(shape), dtype, fortran, raw)):
            return np.frombuffer(_raw(raw), _dtype(dtype)).reshape(shape, order="F" if fortran else "C")
    raise PickleError("does not hold an array of floating numbers; save one array or tensor")


def _strided(storage: np.ndarray, offset: Any, size: Any, stride: Any) -> np.ndarray:
    """A copy of the elements offset + i · stride of a storage, all i below size."""
    counts = (offset, *size, *stride)
    if storage.ndim != 1 or len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in counts):
        raise PickleError(DAMAGED)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 in size or last >= len(storage) or math.prod(size) > len(storage):
        raise PickleError(DAMAGED)
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps).copy()


def _raw(node: Any) -> bytes:
    """Bytes; protocols before 3 have them as text of the same code points."""
    match node:
        case bytes() | bytearray():
            return bytes(node)
        case _Call(name="encode", arguments=(str(text), "latin1")):
            return text.encode("latin1")
    raise PickleError(DAMAGED)


def _dtype(node: Any) -> np.dtype:
    match node:
        case _Call(name="dtype", arguments=(str(kind), *_), state=(_, str(order), *_)) if order in ("<", ">"):
            if kind in FLOATS:
                return np.dtype(order + kind)
            raise PickleError(f"holds numbers of type {kind!r:.20}; save them as float32")
    raise PickleError("holds something else than floating numbers; save them as float32")
