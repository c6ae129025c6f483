"""Compare the time fields, with and without motion initialisation, at equal steps.

    python -m benchmarks.fields --config=configs/demo.py --workdir=out/fields

Everything up to the static scene is computed once per seed; each variant then fits the moving scene to its videos from
the same start, over the same number of steps (`stage2.steps` of the recipe). Three fields (`fill`, `loop`, `one_sided`)
times three ways to move:

* 3D-MOM + residual: the Gaussians follow the scene flow, a learned residual corrects them.
* residual alone: no motion initialisation (`displacements.flow_scale` 0), the residual has to find all motion.
* 3D-MOM alone: no residual; what the motion initialisation is worth by itself.

Any input and setting of `train.py` can be given (`--input=PATH`, `--config.stage2.steps=600`, `--force`), and how many
seeds (`--seeds=3`), which landscape a synthetic input is (`--landscape=4`) and where to (`--out=FILE`). A second call
goes on where the first one stopped. An input that is a landscape of `mom3d_jax.synthetic` is also compared with its
exact frames. The table goes to the terminal and, with every figure of every seed, into a JSON file.
"""

import itertools
import json
import logging
import os
import platform
import re
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from benchmarks import clips
from benchmarks.clips import Figures
from mom3d_jax import __version__, artifacts, cli, measure, metrics, pipeline, training
from mom3d_jax.atomic import replacing
from mom3d_jax.cameras import select
from mom3d_jax.cameras.generation import INPUT_VIEW
from mom3d_jax.render import Drawer
from mom3d_jax.stages import input_path
from mom3d_jax.stages.fit import backend_name, dynamics_of

log = logging.getLogger("mom3d_jax.benchmarks.fields")

SEEDS = flags.DEFINE_integer("seeds", 1, "How many seeds, 0 and on; figures are means over them.", lower_bound=1)
LANDSCAPE = flags.DEFINE_integer("landscape", 4, "Seed of the landscape that the input is; 4 is the bundled one.")
OUT = flags.DEFINE_string("out", None, "JSON file; benchmarks/results/fields_<device>.json by default.")

FIELDS = ("fill", "loop", "one_sided")
MOTIONS = {"both": "3D-MOM + residual", "residual": "residual alone", "initial": "3D-MOM alone"}
VARIED = {"time", "displacements", "deformation"}
"""Sections of the config in which variants differ: stages that read none of them, directly or not, are shared."""


def variant(config: ConfigDict, field: str, motion: str, source: Path, seed: int) -> ConfigDict:
    """The recipe with one field and one way to move."""
    c = ConfigDict(config.copy_and_resolve_references())
    with c.unlocked():
        c.input, c.seed, c.time.field = str(source), seed, field
        c.displacements.flow_scale = 0.0 if motion == "residual" else 1.0
        if motion == "initial":
            c.deformation.residual = "none"
    return c


def shared_stages() -> list[str]:
    """The stages whose results are the same for all variants."""
    shared: list[str] = []
    for stage in pipeline.STAGES:
        if not VARIED & set(stage.reads) and set(stage.needs) <= set(shared):
            shared.append(stage.name)
    return shared


def artifact_key(file: Path) -> str:
    """The key that an artifact was made under."""
    with np.load(file, allow_pickle=False) as opened:
        return json.loads(str(opened["__layout__"]))["key"]


def artifact(folder: Path, name: str) -> Any:
    """The artifact of a stage that the pipeline has just found finished or made."""
    file = pipeline.artifact_file(folder, name)
    return artifacts.load(file, artifact_key(file))


def link_shared(base: Path, folder: Path) -> None:
    """Let a variant's work folder start from the shared results of another one, as hard links where they can be.

    The pipeline replaces files and never writes into them, so a link cannot be changed from the other folder.
    """
    for name in shared_stages():
        notes = pipeline.artifact_file(base, name).with_suffix(".json")
        made = [base / path for path in json.loads(notes.read_text())["made"]]
        for source in (pipeline.artifact_file(base, name), notes, *made):
            target = folder / source.relative_to(base)
            if target.exists() and (target.samefile(source) or target.read_bytes() == source.read_bytes()):
                continue
            with replacing(target) as draft:
                try:
                    os.link(source, draft)
                except OSError:  # another file system, or one without links
                    draft.write_bytes(source.read_bytes())


