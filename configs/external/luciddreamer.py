r"""LucidDreamer: the photo painted on to all sides, as a static scene. CC-BY-NC-SA-4.0, CUDA, about 24 GB.

git clone https://github.com/luciddreamer-cvlab/LucidDreamer REPO && cd REPO
git checkout 76ed990fad840e298a3e586697cb866e89fa94e2
conda create -n lucid python=3.9 && conda activate lucid
conda install pytorch=2.0.1 torchvision=0.15.2 pytorch-cuda=11.8 -c pytorch -c nvidia
pip install "numpy<2" peft==0.6.2 diffusers==0.23.1 timm==0.6.7 scipy plyfile==0.8.1 opencv-python Pillow omegaconf
pip install "imageio[ffmpeg]" open3d gradio transformers "huggingface_hub<0.26"
pip install submodules/depth-diff-gaussian-rasterization-min submodules/simple-knn
# the weights of the inpainting, about 15 GB in all its forms
huggingface-cli download stable-diffusion-v1-5/stable-diffusion-inpainting
# those of the depth (ZoeD_M12_N.pt, 1.4 GB) and the code of MiDaS, into the cache of torch hub
python -c "import torch; torch.hub.load('./ZoeDepth', 'ZoeD_N', source='local', pretrained=True)"
# from here on in the folder and the environment of this project again
python train.py --config=configs/landscape.py:scene=luciddreamer --input=PATH --workdir=OUT \
    --config.external.luciddreamer.python=CONDA/envs/lucid/bin/python --config.external.luciddreamer.repo=REPO
"""

from mom3d_jax.config import external_model


def get_config():
    c = external_model()
    c.weights = "stable-diffusion-v1-5/stable-diffusion-inpainting"
    c.device = "cuda"  # or cuda:1; it runs on nothing else
    c.timeout = 7200.0
    c.options.prompt = "a landscape, photograph"  # what is painted
    c.options.negative_prompt = "people, text, frame, blur"
    c.options.path = "lookdown"  # where it looks: lookdown, lookaround, rotate360
    c.options.steps = 50  # of diffusion, per painted view
    c.options.gaussians = True  # fit Gaussians in the clone; False: hand on its points, and fit them here
    return c
