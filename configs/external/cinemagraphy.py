r"""The controllable motion network of 3D-Cinemagraphy (Li et al. 2023): flow from a picture, its mask and its arrows.

git clone https://github.com/xingyi-li/3d-cinemagraphy.git REPO
python3 -m venv ENV && ENV/bin/pip install torch torchvision pillow
# the zip of pretrained models that REPO/README.md links to, unpacked to REPO/ckpts; sceneflow_model.pth is enough
python train.py --config=configs/landscape.py:flow=cinemagraphy --config.external.cinemagraphy.python=ENV/bin/python \
  --config.external.cinemagraphy.repo=REPO ...
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "ckpts/sceneflow_model.pth"  # in the clone
    c.options.size = 768  # px of the network's square; a multiple of 256, less than 768 for less memory
    c.options.sigma = 0.0  # width of the hint weights in px; 0 takes height / number of arrows seen
    c.options.blur = 15  # px of the box over the network's flow, odd; 1: none
    return c
