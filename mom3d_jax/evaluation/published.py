"""Figures that papers print, as quoted. Their protocols are not stated, so they are comparable with nothing here."""

from typing import NamedTuple


class Published(NamedTuple):
    """One row of a paper's table."""

    source: str
    method: str
    psnr: float | None
    ssim: float | None
    lpips: float | None
    piqe: float | None = None


_MOM = "3D-MOM, ICLR 2025, table 1"
_CIN = "3D-Cinemagraphy, CVPR 2023"

PUBLISHED = (
    Published(_MOM, "DynamiCrafter", 14.98, 0.81, 0.23, 24.58),
    Published(_MOM, "Motion-I2V", 14.38, 0.80, 0.31, 8.40),
    Published(_MOM, "3D-Cinemagraphy", 17.30, 0.83, 0.17, 8.93),
    Published(_MOM, "Make-It-4D", 16.98, 0.81, 0.20, 8.30),
    Published(_MOM, "3D-MOM", 20.57, 0.90, 0.14, 7.80),
    Published("3D-MOM, ICLR 2025, table 2", "one-stage, all pixels", 18.17, 0.91, 0.18),
    Published("3D-MOM, ICLR 2025, table 2", "two-stage, all pixels", 17.93, 0.90, 0.17),
    Published(_CIN, "3D-Cinemagraphy", 23.33, 0.776, 0.197),
    Published(_CIN, "novel views, then 2D animation", 22.47, 0.718, 0.261),
)
WHY = (
    "Not comparable with the rows above, nor those of one paper with the other's: neither prints its renderer of true "
    "views, its rule for holes, the size and crop at scoring, the network of LPIPS or the kind of PIQE. "
    "3D-Cinemagraphy scores 23.33 dB in its own paper and 17.30 dB in that of 3D-MOM."
)
