"""report.html: the table and frames side by side, in one file that opens from disk and fetches nothing."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np

from mom3d_jax.atomic import replacing
from mom3d_jax.evaluation.columns import COLUMNS, Row, used
from mom3d_jax.evaluation.comparisons import Comparison, compared_by, heads_of, words_of
from mom3d_jax.evaluation.page import LEGEND, SCRIPT, STYLE
from mom3d_jax.evaluation.pictures import jpeg
from mom3d_jax.evaluation.plan import Cell
from mom3d_jax.evaluation.published import PUBLISHED, WHY
from mom3d_jax.evaluation.sections import sections_of
from mom3d_jax.evaluation.tables import noted
from mom3d_jax.inputs.images import decode

WIDTH = 320
"""Of a thumbnail, px."""
PICTURE = re.compile(r"(?P<shown>(?P<path>[\w-]+)_(?P<frame>\d{3}))_(?P<what>ours|truth|error)")
MOST_PICTURES = 2000
"""In one page, about 30 MB; further scenes are there in figures."""
FIRST = ("psnr", "ssim", "m_psnr", "m_ssim", "epe")
"""Figures beside the pictures of a scene."""


def write_report(workdir: Path, cells: Sequence[Cell], stale: Sequence[str], title: str) -> Path:
    """Write the page.

    Args:
      workdir: of the evaluation; pictures are read from it.
      cells: results and failures.
      stale: names of results that are left out.
      title: what was evaluated.

    Raises:
      OSError: the file cannot be written; the message names it.
    """
    file = workdir / "report.html"
    variants = {cell.variant for cell in cells}
    scenes = list(dict.fromkeys(cell.scene for cell in cells))
    failed = [cell for cell in cells if cell.error]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f"<header><h1>{escape(title)}</h1><p>{_count(len(scenes), 'scene')}, {_count(len(variants), 'variant')}, "
        f"{_count(len(failed), 'failure')}</p></header><main>",
        *_means(cells),
        _failures(failed, stale),
        "<section><h2>Scenes</h2>",
        *_scenes(workdir, scenes, cells),
        "</section>",
        _published(),
        _notes(cells),
        f"</main><script>{SCRIPT}</script></html>\n",
    ]
    with replacing(file) as draft:
        draft.write_text("\n".join(parts), encoding="utf-8")
    return file


def _means(cells: Sequence[Cell]) -> list[str]:
    """The sections of `table.md`; the legend in the first of them."""
    sections, parts = sections_of(cells), []
    for number, section in enumerate(sections):
        several = len(sections) > 1
        head = escape(section.heading) if several else "Means over scenes"
        about = f"<p>{escape(section.about)}.</p>" if several else ""
        tables = f"{_table(section.rows)}{LEGEND if number == 0 else ''}{_comparisons(section.comparisons)}"
        parts.append(f"<section><h2>{head}</h2>{about}{tables}{_abouts(section.rows)}</section>")
    return parts


def _comparisons(comparisons: Sequence[Comparison]) -> str:
    """Each row against its reference."""
    if not comparisons:
        return ""
    shown = compared_by(comparisons)
    heads = "".join(f"<th>{escape(head)}</th>" for head in heads_of(shown))
    body = []
    for comparison in comparisons:
        name, against, *figures = map(escape, words_of(comparison, shown))
        cells = "".join(f"<td>{figure}</td>" for figure in figures)
        body.append(f"<tr><th scope=row>{name}</th><td class=word>{against}</td>{cells}</tr>")
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
    return f"<h3>Scene by scene</h3><div class=wide>{table}</div>"


def _table(rows: Sequence[Row]) -> str:
    columns = used(rows)
    best = {i: _best(rows, i) for i in columns}
    heads = "".join(f"<th>{escape(COLUMNS[i].heading)}<small>{COLUMNS[i].better}</small></th>" for i in columns)
    body = []
    for row in rows:
        failed = f" <b class=bad>+{row.failed} failed</b>" if row.failed else ""
        figures = "".join(_figure(row, i, row.means[i] == best[i] and len(rows) > 1) for i in columns)
        body.append(
            f"<tr><th scope=row>{escape(row.variant)}</th><td class=word>{escape(row.truth)}</td>"
            f"<td>{row.scenes}{failed}</td>{figures}</tr>"
        )
    head = f"<tr><th>variant</th><th>truth</th><th>scenes</th>{heads}</tr>"
    return f"<div class=wide><table><thead>{head}</thead><tbody>{''.join(body)}</tbody></table></div>"


def _figure(row: Row, i: int, best: bool) -> str:
    column = COLUMNS[i]
    if not row.counts[i]:
        return "<td class=none>–</td>"
    deviation = row.deviations[i]
    spread = "" if np.isnan(deviation) else f"<small>± {column.shown(deviation)}</small>"
    fewer = "" if row.counts[i] == row.scenes else f"<small>of {row.counts[i]}</small>"
    return f"<td{' class=best' if best else ''}>{column.shown(row.means[i])}{spread}{fewer}</td>"


def _best(rows: Sequence[Row], i: int) -> float | None:
    """The best mean among rows that were compared with one truth; None where the figure has no better and worse."""
    values = [row.means[i] for row in rows if row.counts[i]]
    if COLUMNS[i].better not in ("↑", "↓") or not values or len({row.truth for row in rows}) > 1:
        return None
    return max(values) if COLUMNS[i].better == "↑" else min(values)


def _scenes(workdir: Path, names: Sequence[str], cells: Sequence[Cell]) -> list[str]:
    """Every scene, as many of the first ones with pictures as a page can hold."""
    parts: list[str] = []
    room, bare = MOST_PICTURES, 0
    for name in names:
        own = [c for c in cells if c.scene == name]
        folders = {c.variant: workdir / "runs" / c.variant / name / "shown" for c in own if c.result}
        found = {variant: _matches(folder) for variant, folder in folders.items()}
        room -= sum(map(len, found.values()))
        pictured = room >= 0 or not parts
        bare += not pictured
        shown = sorted({m["shown"] for matches in found.values() for m in matches}, key=_order) if pictured else []
        parts.append(_scene(name, own, folders, shown, opened=not parts))
    if bare:
        last = f"the last {_count(bare, 'scene')}" if bare > 1 else "the last scene"
        text = f"Too many pictures for one page: those of {last} are in runs/VARIANT/SCENE/shown."
        parts.insert(0, f"<p>{text}</p>")
    return parts


def _scene(name: str, cells: Sequence[Cell], folders: Mapping[str, Path], shown: Sequence[str], opened: bool) -> str:
    """Rows of pictures: the truth, then every variant with its error map under it. Without pictures its figures."""
    head = "".join(f"<th>{escape(_caption(key))}</th>" for key in shown)
    body = []
    for truth in dict.fromkeys(c.result["truth"] for c in cells if c.result):
        same = [c for c in cells if c.result and c.result["truth"] == truth]
        if truth and shown:
            pictures = [_first(folders[c.variant] / f"{key}_truth.png" for c in same) for key in shown]
            body.append(_row(f"<b>truth</b><small>{escape(truth)}</small>", pictures, "truth"))
        for cell in same:
            folder = folders[cell.variant]
            figures = _figures(cell)
            body.append(
                _row(f"<b>{escape(cell.variant)}</b>{figures}", [folder / f"{k}_ours.png" for k in shown], "ours")
            )
            if truth and shown:
                errors = [folder / f"{k}_error.png" for k in shown]
                body.append(_row("<small>error</small>", errors, "error"))
    body += [
        f"<tr><th scope=row><b>{escape(c.variant)}</b></th><td class=bad colspan={max(len(shown), 1)}>"
        f"{escape(c.error['error'])}</td></tr>"
        for c in cells
        if c.error
    ]
    table = f"<div class=wide><table class=frames><thead><tr><th></th>{head}</tr></thead>{''.join(body)}</table></div>"
    return f"<details{' open' if opened else ''}><summary>{escape(name)}</summary>{table}</details>"


def _figures(cell: Cell) -> str:
    """The scene's own figures under the name of a variant."""
    assert cell.result is not None
    values = [(c, c.value(cell.result["records"])) for c in COLUMNS if c.name in FIRST]
    said = [f"{escape(c.heading)} {c.shown(v)}" for c, v in values if not np.isnan(v)]
    return "".join(f"<small>{line}</small>" for line in said)


