"""The wheel: complete, takes no import name but `nmt`, and runs the demo far from the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PRINT_PLACES = """
import nmt, nmt.cli, nmt.sample_data, nmt.corpus.sample
for module in nmt, nmt.cli, nmt.sample_data:
    print(module.__file__)
print(nmt.corpus.sample.sample_dir())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that no earlier build is in it and the checkout stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("nmt", "cli", "data"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("*.egg-info"))
    run(
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        "dist",
        ".",
        cwd=source,
    )
    [wheel] = (source / "dist").glob("nmt-*.whl")
    return wheel


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, which sees the packages of this one but not the checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=os.name != "nt")
    python = script(folder, "python")
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        wheel,
        cwd=folder,
    )
    # A folder named in a .pth file is searched, but the .pth files in it, editable installs, are not read.
    neighbours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site_packages(folder) / "neighbours.pth").write_text("\n".join(sorted(neighbours)), encoding="utf-8")
    return folder


def script(environment: Path, name: str) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin") / name


def site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", vars={"base": str(environment)}))


def run(*command: str | Path, cwd: Path) -> str:
    """What a command prints; it must succeed, and sees neither this folder nor PYTHONPATH."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=variables, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_the_list_of_packages_is_the_list_of_folders() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "nmt").rglob("*.py")}
    expected = {".".join(folder.parts) for folder in folders} | {"nmt.cli", "nmt.sample_data"}
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == expected


def test_every_package_has_its_init_file() -> None:
    folders = PYPROJECT["tool"]["setuptools"]["package-dir"]
    for package in PYPROJECT["tool"]["setuptools"]["packages"]:
        assert (ROOT / folders.get(package, package.replace(".", "/")) / "__init__.py").is_file()


def test_the_wheel_holds_the_sample_corpus_and_nothing_but_nmt(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names} == {"nmt", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    assert not [name for name in names if name.endswith(".pyc")]
    assert {"nmt/py.typed", "nmt/alignment/drawing/browser/page.js"} <= set(names)
    for path in (ROOT / "data" / "de-en").iterdir():
        assert path.suffix in (".svg", ".png") or f"nmt/sample_data/de-en/{path.name}" in names


def test_installed_it_takes_no_import_name_but_nmt(environment: Path, tmp_path: Path) -> None:
    installed = {path.name for path in site_packages(environment).iterdir()} - {"neighbours.pth"}
    assert {name for name in installed if not name.endswith(".dist-info")} == {"nmt"}
    for path in run(script(environment, "python"), "-c", PRINT_PLACES, cwd=tmp_path).splitlines():
        assert Path(path).is_relative_to(site_packages(environment))
    assert run(script(environment, "nmt"), "--version", cwd=tmp_path).startswith("nmt ")


@pytest.mark.slow
def test_installed_it_runs_the_whole_demo_in_another_folder(environment: Path, tmp_path: Path) -> None:
    run(script(environment, "nmt"), "demo", "--out", "demo-model", cwd=tmp_path)
    summary = json.loads((tmp_path / "demo-model" / "summary.json").read_bytes())
    assert summary["bleu"] >= 85
    assert summary["aer"] <= 0.15
