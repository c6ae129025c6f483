"""Registers, spills and memory of the Triton kernels of the rasterizer, compiled for an H200 that is not there.

    python -m benchmarks.registers --channels 4,12,36
    python -m benchmarks.registers --memory --views 25

Needs `jax[cuda13]` (it brings `ptxas`), but no GPU and no driver: XLA compiles for a described device and leaves what
it hands to the assembler. Nothing is run. One line per kernel: `spilled` are bytes stored and loaded, `shared` bytes,
`programs` is how many tiles (of the sums: blocks of Gaussians) a multiprocessor holds at once. With `--memory`: what
temporary memory image and gradients take per intersection, without the scratch space of the sorting library.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mom3d_jax.kernels.rasterize.launch import Launch, choose_launch

H200 = """
gpu_device_info {
  threads_per_block_limit: 1024  threads_per_warp: 32
  shared_memory_per_block: 49152  shared_memory_per_core: 233472  shared_memory_per_block_optin: 232448
  threads_per_core_limit: 2048  core_count: 132  fpus_per_core: 128
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  memory_bandwidth: 4800000000000  l2_cache_size: 62914560  clock_rate_ghz: 1.98  device_memory_size: 150754820096
  cuda_compute_capability { major: 9 minor: 0 }  registers_per_core_limit: 65536  registers_per_block_limit: 65536
}
platform_name: "CUDA"  dnn_version_info { major: 9 minor: 8 }  device_description_str: "NVIDIA H200"
"""
DEVICE = "NVIDIA H200"
GAUSSIANS, WIDTH, HEIGHT, CAPACITY = 20_000, 512, 288, 1 << 17
LARGE = 1 << 22
"""A capacity beside which everything else is small."""
KERNELS = ("forward", "backward", "sum_rows")

Candidate = tuple[str, int, Launch]
"""Kernel, number of features with depth, and how it is cut up."""


def compile_for_h200(function: Any, *shapes: Any) -> Any:
    """XLA's compiled program for the described device."""
    import jax
    from jax.experimental import topologies

    jax.config.update("jax_platforms", "cpu")
    # Without it the plugin insists on a driver.
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
    topology = topologies.get_topology_desc(platform="cuda", topology_name="h200", target_config=H200, topology="1x1x1")
    mesh = jax.make_mesh((1,), ("device",), (jax.sharding.AxisType.Auto,), devices=topology.devices)
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        return jax.jit(function, in_shardings=whole, out_shardings=whole).lower(*shapes).compile()


def compile_kernel(name: str, candidate: Candidate, views: int) -> None:
    """Compile one kernel, as a program of that name."""
    import jax
    from mom3d_jax.kernels.binning.op import Bins
    from mom3d_jax.kernels.rasterize.pallas_triton import Kernels
    from mom3d_jax.kernels.rasterize.tiles import PIXELS, Image

    def array(*shape: int, dtype: str = "float32") -> Any:
        return jax.ShapeDtypeStruct((views, *shape), dtype)

    kernel, channels, launch = candidate
    image = Image(WIDTH, HEIGHT, CAPACITY)
    tiles = image.grid[0] * image.grid[1]
    bins = Bins(
        *(array(*n, dtype="int32") for n in ((CAPACITY,), *[(tiles,)] * 2, (CAPACITY,), *[(GAUSSIANS,)] * 2, ()))
    )
    table, pixels, rows = (
        array(GAUSSIANS, 6 + channels),
        array(tiles, 1 + channels, PIXELS),
        array(CAPACITY, 6 + channels),
    )
    arguments = {"forward": (bins, table), "backward": (bins, table, pixels), "sum_rows": (bins, rows)}[kernel]

    def program(*arrays: Any) -> Any:
        return getattr(Kernels(image, launch), kernel)(*arrays)

    program.__name__ = name
    compile_for_h200(program, *arguments)


def gradient_memory(channels: int, capacity: int, views: int) -> int:
    """Bytes of temporary memory of the gradients of so many pictures, whose features and opacities are shared."""
    import jax
    from mom3d_jax.kernels import backends

    def loss(means2d: Any, conics: Any, features: Any, opacities: Any, depths: Any) -> Any:
        def view(means2d: Any, conics: Any, depths: Any) -> Any:
            size = {"width": WIDTH, "height": HEIGHT, "capacity": capacity}
            blend = backends.load("pallas_triton")
            return blend(means2d, conics, features, opacities, depths, **size, deterministic=True)[:2]

        blended, transmittance = jax.vmap(view)(means2d, conics, depths)
        return (blended * blended).sum() + (transmittance * transmittance).sum()

    shapes = [(views, GAUSSIANS, 2), (views, GAUSSIANS, 3), (GAUSSIANS, channels), (GAUSSIANS,), (views, GAUSSIANS)]
    gradient = jax.grad(loss, argnums=(0, 1, 2, 3))
    compiled = compile_for_h200(gradient, *(jax.ShapeDtypeStruct(s, "float32") for s in shapes))
    return int(compiled.memory_analysis().temp_size_in_bytes)


