"""What the documentation names exists: links, settings, figures, sources; stages and settings have their places."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from ml_collections import ConfigDict

from mom3d_jax.config import default_config
from mom3d_jax.evaluation.settings import default_evaluation

LINK = re.compile(
    r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+(?:\([^()\s]*\))?)\)|<(?:img|a)\b[^>]*?(?:src|href)=\"([^\"]+)\""
)
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
FLAG = re.compile(r"--config\.([A-Za-z_][\w.]*)")
DOTTED = re.compile(r"[a-z]\w*(?:\.\w+)+")
SOURCE = re.compile(r"(?:mom3d_jax|kernels|tests|docs|configs|benchmarks)/[\w./-]*")
FILE_SUFFIXES = {
    "cff",
    "flo",
    "gif",
    "jpeg",
    "jpg",
    "json",
    "md",
    "mp4",
    "npy",
    "npz",
    "pfm",
    "ply",
    "png",
    "py",
    "toml",
}
MENTIONED_ONLY = {"docs/development.md"}
"""Pages that also speak of files that are not there yet."""
ARRAY_NAMES = {"docs/scene-file.md"}
"""Pages whose dotted names are arrays of a file."""


def links(text: str) -> Iterator[str]:
    """Targets of Markdown and HTML links outside of code."""
    prose = CODE.sub("", FENCE.sub("", text))
    for match in LINK.finditer(prose):
        yield match[1] or match[2]


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them: lower case, spaces to hyphens, other signs dropped."""
    found: dict[str, int] = {}
    names = set()
    for line in FENCE.sub("", text).splitlines():
        heading = re.match(r"#{1,6}\s+(.*?)\s*#*$", line)
        if heading:
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
            names.add(f"{slug}-{found[slug]}" if found[slug] else slug)
    return names


