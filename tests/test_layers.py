"""Imports point down only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = (
    {"errors", "protobuf", "zstd"},
    {"files", "hardware", "processes", "workers"},
    {"config"},
    {"tokenizer", "corpus"},
    {"model"},
    {"checkpoint"},
    {"decoding", "alignment", "evaluation", "interop"},
    {"training"},
    {"cli"},
)
HEIGHT = {part: height for height, parts in enumerate(LAYERS) for part in parts}
BESIDE = {("decoding", "alignment"), ("corpus", "tokenizer")}


def part_of(path: Path) -> str:
    """The part of the program a file belongs to: `nmt/model/layers.py` belongs to model."""
    inside = path.relative_to(ROOT).parts
    return "cli" if inside[0] == "cli" else inside[1].removesuffix(".py")


def imported_parts(source: str) -> Iterator[tuple[int, str]]:
    """Line and part of every import of `nmt` in a file, those inside functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "nmt" and rest.partition(".")[0] != "__version__":
                yield node.lineno, rest.partition(".")[0]


def violations(path: Path, source: str) -> list[str]:
    """Imports that point up or sideways."""
    part = part_of(path)
    return [
        f"{path.relative_to(ROOT)}:{line}: {part} may not import {other or 'nmt'}"
        for line, other in imported_parts(source)
        if other != part and (part, other) not in BESIDE and HEIGHT.get(other, 99) >= HEIGHT[part]
    ]


def source_files() -> list[Path]:
    return [path for folder in ("nmt", "cli") for path in sorted((ROOT / folder).rglob("*.py"))]


def test_imports_point_down_only() -> None:
    files = [path for path in source_files() if path != ROOT / "nmt" / "__init__.py"]
    assert len(files) > 20
    assert [line for path in files for line in violations(path, path.read_text(encoding="utf-8"))] == []


def test_every_part_has_its_layer() -> None:
    assert {part_of(path) for path in source_files()} - {"__init__"} <= set(HEIGHT)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("nmt/model/layers.py", "from nmt.decoding import search"),
        ("nmt/model/layers.py", "import nmt.checkpoint"),
        ("nmt/alignment/words.py", "from nmt.decoding.search import search"),
        ("nmt/evaluation.py", "from nmt.alignment import Links"),
        ("nmt/corpus/reading.py", "def read():\n    from nmt import training"),
        ("nmt/training/loop.py", "from nmt.cli.console import err"),
        ("nmt/config/toml.py", "import nmt"),
    ],
)
def test_an_import_that_points_up_is_found(path: str, source: str) -> None:
    assert len(violations(ROOT / path, source)) == 1


def test_decoding_may_call_alignment() -> None:
    assert violations(ROOT / "nmt/decoding/translator.py", "from nmt.alignment import align_pairs") == []


def test_the_library_is_never_imported_relatively_nor_the_program_by_name() -> None:
    """So the files of `cli` work as `nmt.cli` and as `cli`."""
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and part_of(path) != "cli":
                assert not node.level, path
            if isinstance(node, ast.ImportFrom) and part_of(path) == "cli":
                assert not (node.module or "").startswith("nmt.cli"), path
