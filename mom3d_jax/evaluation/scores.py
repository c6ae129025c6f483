"""The protocol: what is measured on the frames of a scene. `docs/evaluation.md` states it in full.

Every path by itself, then the mean over the four moving paths, each path counting once. Frames are bytes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from mom3d_jax import metrics
from mom3d_jax.evaluation.samples import INPUT_PATH, TruthClip

PROTOCOL = 1
"""Version; a change of what is measured changes it."""
MARKS = (10, 20, 30, 45)
"""Frames of the standing camera whose scores in the mask are given one by one."""
ALL_PATHS = "all"
"""What `path` is in records of the mean over paths."""

Record = dict[str, Any]
Lpips = metrics.LpipsWeights | metrics.Unavailable


def score_path(
    frames: UInt8[np.ndarray, "k h w 3"],
    truth: TruthClip | None,
    *,
    path: str,
    looping: bool,
    crop: int,
    lpips: Lpips,
    given: tuple[int, ...] = (),
) -> list[Record]:
    """Records of one path.

    Args:
      frames: what is judged.
      truth: what it should be, of the same shape; None where that is not known.
      path: its name; that of the standing camera is scored for its loop and its stillness, and frame by frame.
      looping: whether frame k is meant to be frame 0 again.
      crop: px cut off every side.
      lpips: weights, or why there are none.
      given: frames that are the photo itself, which every method is given: nothing of them is compared with the truth.

    Raises:
      ValueError: frames and truth of different shapes.
    """
    records = _without_truth(frames, path, looping, crop)
    if truth is None:
        return records
    # Brought to [0, 1] here, once: inside a compiled metric the division may be fused with the difference, and then
    # equal bytes are not quite equal.
    frames, true = frames / np.float32(255), truth.frames / np.float32(255)
    known = truth.valid.copy()
    known[list(given)] = 0
    for variant, weight in {"valid": known, "masked": known * truth.moving}.items():
        scores = metrics.score_clip(frames, true, weight, variant=variant, crop=crop, lpips=lpips)
        records += scores.records(path=path)
        if path == INPUT_PATH and variant == "masked":
            records += [_at(scores, k) for k in MARKS if k < len(frames)]
    if truth.flow is not None:
        records += _warping({"prediction": frames, "truth": true}, truth, path, crop)
    if path == INPUT_PATH:
        records += _stillness(frames, truth, crop)
    return records


def over_paths(records: list[Record], paths: tuple[str, ...]) -> list[Record]:
    """Means over paths of what every one of them has, each path counting once; pooled PSNR from one mean square."""
    found = []
    first = [r for r in records if r.get("path") == paths[0]] if paths else []
    for example in first:
        what = {key: example[key] for key in ("metric", "variant", "of") if key in example}
        same = [r for r in records if r.get("path") in paths and all(r.get(k) == v for k, v in what.items())]
        if len(same) != len(paths):
            continue
        kept = {k: v for k, v in example.items() if k not in _OWN and k not in metrics.METRICS[example["metric"]]}
        shares = np.array([r["validity"] for r in same])
        kept |= {"validity": float(shares.mean()), "frames": sum(r["frames"] for r in same), "path": ALL_PATHS}
        kept |= {key: sum(r[key] for r in same) for key in ("unscored", "equal_frames") if key in example}
        found.append(metrics.record(example["metric"], _mean(same, example["metric"]), **kept))
    return found


_OWN = {"metric", "value", "reason", "unit", "definition", "version"}


def value_of(record: Mapping[str, Any]) -> float:
    """The number of a record; NaN where there is none, inf where frames equal the truth."""
    if record["value"] is not None:
        return float(record["value"])
    return float("inf") if record.get("reason") == "the value is inf" else float("nan")


def _mean(records: list[Record], metric: str) -> float | metrics.Unavailable:
    values = np.array([value_of(r) for r in records])
    if np.isnan(values).any():
        return metrics.Unavailable(next(r["reason"] for r in records if np.isnan(value_of(r))))
    if metric != "psnr_pooled" or np.isinf(values).all():
        return float(values.mean())
    weight = np.array([r["validity"] for r in records])
    return float(-10 * np.log10(np.sum(weight * 10 ** (-values / 10)) / weight.sum()))


def _what(frames: np.ndarray, path: str, crop: int, **more: Any) -> dict[str, Any]:
    count, height, width = frames.shape[:3]
    return {"resolution": [width - 2 * crop, height - 2 * crop], "crop": crop, "frames": count, "path": path, **more}


def _inside(array: np.ndarray, crop: int) -> np.ndarray:
    return array[:, crop : array.shape[1] - crop, crop : array.shape[2] - crop]


def _without_truth(frames: np.ndarray, path: str, looping: bool, crop: int) -> list[Record]:
    seen = _inside(frames, crop)
    what = _what(frames, path, crop, variant="all", validity=1.0)
    records = [metrics.record("piqe", float(np.mean(metrics.piqe_scores(seen))), **what)]
    if path == INPUT_PATH and looping and len(frames) > 1:
        seam = metrics.loop_seam(seen)
        records.append(metrics.record("loop_seam", seam.seam, **what, neighbours=_plain(seam.neighbours)))
        records.append(metrics.record("loop_seam_percentile", seam.percentile, **what))
    return records


def _plain(value: float) -> float | None:
    """A number that JSON can hold; steps without any change have no finite PSNR."""
    return value if np.isfinite(value) else None


def _at(scores: metrics.ClipScores, k: int) -> Record:
    """The score of one frame."""
    what = {key: scores.what[key] for key in ("variant", "resolution", "crop")}
    value = float(scores.psnr[k])
    return metrics.record("psnr", value, **what, validity=float(scores.validity[k]), frames=1, path=INPUT_PATH, frame=k)


def _warping(clips: Mapping[str, np.ndarray], truth: TruthClip, path: str, crop: int) -> list[Record]:
    """Of the prediction and of the truth: even the truth scores above 0, so that the two are read together."""
    assert truth.flow is not None
    hidden = np.zeros_like(truth.valid[1:]) if truth.hidden is None else truth.hidden
    weight = _inside((truth.valid[:-1] * (1 - hidden)), crop)
    flow, records = _inside(truth.flow, crop), []
    for of, clip in clips.items():
        errors: Float[np.ndarray, " p"] = metrics.warping_error(_inside(clip, crop), flow, weight)
        counted = errors[np.isfinite(errors)]
        what = _what(clip, path, crop, variant="valid", validity=float(weight.mean()), flow="exact", of=of)
        what["frames"] = len(counted)
        records.append(metrics.record("warping_error", counted.mean() if len(counted) else np.nan, **what))
    return records


def _stillness(frames: np.ndarray, truth: TruthClip, crop: int) -> list[Record]:
    """How much changes where nothing moves in any frame."""
    still = _inside(((truth.moving == 0) & (truth.valid > 0)).all(axis=0)[None], crop)[0]
    what = _what(frames, INPUT_PATH, crop, variant="valid", validity=float(still.mean()))
    return [metrics.record("flicker", metrics.flicker(_inside(frames, crop), still), **what)]
