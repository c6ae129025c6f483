"""Names, sizes and words: what every file of the project keeps to."""

import re
from pathlib import Path

import pytest

LONGEST_FILE = 400
"""Lines. Files are meant to stay near 300; a longer one holds two subjects."""

FOREIGN_WORDS = {
    "a path of one machine": re.compile(r"(?<![\w.}/-])/(?:root|home|work|opt|tmp|mnt|Users|scratch)/\w"),
    "a package registry": re.compile(r"(?:pypi|debian)\.org|python[h]osted|--(?:extra-)?index-ur[l]|--find-link[s]"),
}


def test_no_catch_all_modules(python_sources: list[Path]) -> None:
    vague = {"util", "utils", "helper", "helpers", "misc", "common"}
    assert not [path for path in python_sources if path.stem in vague or path.parent.name in vague]


def test_files_stay_readable(repository: Path, python_sources: list[Path]) -> None:
    lengths = {str(path): len((repository / path).read_text().splitlines()) for path in python_sources}
    assert not {path: length for path, length in lengths.items() if length > LONGEST_FILE}


def test_nothing_of_one_machine(repository: Path, sources: list[Path]) -> None:
    found = []
    for path in sources:
        try:
            lines = (repository / path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # pictures and the like
        for number, line in enumerate(lines, 1):
            found += [
                f"{path}:{number}: {what}: {line.strip()}" for what, word in FOREIGN_WORDS.items() if word.search(line)
            ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("line", "foreign"),
    [
        ("workdir = '/" + "tmp/out'", True),
        ("see /" + "home/someone/photo.jpg", True),
        ("pip install --index" + "-url=X", True),
        ("out/demo/metrics.json and docs/opt/in", False),
        ("https://example.org/home/page", False),
        ("the PIP_INDEX_URL of the user", False),
    ],
)
def test_the_word_check_itself(line: str, foreign: bool) -> None:
    assert any(word.search(line) for word in FOREIGN_WORDS.values()) is foreign
