"""The PLY layout against the written-down one, and against `struct`."""

import struct

import jax.numpy as jnp
import numpy as np
import pytest

from mom3d_jax.export import PlyReport, read_ply, read_vertices, write_ply
from mom3d_jax.types import Gaussians

NAMES_0 = (
    "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3".split()  # noqa: SIM905
)


def some(n=7, bands=4, seed=0):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
    return Gaussians(
        means=draw(n, 3),
        log_scales=draw(n, 3),
        quaternions=3 * draw(n, 4),
        opacity_logits=draw(n),
        sh=draw(n, bands, 3),
        alive=np.ones(n, bool),
        movable=2,
    )


def test_golden_header(tmp_path):
    write_ply(tmp_path / "a.ply", some(5, 1), comments=["SplatRenderMode: default"])
    expected = "ply\nformat binary_little_endian 1.0\ncomment SplatRenderMode: default\nelement vertex 5\n"
    expected += "".join(f"property float {name}\n" for name in NAMES_0) + "end_header\n"
    assert (tmp_path / "a.ply").read_bytes().startswith(expected.encode())


@pytest.mark.parametrize(("bands", "columns"), [(1, 17), (4, 26), (9, 41), (16, 62)])
def test_length_and_every_value(tmp_path, bands, columns):
    g = some(6, bands)
    report = write_ply(tmp_path / "a.ply", g)
    data = (tmp_path / "a.ply").read_bytes()
    assert report == PlyReport(written=6, dead=0, invisible=0, invalid=0, bytes=len(data))
    start = data.index(b"end_header\n") + len(b"end_header\n")
    assert len(data) == start + 4 * columns * 6
    for i, row in enumerate(struct.iter_unpack(f"<{columns}f", data[start:])):
        rest = [g.sh[i, k, c] for c in range(3) for k in range(1, bands)]
        length = np.sqrt(np.sum(np.float64(g.quaternions[i]) ** 2))
        expected = [*g.means[i], 0, 0, 0, *g.sh[i, 0], *rest, g.opacity_logits[i], *g.log_scales[i]]
        np.testing.assert_array_equal(row[:-4], np.float32(expected))
        np.testing.assert_allclose(row[-4:], g.quaternions[i] / length, rtol=1e-6)


@pytest.mark.parametrize("bands", [1, 4, 16])
def test_round_trip(tmp_path, bands):
    g = some(11, bands)
    write_ply(tmp_path / "a.ply", Gaussians(**{k: jnp.asarray(v) if k != "movable" else v for k, v in vars(g).items()}))
    back = read_ply(tmp_path / "a.ply")
    for name in ("means", "log_scales", "opacity_logits", "sh"):
        np.testing.assert_array_equal(getattr(back, name), getattr(g, name))
        assert getattr(back, name).dtype == np.float32
    unit = g.quaternions / np.linalg.norm(g.quaternions, axis=-1, keepdims=True)
    np.testing.assert_allclose(back.quaternions, unit, rtol=1e-6)
    assert back.alive.all()
    assert back.movable == 0


def foreign(path, columns, layout, kinds=None, newline="\n"):
    """A PLY file as another program might write it, put together by hand."""
    names = list(columns)
    kinds = kinds or {}
    n = len(columns[names[0]])
    head = ["ply", f"format {layout} 1.0", "comment made elsewhere", "obj_info x", f"element vertex {n}"]
    head += [f"property {kinds.get(name, 'float')} {name}" for name in names]
    head += ["element face 1", "property list uchar int vertex_indices", "end_header", ""]
    body = b""
    for i in range(n):
        if layout == "ascii":
            body += (" ".join(repr(float(columns[name][i])) for name in names) + newline).encode()
        else:
            for name in names:
                code = {"double": "d", "uchar": "B"}.get(kinds.get(name, ""), "f")
                value = int(columns[name][i]) if code == "B" else float(columns[name][i])
                body += struct.pack((">" if "big" in layout else "<") + code, value)
    body += b"3 0 1 2\n" if layout == "ascii" else b"\x03" + bytes(12)
    path.write_bytes(newline.join(head).encode() + body)


