"""Pickles are read without running anything: against the standard library and against hostile ones."""

import copyreg
import os
import pickle
import pickletools

import lz4.frame
import numpy as np
import pytest

from mom3d_jax.evaluation.safe_pickle import PickleError, read_array

ARRAY = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["<f2", "<f4", "<f8", ">f4"])
def test_numpy_arrays(protocol, kind):
    array = ARRAY.astype(kind)
    for layout in (array, np.asfortranarray(array), array[..., ::2]):
        found = read_array(pickle.dumps(layout, protocol))
        np.testing.assert_array_equal(found, layout)
        assert found.dtype == np.dtype(kind)


def test_older_numpy_names():
    """NumPy 1 called its core `numpy.core`."""
    data = pickle.dumps(ARRAY, 3)
    assert b"numpy._core.multiarray" in data
    np.testing.assert_array_equal(read_array(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")), ARRAY)


class Calls:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("posix.mkdir", lambda place: Calls(os.mkdir, str(place))),
        (r"(builtins|__builtin__)\.eval", lambda place: Calls(eval, f"__import__('os').mkdir({str(place)!r})")),
        (r"(builtins|__builtin__)\.getattr", lambda place: Calls(getattr, str(place), "join")),
        ("numpy.load", lambda place: Calls(np.load, str(place))),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_nothing_is_run(tmp_path, name, make, protocol):
    """The names are refused; the standard library runs them."""
    place = tmp_path / "made"
    data = pickle.dumps(make(place), protocol)
    with pytest.raises(PickleError, match=f"asks for {name}, which no array needs; do not trust this file"):
        read_array(data)
    assert not place.exists()
    if name == "posix.mkdir":
        pickle.loads(data)
        assert place.exists()


def test_extension_codes_are_names_too():
    copyreg.add_extension("posix", "mkdir", 240)
    try:
        with pytest.raises(PickleError, match=r"posix\.mkdir"):
            read_array(pickle.PROTO + b"\x02" + pickle.EXT1 + b"\xf0.")
    finally:
        copyreg.remove_extension("posix", "mkdir", 240)


@pytest.mark.parametrize(
    "data",
    [
        b"cnumpy\nndarray\n}S'name'\nS'x'\nsb.",  # changes a name
        b"cnumpy\nndarray\n)\x81.",  # makes an object of it
        b"\x80\x02)R.",  # calls what is not there
        b"\x80\x02]K\x01a.",  # [1]
        b"\x80\x02K\x01r\xff\xff\xff\x7f.",  # remembers at place 2³¹, for which the room would be made
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.",  # 2⁴⁸ bytes that are not there
        b"\x80\x02" + b"(" * 100_000,
        b"",
    ],
)
def test_damage_that_the_standard_library_trips_over(data):
    with pytest.raises(PickleError, match=r"damaged|do not trust|does not hold"):
        read_array(data)


def tensors(repository):
    return [
        lz4.frame.decompress((repository / "tests" / "evaluation" / f"torch_{name}.pth").read_bytes())
        for name in ("pickled", "saved", "saved_legacy")
    ]


def test_every_truncation_is_told(repository):
    for data in [pickle.dumps(ARRAY), *tensors(repository)]:
        read_array(data)
        for end in range(len(data)):
            with pytest.raises(PickleError):
                read_array(data[:end])


def test_noise_gives_an_array_or_the_one_error(repository):
    rng = np.random.default_rng(0)
    for data in [pickle.dumps(ARRAY), *tensors(repository)]:
        for _ in range(300):
            noisy = bytearray(data)
            for place in rng.integers(0, len(data), 3):
                noisy[place] = rng.integers(256)
            try:
                assert read_array(bytes(noisy)).dtype.kind == "f"
            except PickleError as error:
                assert "\n" not in str(error)


def numbers(*values):
    """A tuple of four small numbers, as torch's pickles have it."""
    return b"(" + b"".join(pickle.BININT1 + bytes([n]) for n in values) + b"t"


def resized(data, before, after):
    """A tensor's pickle with another size or stride."""
    assert data.count(numbers(*before)) == 1
    return data.replace(numbers(*before), numbers(*after))


@pytest.mark.parametrize(
    ("before", "after"),
    [((1, 2, 3, 4), (1, 2, 3, 5)), ((1, 2, 3, 4), (200, 200, 200, 200)), ((24, 12, 4, 1), (24, 13, 4, 1))],
)
def test_tensors_stay_inside_their_storage(repository, before, after):
    data = tensors(repository)[0]
    with pytest.raises(PickleError, match="damaged"):
        read_array(resized(data, before, after))


def test_strides_of_nothing_do_not_multiply(repository):
    """Strides of 0 stay inside any storage and could ask for any size."""
    data = resized(tensors(repository)[0], (24, 12, 4, 1), (0, 0, 0, 0))
    assert (read_array(data) == -1).all()
    with pytest.raises(PickleError, match="damaged"):
        read_array(resized(data, (1, 2, 3, 4), (200, 200, 200, 200)))


def test_the_fixtures_are_what_torch_writes(repository):
    """Their pickles name what torch names, so that the tests above prove something about its files."""
    names = {
        argument for code, argument, _ in pickletools.genops(tensors(repository)[0]) if code.name.endswith("UNICODE")
    }
    assert {"torch._utils", "_rebuild_tensor_v2", "torch.storage", "_load_from_bytes"} <= names