def _row(label: str, pictures: Iterable[Path | None], what: str) -> str:
    tiles = "".join(f"<td>{_image(p, what)}</td>" for p in pictures)
    return f"<tr class={what}><th scope=row>{label}</th>{tiles}</tr>"


def _image(file: Path | None, what: str) -> str:
    if file is None or not file.is_file():
        return "<span class=none>–</span>"
    picture = decode(file, cv2.IMREAD_COLOR)[..., ::-1]
    code = base64.b64encode(jpeg(picture, WIDTH)).decode()
    return f"<img alt='{what} {escape(file.stem)}' loading=lazy src='data:image/jpeg;base64,{code}'>"


def _first(files: Iterable[Path]) -> Path | None:
    return next((file for file in files if file.is_file()), None)


def _matches(folder: Path) -> list[re.Match]:
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [match for file in files if (match := PICTURE.fullmatch(file.stem))]


def _order(key: str) -> tuple[bool, str, int]:
    """The standing camera first."""
    path, _, frame = key.rpartition("_")
    return path != "input", path, int(frame)


def _caption(key: str) -> str:
    path, _, frame = key.rpartition("_")
    return f"{'standing camera' if path == 'input' else path}, frame {int(frame)}"


def _failures(failed: Sequence[Cell], stale: Sequence[str]) -> str:
    items = [
        f"<li><b>{escape(f'{c.variant}/{c.scene}')}</b> {escape(c.error['error'])}</li>" for c in failed if c.error
    ]
    text = f"<section><h2>Failures</h2><ul class=bad>{''.join(items)}</ul></section>" if items else ""
    if stale:
        named = escape(", ".join(stale))
        text += f"<section><h2>Left out</h2><p>Made by other code or other settings: {named}.</p></section>"
    return text


def _abouts(rows: Sequence[Row]) -> str:
    items = [f"<dt>{escape(row.variant)}</dt><dd>{escape(row.about)}</dd>" for row in rows if row.about]
    return f"<dl>{''.join(items)}</dl>" if items else ""


def _published() -> str:
    shown = lambda value: "–" if value is None else f"{value:g}"
    rows = [
        f"<tr><td class=word>{escape(p.source)}</td><th scope=row>{escape(p.method)}</th>"
        + "".join(f"<td>{shown(v)}</td>" for v in (p.psnr, p.ssim, p.lpips, p.piqe))
        + "<td class=none>not comparable</td></tr>"
        for p in PUBLISHED
    ]
    heads = "".join(f"<th>{head}</th>" for head in ("source", "method", "PSNR", "SSIM", "LPIPS", "PIQE", ""))
    table = f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    return f"<section><h2>Published figures, as quoted</h2><p>{escape(WHY)}</p>{table}</section>"


def _notes(cells: Sequence[Cell]) -> str:
    notes = noted(cells)
    items = [f"<li>{escape(note)} <small>({escape(', '.join(names))})</small></li>" for note, names in notes.items()]
    return f"<section><details><summary>Notes</summary><ul>{''.join(items)}</ul></details></section>" if items else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