@pytest.mark.parametrize("layout", ["ascii", "binary_little_endian", "binary_big_endian"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_any_order_any_encoding(tmp_path, layout, newline):
    g = some(5, 4)
    write_ply(tmp_path / "ours.ply", g)
    columns = read_vertices(tmp_path / "ours.ply")
    names = sorted(columns, key=lambda name: hash(("salt", len(name), name[-1], name)) % 1009)
    shuffled = {name: columns[name] for name in names if not name.startswith("n")}
    shuffled["red"] = np.arange(5)
    foreign(tmp_path / "b.ply", shuffled, layout, {"red": "uchar", "x": "double"}, newline)
    back, ours = read_ply(tmp_path / "b.ply"), read_ply(tmp_path / "ours.ply")
    for name in ("means", "log_scales", "quaternions", "opacity_logits", "sh"):
        np.testing.assert_array_equal(getattr(back, name), getattr(ours, name))
    np.testing.assert_array_equal(read_vertices(tmp_path / "b.ply")["red"], np.arange(5))


def test_dead_invisible_and_broken_rows_are_left_out_and_counted(tmp_path):
    g = some(8)
    g.alive[[0, 3]] = False
    g.means[0] = np.nan  # dead anyway: counted once
    g.means[1, 2] = np.nan
    g.sh[2, 3, 1] = np.inf
    g.quaternions[5] = 0
    g.opacity_logits[[0, 6]] = -np.inf
    g.opacity_logits[7] = np.inf
    report = write_ply(tmp_path / "a.ply", g)
    assert (report.written, report.dead, report.invisible, report.invalid) == (1, 2, 1, 4)
    np.testing.assert_array_equal(read_ply(tmp_path / "a.ply").means, g.means[[4]])


def test_empty_set(tmp_path):
    g = some(3)
    g.alive[:] = False
    assert write_ply(tmp_path / "a.ply", g).written == 0
    assert read_ply(tmp_path / "a.ply").sh.shape == (0, 4, 3)


def test_tiny_and_huge_quaternions_are_normalised(tmp_path):
    g = some(2)
    g.quaternions[:] = [[1e-30, 0, 0, 1e-30], [0, 3e30, 4e30, 0]]
    assert write_ply(tmp_path / "a.ply", g).invalid == 0
    np.testing.assert_allclose(
        read_ply(tmp_path / "a.ply").quaternions, [[0.5**0.5, 0, 0, 0.5**0.5], [0, 0.6, 0.8, 0]], rtol=1e-6
    )


def test_broken_files(tmp_path):
    path = tmp_path / "a.ply"
    write_ply(path, some(4))
    good = path.read_bytes()
    cases = {
        b"hello": "is not a PLY file",
        good[:-1]: "is cut short: 4 vertices need 416 bytes, the file has 415",
        good.replace(b"float x\n", b"float a\n"): "holds no 3D Gaussians: without x",
        good.replace(b"float f_rest_8\n", b"float a\n"): "8 f_rest columns are not",
        good.replace(b"float f_rest_8\n", b"float x\n"): "are not distinct",
        good.replace(b"float x\n", b"list uchar int x\n"): "is not a plain number",
        good.replace(b"element vertex 4", b"element face 4"): "stands before the vertices",
        good.replace(b"little_endian", b"middle_endian"): "lacks a known format",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n": "need 1 values, the file has 0",
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\none\n": "is not a number",
    }
    for data, message in cases.items():
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message) as error:
            read_ply(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_bad_comment_and_unwritable_place(tmp_path):
    with pytest.raises(ValueError, match="not a single line of ASCII"):
        write_ply(tmp_path / "a.ply", some(), comments=["two\nlines"])
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*file/a\.ply: ") as error:
        write_ply(tmp_path / "file" / "a.ply", some())
    assert "\n" not in str(error.value)
