"""Registers, spills and memory of the Triton kernels of the rasterizer, compiled for an H200 that is not there.

    python -m benchmarks.registers --channels 4,12,36
    python -m benchmarks.registers --memory

Needs `jax[cuda13]` (it brings `ptxas`), but no GPU and no driver: XLA compiles for a described device and leaves what
it hands to the assembler. Nothing is run. One line per kernel: `spilled` are bytes stored and loaded, `shared` bytes,
`programs` is how many tiles (of the sums: blocks of Gaussians) a multiprocessor holds at once. With `--memory`: what
temporary memory image and gradients take per intersection, without the scratch space of the sorting library.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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
GAUSSIANS, WIDTH, HEIGHT, CAPACITY = 20_000, 512, 288, 1 << 17
LARGE = 1 << 22
"""A capacity beside which everything else is small."""


def compile_gradient(channels: int, capacity: int) -> int:
    """Compile the gradients of a picture with so many features, depth included: bytes of temporary memory."""
    import jax
    from jax.experimental import topologies
    from mom3d_jax.kernels import backends

    topology = topologies.get_topology_desc(platform="cuda", topology_name="h200", target_config=H200, topology="1x1x1")
    mesh = jax.make_mesh((1,), ("device",), (jax.sharding.AxisType.Auto,), devices=topology.devices)
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())

    def loss(*gaussians: Any) -> Any:
        blend = backends.load("pallas_triton")
        size = {"width": WIDTH, "height": HEIGHT, "capacity": capacity}
        blended, transmittance, _ = blend(*gaussians, **size, deterministic=True)
        return (blended * blended).sum() + (transmittance * transmittance).sum()

    shapes = [(GAUSSIANS, 2), (GAUSSIANS, 3), (GAUSSIANS, channels), (GAUSSIANS,), (GAUSSIANS,)]
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)), in_shardings=whole, out_shardings=whole)
    with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
        compiled = gradient.lower(*(jax.ShapeDtypeStruct(s, "float32") for s in shapes)).compile()
    return compiled.memory_analysis().temp_size_in_bytes


def assembler() -> Path:
    """The `ptxas` that is installed with JAX.

    Raises:
      SystemExit: there is none.
    """
    import nvidia

    found = sorted(p for root in nvidia.__path__ for p in Path(root).rglob("bin/ptxas"))
    if not found:
        raise SystemExit("no ptxas beside JAX: pip install 'jax[cuda13]'")
    return found[0]


def report(channels: int, dump: Path) -> list[str]:
    """One line per kernel from the files that XLA left."""
    lines = []
    launches = "\n".join(p.read_text() for p in dump.glob("*thunk_sequence.txt"))
    for file in sorted(dump.glob("*.ptx")):
        entry = re.search(r"\.entry (rasterize_\w+)", file.read_text())
        if entry is None:
            continue
        name = entry[1]
        command = [assembler(), "-arch=sm_90a", "-v", file, "-o", os.devnull]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        registers = max(map(int, re.findall(r"Used (\d+) registers", said)))
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", said)))
        launch = re.findall(name + r" grid: .*?threads: \[(\d+),.*?shared_memory: (\d+)", launches)[0]
        warps, shared = int(launch[0]) // 32, int(launch[1])
        # An SM holds 65,536 registers, given out to a warp in units of 256, 32 programs, and 228 KiB of shared memory,
        # of which each program takes one more than it asks for.
        by_registers = 65536 // (-(-registers * 32 // 256) * 256 * warps)
        programs = min(32, by_registers, 233472 // (shared + 1024))
        lines.append(f"{channels:8} {name:20} {warps:5} {registers:9} {spilled:7} {shared:7} {programs:8}")
    return sorted(lines)


def print_kernels(channels: list[int]) -> None:
    """The table of kernels."""
    print("channels kernel               warps registers spilled  shared programs")
    for number in channels:
        with tempfile.TemporaryDirectory() as folder:
            # XLA reads its flags once per process.
            command = [sys.executable, "-m", "benchmarks.registers", f"--channels={number}", "--compile-only"]
            flags = f"--xla_dump_to={folder} --xla_dump_hlo_as_text --xla_dump_emitter_re=.*"
            subprocess.run(command, env={**os.environ, "XLA_FLAGS": flags}, check=True)
            print("\n".join(report(number, Path(folder))), flush=True)


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default="4", help="numbers of features, depth included, with commas")
    parser.add_argument("--memory", action="store_true", help="memory per intersection instead of registers")
    parser.add_argument("--compile-only", action="store_true", help="print nothing; for XLA_FLAGS of one's own")
    options = parser.parse_args()
    channels = [int(number) for number in options.channels.split(",")]
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    # Without it the plugin insists on a driver.
    os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")
    if options.compile_only:
        for number in channels:
            compile_gradient(number, CAPACITY)
    elif options.memory:
        for number in channels:
            few, more = (compile_gradient(number, capacity) for capacity in (LARGE, 2 * LARGE))
            print(f"{number} channels: {(more - few) / LARGE:.0f} bytes per intersection")
    else:
        print_kernels(channels)


if __name__ == "__main__":
    main()
