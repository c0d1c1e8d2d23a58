"""The scripts of recipes/transfer, with a program in place of nmt that only notes what it is asked for."""

import gzip
import os
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from nmt.config import Config, from_dict, override

RECIPE = Path(__file__).parents[2] / "recipes" / "transfer"
NOTE = """#!{python}
import shlex, sys
with open({log!r}, "a") as log:
    log.write("nmt " + shlex.join(sys.argv[1:]) + "\\n")
"""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")


@pytest.fixture
def commands(tmp_path: Path):
    """`commands("adapt.sh", …)`: the commands of nmt that a script runs, on text of a few lines."""
    data, log, programs = tmp_path / "the data", tmp_path / "log", tmp_path / "bin"
    for corpus in ("multi30k", "tatoeba-de-en"):
        (data / corpus).mkdir(parents=True)
    for name in ("train.de", "train.en"):
        (data / "multi30k" / name).write_text("a\n" * 3)
    for name in ("test.de.gz", "test.en.gz"):
        (data / "tatoeba-de-en" / name).write_bytes(gzip.compress(b"a\n"))
    programs.mkdir()
    (programs / "nmt").write_text(NOTE.format(python=sys.executable, log=str(log)))
    (programs / "nmt").chmod(0o755)
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def run(script: str, *others: Path) -> list[list[str]]:
        arguments = [RECIPE / script, data, *others, tmp_path / "all runs"]
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
        return [shlex.split(line) for line in log.read_text().splitlines()]

    return run


def values(command: list[str], option: str) -> list[str]:
    """What the option is given, every time."""
    return [value for name, value in pairwise(command) if name == option]


def config_of(command: list[str]) -> Config:
    """The configuration that a training asks for."""
    data = {"src": values(command, "--src"), "tgt": values(command, "--tgt")}
    asked = {"data": data, "training": {"init_from": "".join(values(command, "--init-from"))}}
    return from_dict(override(asked, values(command, "--set")))


@pytest.mark.parametrize("script", ["adapt.sh", "both_ways.sh", "distil.sh", "back_translation.sh"])
def test_every_command_of_a_script_is_one(script: str, commands, parse_nmt, tmp_path) -> None:
    found = commands(script, *([tmp_path] if script == "distil.sh" else []))
    assert {command[1] for command in found} >= {"train", "evaluate", "score"}
    made = {Path(value).name for command in found for value in values(command, "--out")}
    for command in found:
        parse_nmt(shlex.join(command))
        if command[1] == "train":
            config_of(command)
        if command[1] == "evaluate":
            assert {Path(value).name for value in values(command, "-m")} <= made | {"teacher-1"}


def test_where_old_text_is_mixed_in_it_has_the_small_weight(commands) -> None:
    mixed = [config for config in map(config_of, commands("adapt.sh")) if config.data.weights]
    assert len(mixed) == 2
    for config in mixed:
        weights = dict(zip((Path(path).name for path in config.data.src), config.data.weights, strict=True))
        assert weights == {"train.de.gz": 0.02, "captions.de": 1.0}
