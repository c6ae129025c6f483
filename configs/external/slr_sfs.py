r"""Videos by SLR-SFS (Fan et al., ICCV 2023), the animator of the paper.

git clone https://github.com/simon3dv/SLR-SFS REPO
python3 -m venv ENV && ENV/bin/pip install torch numpy
# "Ours_v1" of its README into REPO/pretrained/, under the name below; "baseline2" works as well
python train.py --config=configs/landscape.py:animator=slr_sfs \
  --config.external.slr_sfs.python=ENV/bin/python --config.external.slr_sfs.repo=REPO ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "pretrained/SLR_v1_ep100stage1+ep50stage3.pth"
    c.options.size = 768  # px, the square that the network works at
    c.options.open_period = 2.0  # a clip that does not loop is the first part of a loop so many times as long
    return c
