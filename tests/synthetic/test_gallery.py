import cv2
import numpy as np

from mom3d_jax.synthetic import FAMILIES, gallery, landscape


def test_sheet_and_table(tmp_path, capsys, monkeypatch):
    few = {name: FAMILIES[name] for name in ("open_sea", "desert_clouds")}
    monkeypatch.setattr(gallery, "FAMILIES", few)
    gallery.main(["--out", str(tmp_path / "new" / "sheet.png"), "--width", "128"])
    heading, _, *rows = capsys.readouterr().out.splitlines()
    assert heading.count("|") == 8
    assert [r.split("|")[1].strip(" `") for r in rows] == list(few)
    sheet = cv2.imread(str(tmp_path / "new" / "sheet.png"))
    assert sheet.shape == (171 + 20, 3 * (304 + 5), 3)
    photo = landscape(0, 128, 72, "desert_clouds").image[..., ::-1]
    small = cv2.resize(np.round(255 * photo).astype(np.uint8), (304, 171), interpolation=cv2.INTER_AREA)
    assert np.abs(sheet[:171, 309 : 309 + 304] - 1.0 * small).mean() < 3
    assert (sheet[:, 2 * 309 :] == 255).all()


def test_a_still_pair_shows_no_motion(monkeypatch):
    """All of the flow is missed where the pictures do not change."""
    scene = landscape(0, 128, 72, "desert_clouds")
    monkeypatch.setattr(gallery.Shot, "picture", lambda *_: scene.image)
    np.testing.assert_allclose(gallery.found_share(scene, loop=False), 1.0, atol=0.02)
