"""Twelve synthetic scenes with exact ground truth, the preview recipe.

    python eval.py --config=configs/eval_synthetic.py --workdir=OUT

The scenes are made in OUT/dataset; --config.dataset.path=DIR takes others. Run times and figures: docs/evaluation.md.
"""

from mom3d_jax.evaluation.settings import default_evaluation


def get_config():
    return default_evaluation()