def assembler() -> Path:
    """The `ptxas` that is installed with JAX.

    Raises:
      SystemExit: there is none.
    """
    try:
        import nvidia
    except ImportError:
        roots = []
    else:
        roots = list(nvidia.__path__)
    found = sorted(p for root in roots for p in Path(root).rglob("bin/ptxas"))
    if not found:
        print("no ptxas beside JAX: pip install 'jax[cuda13]'", file=sys.stderr)
        raise SystemExit(2)
    return found[0]


def resources(candidates: list[Candidate], views: int = 1) -> list[dict[str, Any]]:
    """What each candidate takes: warps, registers, spilled, shared and programs, or the error of its compilation.

    Raises:
      SystemExit: there is no assembler.
    """
    assembler()
    with tempfile.TemporaryDirectory() as folder:
        # XLA reads its flags once per process.
        flags = f"--xla_dump_to={folder} --xla_dump_hlo_as_text --xla_dump_emitter_re=.*"
        names = [(kernel, channels, list(launch)) for kernel, channels, launch in candidates]
        command = [
            sys.executable,
            "-m",
            "benchmarks.registers",
            f"--views={views}",
            "--compile-only",
            json.dumps(names),
        ]
        subprocess.run(command, env={**os.environ, "XLA_FLAGS": flags}, check=True)
        return [_read(Path(folder), f"candidate{i}") for i in range(len(candidates))]


def _read(dump: Path, name: str) -> dict[str, Any]:
    """One row from the files that XLA left of a program."""
    if (failure := dump / f"{name}.error").exists():
        return {"error": failure.read_text()}
    (file,) = (p for p in dump.glob(f"*.jit_{name}.*.ptx") if ".entry rasterize_" in p.read_text())
    command = [assembler(), "-arch=sm_90a", "-v", file, "-o", os.devnull]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    registers = max(map(int, re.findall(r"Used (\d+) registers", said)))
    spilled = sum(map(int, re.findall(r"(\d+) bytes spill", said)))
    thunks = "\n".join(p.read_text() for p in dump.glob(f"*.jit_{name}.thunk_sequence.txt"))
    threads, shared = map(
        int, re.findall(r"rasterize_\w+ grid: .*?threads: \[(\d+),.*?shared_memory: (\d+)", thunks)[0]
    )
    warps = threads // 32
    # An SM holds 65,536 registers, given out to a warp in units of 256, 32 programs, and 228 KiB of shared memory,
    # of which each program takes one more than it asks for.
    by_registers = 65536 // (-(-registers * 32 // 256) * 256 * warps)
    programs = min(32, by_registers, 233472 // (shared + 1024))
    return {"warps": warps, "registers": registers, "spilled": spilled, "shared": shared, "programs": programs}


def compile_only(candidates: list[Any], views: int) -> None:
    """Compile candidates into the folder that XLA_FLAGS names; what fails leaves its error there."""
    folder = Path(re.findall(r"--xla_dump_to=(\S+)", os.environ["XLA_FLAGS"])[0])
    for i, (kernel, channels, launch) in enumerate(candidates):
        name = f"candidate{i}"
        try:
            compile_kernel(name, (kernel, channels, Launch(*launch)), views)
        except Exception as error:  # whatever lowering and compilers raise
            (folder / f"{name}.error").write_text(f"{type(error).__name__}: {error}".splitlines()[0])


def print_kernels(channels: list[int], views: int) -> None:
    """The table of kernels."""
    print("channels kernel    warps registers spilled  shared programs")
    for number in channels:
        launch = choose_launch(number, DEVICE)
        rows = resources([(kernel, number, launch) for kernel in KERNELS], views)
        for kernel, row in zip(KERNELS, rows, strict=True):
            print(f"{number:8} {kernel:9} {_columns(row)}", flush=True)


def _columns(row: dict[str, Any]) -> str:
    if "error" in row:
        return str(row["error"])
    return "{warps:5} {registers:9} {spilled:7} {shared:7} {programs:8}".format(**row)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default="4", help="numbers of features, depth included, with commas")
    parser.add_argument("--views", type=int, default=1, help="images in one launch")
    parser.add_argument("--memory", action="store_true", help="memory per intersection instead of registers")
    parser.add_argument("--compile-only", metavar="JSON", help="compile these candidates, for XLA_FLAGS of one's own")
    options = parser.parse_args()
    channels = [int(number) for number in options.channels.split(",")]
    if options.compile_only:
        compile_only(json.loads(options.compile_only), options.views)
    elif options.memory:
        for number in channels:
            few, more = (gradient_memory(number, capacity, options.views) for capacity in (LARGE, 2 * LARGE))
            each = (more - few) / LARGE / options.views
            print(f"{number} channels, {options.views} views: {each:.0f} bytes per intersection")
    else:
        print_kernels(channels, options.views)


if __name__ == "__main__":
    main()
