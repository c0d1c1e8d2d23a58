"""The manifest of a folder: what lies in it, and whether it is as it was written."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from nmt import __version__
from nmt.errors import ModelError
from nmt.files import make_dir, publish_dir, remove_dir, sha256_file, write_json

FORMAT = 1
MANIFEST = "manifest.json"
DIGEST = "manifest_sha256"  # in the manifest, of all else in it
NEXT = "next_files"  # in the manifest, what files are to be that may be replaced at any instant
CONFIG = "config.toml"
WEIGHTS = "model.safetensors"
ALIGN_HEAD = "align.safetensors"
HMM = "hmm.safetensors"
TOKENIZER = "tokenizer.model"
SRC_TOKENIZER = "tokenizer.src.model"
TGT_TOKENIZER = "tokenizer.tgt.model"


def publish(final_dir: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder beside the final one, sync it, and rename it."""
    final_dir = final_dir.resolve()  # `.` has no name to write beside
    tmp_dir = final_dir.with_name(final_dir.name + ".tmp")
    if tmp_dir.exists():
        remove_dir(tmp_dir)
    make_dir(tmp_dir)
    write(tmp_dir)
    publish_dir(tmp_dir, final_dir)


def write_manifest(
    folder: Path,
    names: tuple[str, ...],
    facts: dict[str, Any],
    *,
    next_files: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write `manifest.json`: sizes and SHA-256 of the named files and of itself, versions, and the facts.

    `next_files` tells sizes and SHA-256 that some of the files may have from now on.
    """
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in names
    }
    ours = {"format": FORMAT, "nmt_version": __version__, "torch_version": torch.__version__, "files": files}
    others = {name: fact for name, fact in facts.items() if name not in (*ours, NEXT)}  # a model has both
    manifest = ours | others | ({NEXT: next_files} if next_files else {})
    write_json(folder / MANIFEST, manifest | {DIGEST: _digest(manifest)})


def _digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own digest, however the JSON is laid out."""
    facts = {name: fact for name, fact in manifest.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, after every file in it was found to be as it was written.

    Raises ModelError naming what is missing or damaged.
    """
    manifest = trusted_manifest(folder)
    problem = next(damages(folder, manifest), None)
    if problem:
        raise ModelError(f"{problem}; copy the model folder again")
    return manifest


def trusted_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, itself found to be as it was written; the files it lists may be damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        _refuse_other_format(manifest, folder)
        files = {
            name: {"bytes": int(facts["bytes"]), "sha256": str(facts["sha256"])}
            for name, facts in manifest["files"].items()
        }
    except FileNotFoundError:
        raise ModelError(f"{folder}: {_why_no_model(folder)}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder / MANIFEST}: damaged: {error}; copy the model folder again") from error
    if manifest.get(DIGEST, _digest(manifest)) != _digest(manifest):
        raise ModelError(f"{folder / MANIFEST}: damaged: not as it was written; copy the model folder again")
    return {**manifest, "files": files}


def _why_no_model(folder: Path) -> str:
    if newest(folder / "train", "step"):
        return (
            "there is no model yet: its training is going on, or it was stopped, and then the same nmt train "
            "command goes on with it"
        )
    return f"no {MANIFEST}; expected a model folder made by nmt train"


def _refuse_other_format(manifest: Mapping[str, Any], folder: Path) -> None:
    found = manifest["format"]
    if found != FORMAT:
        raise ModelError(
            f"{folder}: model format {found}, written by nmt {manifest.get('nmt_version')}; "
            f"nmt {__version__} reads format {FORMAT}; install the nmt that wrote it, or a newer one"
        )


def damages(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the files that the manifest of a folder lists, one by one."""
    for name, facts in manifest["files"].items():
        path, size = folder / name, facts["bytes"]
        if name in manifest.get(NEXT, {}) and _is_whole(path, manifest[NEXT][name]):
            continue
        if Path(name).name != name:
            yield f"{folder / MANIFEST}: lists {name!r}, which is not the name of a file in the folder"
        elif not path.is_file():
            yield f"{path}: missing, but listed in {MANIFEST}"
        elif path.stat().st_size != size:
            found = f"{path.stat().st_size:,} bytes, expected {size:,}"
            yield f"{path}: damaged: not the file listed in {MANIFEST}: {found}"
        elif sha256_file(path) != facts["sha256"]:
            yield f"{path}: damaged: not the file listed in {MANIFEST}"


def _is_whole(path: Path, facts: Mapping[str, Any]) -> bool:
    return path.is_file() and sha256_file(path) == facts["sha256"]


def newest(folder: Path, kind: str) -> list[Path]:
    """Folders `kind-N` in a folder, by rising N."""
    found = [path for path in folder.glob(f"{kind}-*") if path.name.removeprefix(f"{kind}-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(f"{kind}-")))
