"""What each stage of the pipeline does: config in, calls into the stage's own package, artifact and figures out.

`pipeline.STAGES` has the order. A stage function takes its job and the artifacts that it needs; of the config it sees
the sections that its entry there names, and nothing else.
"""

from mom3d_jax.stages import fit, motion, output, prepare
from mom3d_jax.stages.check import check
from mom3d_jax.stages.external import check_ready, chosen_models
from mom3d_jax.stages.job import Job, input_path, merge

__all__ = ["Job", "check", "check_ready", "chosen_models", "fit", "input_path", "merge", "motion", "output", "prepare"]