def variant_figures(c: ConfigDict, folder: Path, figures: dict[str, Any], common: Callable[[Any], Figures]) -> Figures:
    """Measure a variant that has been trained."""
    scene, views, static = (artifact(folder, name) for name in ("scene", "views", "stage1"))
    dynamic = artifact(folder, "stage2")
    dynamics, _ = dynamics_of(c, static, artifact(folder, "displacements"))
    drawer = Drawer(training.make_mesh(c.devices), figures["stage2"]["intersections_capacity"], backend_name(c))
    moving = measure.moving(dynamic["gaussians"], dynamics, dynamic["residual"], c.time.field)
    clip = clips.draw_centre(moving, drawer, select(views.cameras, INPUT_VIEW), c.time.frames)
    torn = clips.torn_shares(clip.alpha, np.asarray(scene.mask) > 0.5)
    return {
        "supervision_psnr": figures["stage2"]["train_psnr_masked"],
        "supervision_psnr_min": figures["stage2"]["train_psnr_masked_min"],
        **common(clip.images),
        "torn_share": float(torn.mean()),
        "torn_share_worst": float(torn.max()),
        "gaussians": clip.gaussians,
        "stage2_seconds": figures["seconds"]["stage2"],
    }


def run_seed(config: ConfigDict, workdir: Path, seed: int, force: bool) -> tuple[dict, Figures]:
    """Train and measure all variants from one seed.

    Returns:
      Row name -> figures, and figures of what all variants share.

    Raises:
      ValueError: bad input or settings, or work folders of other settings.
    """
    source, frames = input_path(config, workdir), config.time.frames
    base = workdir / f"seed{seed}" / "base"
    # Known content under `loop` is known under every field, so the animation of `loop` says where all are compared.
    shared = pipeline.run(variant(config, "loop", "both", source, seed), base, until=shared_stages()[-1], force=force)
    scene, flows, looping = (artifact(base, name) for name in ("scene", "flow", "animation"))
    exact = clips.exact_scene(source, LANDSCAPE.value, scene.image.shape[1::-1], frames, workdir)
    flow, known = flows.flow[INPUT_VIEW], centre_of(looping, looping.valid)
    common = partial(
        clips.clip_figures, mask=scene.mask, known=known, flow=flow, exact=exact, crossfade=config.time.crossfade
    )
    rows: dict[str, Figures] = {}
    for (motion, said), field in itertools.product(MOTIONS.items(), FIELDS):
        log.info("seed %d: %s, %s", seed, field, said)
        folder, c = base.with_name(f"{field}_{motion}"), variant(config, field, motion, source, seed)
        link_shared(base, folder)
        figures = pipeline.run(c, folder, until="videos", force=force)
        made_from = [artifact_key(pipeline.artifact_file(folder, name)) for name in ("stage2", "videos")]
        sources = artifacts.key_of_files([Path(__file__), Path(clips.__file__)])
        key, notes = artifacts.key_of(made_from, sources, LANDSCAPE.value), folder / "fields.json"
        if not (notes.is_file() and json.loads(notes.read_text())["key"] == key):
            artifacts.write_json(notes, {"key": key, "figures": variant_figures(c, folder, figures, common)})
        rows[f"`{field}`, {said}"] = json.loads(notes.read_text())["figures"]
    filled = artifact(base.with_name("fill_both"), "animation")
    rows["animator, `fill`"] = common(centre_of(filled, filled.images))
    rows["animator, `loop`"] = common(centre_of(looping, looping.images))
    rows["the photo, unmoved"] = common(np.repeat(scene.image[None], frames, axis=0))
    context: Figures = {
        "width": scene.image.shape[1],
        "height": scene.image.shape[0],
        "steps": config.stage2.steps,
        "frames": frames,
        "mean_flow_px": shared["flow"]["mean_px"],
        "compared_share_of_mask": float(np.sum(known * scene.mask) / np.sum(scene.mask)),
    }
    if exact is not None:
        context["flow_error_px"] = float(metrics.end_point_error(flow, exact.flow, scene.mask))
    return rows, context