def broken_links(page: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    text = page.read_text(encoding="utf-8")
    broken = []
    for target in links(text):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        headings = anchors(file.read_text(encoding="utf-8")) if file.suffix == ".md" and file.is_file() else {anchor}
        if not file.exists() or (anchor and anchor not in headings):
            broken.append(target)
    return broken


def is_setting(name: str, settings: ConfigDict) -> bool:
    """Whether there is a setting, or a section of settings, of a dotted name."""
    here = settings
    for part in name.split("."):
        if not isinstance(here, ConfigDict) or part not in here:
            return False
        here = here[part]
    return True


def unknown_names(text: str, settings: ConfigDict, figures: set[str]) -> list[str]:
    """Names in a page that begin like a setting and are neither a setting nor a figure of that section."""
    unknown = [f"--config.{name}" for name in FLAG.findall(text) if not is_setting(name.rstrip("."), settings)]
    sections = {*settings, "motion", "video"}
    for code in CODE.findall(FENCE.sub("", text)):
        first, _, rest = code.partition(".")
        if not DOTTED.fullmatch(code) or first not in sections or code.rpartition(".")[2] in FILE_SUFFIXES:
            continue
        if not (is_setting(code, settings) or rest in figures):
            unknown.append(code)
    return unknown


@pytest.fixture(scope="module")
def pages(repository: Path, sources: list[Path]) -> list[Path]:
    return [repository / path for path in sources if path.suffix == ".md"]


@pytest.fixture(scope="module")
def settings() -> ConfigDict:
    """Those of the pipeline, and beside them those of an evaluation."""
    both = default_evaluation()
    with both.unlocked():
        both.update(default_config())
    return both


@pytest.fixture(scope="module")
def figures(repository: Path) -> set[str]:
    """Whatever the package writes as a key of a dict: the figures are among them."""
    nodes = (
        node
        for file in (repository / "mom3d_jax").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Dict | ast.Assign)
    )
    keys: set[str] = set()
    for node in nodes:
        found = node.keys if isinstance(node, ast.Dict) else [t.slice for t in node.targets if hasattr(t, "slice")]
        keys |= {key.value for key in found if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return keys


def test_links_lead_somewhere(repository: Path, pages: list[Path]) -> None:
    assert {page.name for page in pages} >= {"README.md", "conventions.md", "official.md"}
    broken = {str(page.relative_to(repository)): broken_links(page) for page in pages}
    assert not {page: targets for page, targets in broken.items() if targets}


def test_settings_and_figures_exist(
    repository: Path, pages: list[Path], settings: ConfigDict, figures: set[str]
) -> None:
    unknown = {
        str(page.relative_to(repository)): unknown_names(page.read_text(encoding="utf-8"), settings, figures)
        for page in pages
        if page.relative_to(repository).as_posix() not in ARRAY_NAMES
    }
    assert not {page: names for page, names in unknown.items() if names}


def test_sources_exist(repository: Path, pages: list[Path]) -> None:
    missing = [
        f"{page.relative_to(repository)}: {code}"
        for page in pages
        if page.relative_to(repository).as_posix() not in MENTIONED_ONLY
        for code in CODE.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
        if SOURCE.fullmatch(code) and not (repository / code).exists()
    ]
    assert not missing


def test_every_stage_has_a_page(repository: Path) -> None:
    from mom3d_jax.pipeline import STAGES

    folder = repository / "docs" / "stages"
    names = [stage.name for stage in STAGES]
    assert sorted(path.stem for path in folder.glob("*.md") if path.stem != "README") == sorted(names)
    for name in names:
        text = (folder / f"{name}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {name}:"), f"{name}.md begins with another title"
        assert f"python -m mom3d_jax {name} " in text, f"{name}.md does not say how to run it alone"
    for index in (folder / "README.md", repository / "README.md"):
        listed = re.findall(r"^\| \[(\w+)\]\([\w/]*\1\.md\)", index.read_text(encoding="utf-8"), re.MULTILINE)
        assert listed == names, f"the table of stages in {index.relative_to(repository)} differs from the pipeline"


def test_every_setting_is_explained(pages: list[Path], settings: ConfigDict) -> None:
    """Sections are named with each of their settings somewhere; options of solvers and residuals by their section."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    leaves = [
        f"{section}.{name}"
        for section, content in settings.items()
        if isinstance(content, ConfigDict)
        for name in content
    ]
    # Those of stage 2 are explained with their namesakes of stage 1, and what overrides a setting with the setting.
    wanted = [name for name in leaves if not name.startswith(("stage2.", "override."))]
    assert not [name for name in wanted if f"`{name}" not in text and f"--config.{name}" not in text]


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("see [a](b.md) and ![c](d/e.png)", ["b.md", "d/e.png"]),
        ("[![badge](x.svg)](y.md)", ["y.md"]),
        ('<img src="z.gif" width="3">', ["z.gif"]),
        ("`[a](b.md)`\n```\n[c](d.md)\n```\n", []),
        ("[a](b.md#c-d)", ["b.md#c-d"]),
    ],
)
def test_links_are_found(text: str, targets: list[str]) -> None:
    assert list(links(text)) == targets


def test_anchors_are_githubs() -> None:
    text = "# A, b!\n## A b\n### Out: `Scene`\n```\n# not one\n```\n"
    assert anchors(text) == {"a-b", "a-b-1", "out-scene"}


def test_broken_links_are_seen(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# Title\n")
    page = tmp_path / "page.md"
    page.write_text("[a](there.md) [b](there.md#title) [c](there.md#gone) [d](gone.md) [e](https://example.org/x)\n")
    assert broken_links(page) == ["there.md#gone", "gone.md"]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("`time.field`, `motion3d.options.coupled`, `stage1.rates.means`", []),
        ("`time.fields`", ["time.fields"]),
        ("`--config.time.field=loop` `--config.tim.field=loop`", ["--config.tim.field"]),
        ("`stage1.steps_done`, `stage1.psnr`", ["stage1.psnr"]),
        ("`depth.npy`, `views.py`, `numpy.load`, `scene.at(30)`", []),
        ("```\nstage1.nothing --config.nothing=1\n```\n", ["--config.nothing"]),
    ],
)
def test_unknown_names_are_seen(text: str, unknown: list[str], settings: ConfigDict) -> None:
    assert unknown_names(text, settings, {"steps_done"}) == unknown
