r"""ViewCrafter: 25 frames of a camera move around the photo. Apache-2.0, with DUSt3R CC-BY-NC-SA-4.0; CUDA, 23.5 GB.

git clone https://github.com/Drexubery/ViewCrafter REPO && cd REPO
git checkout 8408cd5a7ae66b7f6e8cdfda0b3d0c2996f8646d
conda create -n viewcrafter python=3.9.16 && conda activate viewcrafter
pip install -r requirements.txt
conda install --no-deps pytorch3d::pytorch3d=0.7.5=py39_cu117_pyt1131
wget -P checkpoints https://download.europe.naverlabs.com/ComputerVision/DUSt3R/DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth
wget -P checkpoints https://huggingface.co/Drexubery/ViewCrafter_25/resolve/main/model.ckpt
python -c "import open_clip; open_clip.create_model('ViT-H-14', pretrained='laion2b_s32b_b79k')"
# from here on in the folder and the environment of this project again
python train.py --config=configs/landscape.py:scene=viewcrafter --input=PATH --workdir=OUT \
    --config.external.viewcrafter.python=CONDA/envs/viewcrafter/bin/python --config.external.viewcrafter.repo=REPO \
    --config.external.viewcrafter.trust="('DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth','model.ckpt')"

Both checkpoints hold more than tensors, so they are loaded only when they are named in `trust`.
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "checkpoints"  # in the repository
    c.device = "cuda"
    c.options.checkpoint = "model.ckpt"
    c.options.config = "configs/inference_pvd_1024.yaml"  # ..._512.yaml with ViewCrafter_25_512 takes 13.8 GB
    c.options.width = 1024  # 512 for ViewCrafter_25_512
    c.options.height = 576  # 320
    c.options.frames = 25
    c.options.steps = 50  # of diffusion
    c.options.phi = (0.0, 10.0, 0.0, -10.0, 0.0)  # degrees to the right, spread over the frames; the first is 0
    c.options.theta = (0.0, -4.0, 0.0, 4.0, 0.0)  # degrees, negative upwards
    c.options.r = (0.0, -0.1, -0.1, -0.1, 0.0)  # share of the distance, negative forwards
    c.options.center_scale = 1.0  # the camera turns around the depth of the middle pixel times this
    c.options.elevation = 5.0  # how far the photo looks down, degrees
    return c
