"""Many scenes in, scores out.

    python eval.py --config=configs/eval_synthetic.py --workdir=OUT
    python eval.py --config=configs/eval_synthetic.py --workdir=OUT --config.study=baselines,init
    python eval.py --config=configs/eval_synthetic.py --workdir=OUT --predictions=DIR --method=NAME

--config.dataset.path=DIR and --config.dataset.kind=synthetic|folder|manifest|holynski say what is evaluated,
--config.recipe=preview|landscape|official how, --config.scenes=a,b which scenes, --config.study=a,b (or all) which
studies. Any setting of the recipe can be changed: --config.override.stage1.steps=1000. A second run with the same
settings goes on where the first one stopped; --retry tries failed scenes again.
"""

import sys

from mom3d_jax import cli
from mom3d_jax.evaluation import command


def main() -> None:
    """Evaluate, and print the table."""
    cli.parse(sys.argv, usage=(__doc__ or "").strip())
    cli.guarded(command.run)


if __name__ == "__main__":
    main()
