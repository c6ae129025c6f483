"""The table that a run ends with."""

from pathlib import Path
from typing import Any

ROWS = (
    ("stage1.train_psnr_valid", "dB", "static scene, generation views, mean"),
    ("stage1.train_psnr_valid_min", "dB", "static scene, worst generation view"),
    ("stage1.heldout_psnr_valid", "dB", "static scene, views that were not trained on"),
    ("stage1.valid_share", "", "covered share of the generation views"),
    ("motion.residual_l1_ratio", "", "3D-MOM, L1 residual over its optimum"),
    ("motion.residual_l1_px", "px", "3D-MOM, L1 residual per view and point"),
    ("stage2.train_psnr_masked", "dB", "moving scene, videos, inside the mask"),
    ("video.motion_epe_px", "px", "motion seen in the clip against the motion asked for"),
    ("video.motion_epe_px_animator", "px", "the same reading of the animator's clip"),
    ("video.hole_share", "", "share of the moving area that nothing covers, mean over the frames"),
    ("video.static_max_abs_diff", "", "largest change where nothing moves"),
    ("video.static_share", "", "share of pixels where nothing moves"),
    ("video.loop_equal", "", "under `loop`, frame T is frame 0 to the bit"),
)


def table(figures: dict[str, Any], workdir: Path) -> str:
    """Figures with what they mean, seconds per stage, and where the results lie."""
    lines = [""]
    for name, unit, meaning in ROWS:
        value: Any = figures
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else f"{value:.4g}"
            lines.append(f"  {name:<30}{shown:>9} {unit:<3} {meaning}")
    seconds = figures["seconds"]
    lines += ["", "  seconds  " + "  ".join(f"{name} {s:.1f}" for name, s in seconds.items())]
    lines += [f"           in all {sum(seconds.values()):.1f}", ""]
    for made in ("contact_sheet.png", "videos", "frame_0000.ply", "frames", "scene.4dgs.npz", "metrics.json"):
        if (workdir / made).exists():
            lines.append(f"  {workdir / made}")
    return "\n".join(lines)
