"""Type names and checks that all ops share."""

import jax
import jax.numpy as jnp
import numpy as np

ArrayLike = jax.Array | np.ndarray


def check_shapes(op: str, **arrays: tuple[ArrayLike, tuple[int | str, ...]]) -> dict[str, int]:
    """Compare arrays with their named shapes and require one floating dtype.

    Args:
      op: name for the message.
      **arrays: array and expected shape by argument name; a letter stands for a size that must agree everywhere.

    Returns:
      The size behind each letter.

    Raises:
      ValueError: a shape that does not fit, or dtypes that differ or are not floating.
    """
    sizes: dict[str, int] = {}
    first, dtype = "", None
    for name, (array, expected) in arrays.items():
        shape = tuple(array.shape)
        wanted = tuple(sizes.get(n, n) if isinstance(n, str) else n for n in expected)
        if len(shape) != len(wanted) or any(isinstance(w, int) and w != s for w, s in zip(wanted, shape, strict=True)):
            raise ValueError(f"{op}: {name} has shape {shape}, expected ({', '.join(map(str, wanted))})")
        sizes.update({n: s for n, s in zip(expected, shape, strict=True) if isinstance(n, str)})
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise ValueError(f"{op}: {name} has dtype {array.dtype}; convert it to float32")
        if dtype is not None and array.dtype != dtype:
            raise ValueError(f"{op}: {name} has dtype {array.dtype} but {first} has {dtype}; convert them to one dtype")
        first, dtype = first or name, array.dtype
    return sizes
