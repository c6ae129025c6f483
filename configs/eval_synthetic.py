"""Twelve synthetic scenes with exact ground truth, the preview recipe.

    python eval.py --config=configs/eval_synthetic.py --workdir=OUT

A small set, with every study:

    python eval.py --config=configs/eval_synthetic.py --workdir=OUT --config.dataset.count=4 --config.study=all

The scenes are made in OUT/dataset; --config.dataset.path=DIR takes others. What the files say: docs/evaluation.md.
"""

from mom3d_jax.evaluation.settings import default_evaluation


def get_config():
    return default_evaluation()