def centre_of(frames: Any, values: np.ndarray) -> np.ndarray:
    """Of values per sampled view, those of the input view; the process ends with one line where it was not sampled."""
    sampled = np.asarray(frames.views).tolist()
    if INPUT_VIEW not in sampled:
        cli.fail(f"animation.views are {sampled}: the fields are compared in view {INPUT_VIEW}, add it")
    return np.asarray(values[sampled.index(INPUT_VIEW)])


def mean(records: list[Figures]) -> Figures:
    """Mean of each figure over those records that have it."""
    values = {name: [r[name] for r in records if r.get(name) is not None] for name in records[0]}
    return {name: float(np.mean(v)) if v else None for name, v in values.items()}


COLUMNS = {
    "supervision_psnr": ("own videos, dB", "{:.2f}"),
    "supervision_psnr_min": ("worst frame of them, dB", "{:.2f}"),
    "exact_psnr_early": ("exact scene, before the crossfade, dB", "{:.2f}"),
    "exact_psnr": ("exact scene, dB", "{:.2f}"),
    "motion_epe_px": ("motion error, px", "{:.3f}"),
    "seam_ratio": ("seam", "{:.1f}"),
    "torn_share": ("torn", "{:.2%}"),
    "torn_share_worst": ("torn, worst frame", "{:.2%}"),
    "gaussians": ("Gaussians", "{:.0f}"),
    "stage2_seconds": ("stage 2, s", "{:.0f}"),
}
"""Figure -> heading and format. `docs/benchmarks.md` says what each one is."""


def markdown(rows: dict[str, Figures]) -> str:
    """The table."""
    lines = ["| " + " | ".join(["", *(heading for heading, _ in COLUMNS.values())]) + " |"]
    lines.append("|---" + "|--:" * len(COLUMNS) + "|")
    for name, figures in rows.items():
        cells = [f.format(figures[c]) if figures.get(c) is not None else "–" for c, (_, f) in COLUMNS.items()]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def compare() -> None:
    """Run what the flags say."""
    config, workdir, force = cli.job()
    runs = [run_seed(config, workdir, seed, force) for seed in range(SEEDS.value)]
    rows = {name: mean([r[name] for r, _ in runs]) for name in runs[0][0]}
    device = jax.devices()[0].device_kind
    report = {
        "command": shlex.join(["python", "-m", "benchmarks.fields", *sys.argv[1:]]),
        "device": f"{device} ({jax.default_backend()}, {platform.machine()})",
        "versions": {
            "mom3d_jax": __version__,
            "python": platform.python_version(),
            "jax": jax.__version__,
            "numpy": np.__version__,
        },
        "config": json.loads(config.to_json_best_effort()),
        "shared": [shared for _, shared in runs],
        "rows": rows,
        "per_seed": [r for r, _ in runs],
        "table": markdown(rows).splitlines(),
    }
    name = re.sub(r"\W+", "_", device.lower()).strip("_")
    out = Path(OUT.value) if OUT.value else Path(__file__).parent / "results" / f"fields_{name}.json"
    artifacts.write_json(out, report)
    print(f"{markdown(rows)}\n\n{out}")


def main(argv: list[str]) -> None:
    """Entry point."""
    defaults = {"--config": "configs/demo.py", "--workdir": "out/fields"}
    given = {word.partition("=")[0] for word in argv[1:]}
    words = [f"{name}={value}" for name, value in defaults.items() if name not in given]
    cli.parse([argv[0], *words, *argv[1:]], usage=(__doc__ or "").strip())
    cli.guarded(compare)


if __name__ == "__main__":
    main(sys.argv)
