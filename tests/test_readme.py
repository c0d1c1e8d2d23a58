"""The README tells the truth about files, each with the first line of its docstring, and commands."""

import ast
import re
from pathlib import Path

import pytest
import typer

from nmt.cli.main import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("nmt", "cli", "data", "recipes")
    for path in (ROOT / folder).rglob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_every_module_is_in_the_tree_with_its_first_line(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    assert docstring, f"{path} has no docstring"
    first_line = docstring.splitlines()[0]
    assert re.search(rf"^ *{re.escape(path.name)} +{re.escape(first_line)}$", README, re.MULTILINE)


COMMANDS = re.findall(r"^nmt .*$", README, re.MULTILINE) + re.findall(r"\| `(nmt .+?)` \|", README)


def test_the_readme_shows_every_command() -> None:
    commands = typer.main.get_command(app)
    assert {command.split()[1] for command in COMMANDS} == set(commands.list_commands(None))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_is_one(command: str, parse_nmt) -> None:
    parse_nmt(command)


SHELL = {"$how": "--shortlist", "${row%-*}": "tiny", "${row#*-}": "2048"}
"""Values of variables in commands of recipes that do not stand for any word."""


@pytest.mark.parametrize(
    "page", sorted((ROOT / "recipes").glob("*/README.md")), ids=lambda page: page.parent.name
)
def test_every_command_of_a_recipe_is_one(page: Path, parse_nmt) -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    text = "".join(blocks).replace("\\\n", " ")
    for variable, value in SHELL.items():
        text = text.replace(variable, value)
    for command in re.findall(r"^ *(nmt .*)$", text, re.MULTILINE):
        parse_nmt(command)


def test_every_link_to_a_file_leads_to_one() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
