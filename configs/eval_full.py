"""Every study on twelve synthetic scenes of 512x288 px with exact ground truth, the landscape recipe.

    python eval.py --config=configs/eval_full.py --workdir=OUT

For a GPU: there the recipe works at the photo's own size, which is 512 px for these scenes. On a CPU it works at 512
px, too, with fewer steps and a smaller network. Stopped anywhere, the same command finishes the rest.
"""

from mom3d_jax.evaluation.settings import default_evaluation


def get_config():
    c = default_evaluation()
    c.dataset.count = 12
    c.dataset.size = "512x288"
    c.recipe = "landscape"
    c.study = "all"
    return c
