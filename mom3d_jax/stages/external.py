"""Other people's models in the place of built-in stages: which are chosen, what they are asked, what they said."""

import dataclasses
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from mom3d_jax.external import ExternalError, Item, Model, Result, ask, make_model
from mom3d_jax.inputs import SceneFiles, as_positive_z
from mom3d_jax.stages.job import Job
from mom3d_jax.types import Array, Scene, Views

log = logging.getLogger(__name__)

STAGES = {"depth": "depth", "flow": "flow", "animation": "animation", "stage1": "scene"}
"""Stages that a model has a say in, and the section of the config whose `model` says which: also the model's task."""
BUILTIN = "builtin"


def chosen_models(config: ConfigDict, inputs: SceneFiles, store: Path) -> dict[str, Model]:
    """The model of each stage that has one. Files of the input come first: then none is asked.

    Args:
      config: all settings.
      inputs: the files of the scene.
      store: where results of models are kept.

    Raises:
      ExternalError: a model that there is not, or settings that make no sense.
    """
    given = {"depth": inputs.depth, "flow": inputs.flow, "stage1": inputs.gaussians or inputs.cloud}
    models = {}
    for stage, section in STAGES.items():
        name = config[section].model
        if name == BUILTIN:
            continue
        if name not in config.external:
            known = ", ".join([BUILTIN, *sorted(config.external)])
            raise ExternalError(f"{section}.model={name!r} is unknown; known: {known}")
        model = make_model(name, section, config.external[name].to_dict(), seed=config.seed, store=store)
        if not given.get(stage):
            models[stage] = model
    return models


def check_ready(models: Mapping[str, Model], stages: Collection[str]) -> None:
    """See that the models of these stages could be run, before anything long begins.

    Raises:
      ExternalError: one that could not, and has no fallback.
    """
    for stage, model in models.items():
        if stage in stages and not model.fallback:
            model.ready()


def ask_model(job: Job, items: Sequence[Item]) -> tuple[list[Result] | None, dict[str, Any]]:
    """What the model of a stage says.

    Args:
      job: the stage.
      items: what it is asked.

    Returns:
      One result per item, None where the built-in is to be taken; and figures: where the results come from, or why
      there are none.

    Raises:
      ExternalError: it failed, and the settings name no fallback.
    """
    if job.model is None:
        return None, {}
    try:
        results = ask(job.model, items)
    except ExternalError as error:
        if job.model.fallback != BUILTIN:
            raise
        log.warning("%s; the built-in takes its place", error)
        return None, {"fallback": str(error)}
    return results, {"external": dict(results[0].provenance) if results else job.model.provenance()}


def with_depth(job: Job, scene: Scene) -> tuple[Scene, dict[str, Any]]:
    """The scene with the model's depth, as a file would have given it; without a model as it is."""
    if scene.depth is not None and job.config.depth.model != BUILTIN:
        log.warning("the depth file of the scene is used instead of %s", job.config.depth.model)
    results, figures = ask_model(job, [Item(scene.name, {"image": np.asarray(scene.image)})])
    if results is None:
        return scene, figures
    (result,) = results
    depth, kind = np.asarray(result.arrays["depth"], np.float64), result.values["kind"]
    z, notes = as_positive_z(depth, kind, result.values.get("unit", "m"), result.provenance["name"])
    for note in notes:
        log.warning("%s", note)
    return dataclasses.replace(scene, depth=z), figures | {"kind": kind, "notes": notes}


def with_view_flows(job: Job, scene: Scene, views: Views) -> tuple[Scene, dict[str, Any]]:
    """The scene with the model's flow of every view in which something moves, but for those that have a file."""
    if scene.flow is not None and job.config.flow.model != BUILTIN:
        log.warning("the flow file of the scene is used instead of %s", job.config.flow.model)
    own = dict(scene.view_flows or {})
    masks = np.asarray(views.masks * views.valid, np.float32)
    asked = [v for v in np.flatnonzero(views.accepted).tolist() if str(v) not in own and masks[v].any()]
    items = []
    for v in asked:
        seen = np.asarray(views.hints.valid)[v]
        hints = np.concatenate([np.asarray(views.hints.start)[v], np.asarray(views.hints.motion)[v]], -1)[seen]
        items.append(Item(f"{scene.name}/view_{v:02d}", {**_view(views, v), "mask": masks[v], "hints": hints}))
    results, figures = ask_model(job, items)
    if results is None:
        return scene, figures
    flows = {str(v): result.arrays["flow"] for v, result in zip(asked, results, strict=True)}
    return dataclasses.replace(scene, view_flows=flows | own), figures | {"views_from_model": asked}


def ask_videos(
    job: Job, views: Views, flow: Float[Array, "s h w 2"], sampled: Sequence[int]
) -> tuple[Iterator[Float[np.ndarray, "t h w 3"]] | None, dict[str, Any]]:
    """The model's videos of the sampled views, in [0, 1], which are to show their projected scene flow; and figures."""
    time = job.config.time
    values = {"frames": time.frames, "loop": time.field == "loop"}
    items = [
        Item(f"view_{v:02d}", {**_view(views, v), "mask": np.asarray(views.masks[v]), "flow": np.asarray(f)}, values)
        for v, f in zip(sampled, flow, strict=True)
    ]
    results, figures = ask_model(job, items)
    if results is None:
        return None, figures
    return (_floats(result.arrays["video"]) for result in results), figures


def _floats(video: np.ndarray) -> Float[np.ndarray, "t h w 3"]:
    return video.astype(np.float32) / np.float32(255) if video.dtype == np.uint8 else video


def _view(views: Views, v: int) -> dict[str, np.ndarray]:
    return {"image": np.clip(np.asarray(views.images[v]), 0, 1), "valid": np.asarray(views.valid[v])}
