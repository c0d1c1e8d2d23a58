"""`nmt info`: what a model folder, a tokenizer or a text file is."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from nmt.errors import ModelError, UsageError
from nmt.files import decode_lines, open_for_reading

from .console import is_terminal, out, write_line
from .link_facts import link_facts
from .options import JsonOption

TOKENIZER_ENDINGS = (".model", ".spm")

SIZES = {"bytes", "files", "peak_memory", "hmm_bytes"}
UNITS = {"GB": 10**9, "MB": 10**6, "kB": 10**3}

Facts = dict[str, Any]


def info(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A model folder, or a file of it, or a file of text or links."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what a model folder, a tokenizer (.model), weights (.safetensors), text or links in any format are.

    A model's files are compared with the hashes in its manifest; the exit status is 65 if one is damaged.

    Example:
        nmt info demo-model
        nmt info links.jsonl
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.is_dir():
        facts = model_facts(path)
    elif path.suffix in TOKENIZER_ENDINGS:
        facts = tokenizer_facts(path)
    elif path.suffix == ".safetensors":
        facts = weights_facts(path)
    else:
        facts = link_facts(path) or text_facts(path)
    _show(facts, as_json=as_json)
    if facts.get("damaged"):
        raise ModelError("; ".join(facts["damaged"]))


def model_facts(path: Path) -> Facts:
    """What the manifest and configuration of a model folder say, and which of its files are damaged.

    Of a model in training the best one so far is described.
    """
    from nmt.checkpoint import MANIFEST, damages, model_folder, trusted_manifest

    folder = model_folder(path)
    training = _training_facts(path)
    if not (folder / MANIFEST).exists():
        if not training:
            raise ModelError(
                f"{path}: not a model folder: it has neither {MANIFEST} nor a training in train/"
            )
        return {"kind": f"{_state(path)}, none to use yet", "path": str(path), **training}
    manifest = trusted_manifest(folder)
    data = manifest.get("data", {})
    return {
        "kind": "model" if folder == path else f"{_state(path)}, the best so far",
        "path": str(folder),
        **_config_facts(folder),
        "parameters": manifest.get("parameters"),
        "dev": manifest.get("dev", {}),
        "alignment": _alignment_facts(folder, manifest),
        "data": {**data, "held_out": len(data.get("held_out") or ())},
        "training": manifest.get("training", {}),
        **training,
        "files": {name: entry["bytes"] for name, entry in manifest["files"].items()},
        "damaged": list(damages(folder, manifest)),
        **{key: manifest.get(key) for key in ("nmt_version", "torch_version", "tokenizer_hash", "signature")},
    }


def _alignment_facts(folder: Path, manifest: Mapping[str, Any]) -> Facts:
    """What the manifest tells of links, and the sizes of what they are made with."""
    from nmt.alignment.origin import source_of_links
    from nmt.checkpoint import ALIGN_HEAD, CONFIG, HMM, stored_config, stored_shapes

    facts = dict(manifest.get("alignment", {}))
    has_head, has_hmm = ALIGN_HEAD in manifest["files"], HMM in manifest["files"]
    if (folder / CONFIG).exists():
        facts["from"] = source_of_links(
            stored_config(folder).alignment.source,
            has_head=has_head,
            has_hmm=has_hmm,
            num_pairs=facts.get("pairs"),
        )
    if has_head and (folder / ALIGN_HEAD).exists():
        facts["head_parameters"] = sum(shape.numel() for shape in stored_shapes(folder / ALIGN_HEAD).values())
    if has_hmm:
        facts["hmm_bytes"] = manifest["files"][HMM]["bytes"]
    return facts


def _config_facts(folder: Path) -> Facts:
    from nmt.checkpoint import CONFIG, stored_config
    from nmt.training.card import languages

    if not (folder / CONFIG).exists():
        return {}
    config = stored_config(folder)
    model, tokenizer = config.model, config.tokenizer
    return {
        "languages": languages(config),
        **({"directions": "both"} if config.data.bidirectional else {}),
        **({"context": _context(config.data.context)} if config.data.context else {}),
        "trained_on": [*config.data.src, *config.data.tgt],
        "architecture": {
            "layers": f"{model.encoder_layers}+{model.decoder_layers}",
            "d_model": model.d_model,
            "d_ff": model.d_ff,
            "heads": model.num_heads,
        },
        "tokenizer": {"type": tokenizer.type, "pieces": tokenizer.vocab_size, "joint": tokenizer.joint},
    }


def _context(size: int) -> str:
    """What stands before a source where the network reads it."""
    return f"up to {size} source sentences before each, every one with <s> behind it"


def _state(path: Path) -> str:
    """What there is to know of a model that is not finished."""
    from nmt.training.lock import is_locked

    if is_locked(path / "train"):
        return "model in training"
    return "model whose training was stopped, and goes on with the same nmt train command"


def _training_facts(path: Path) -> Facts:
    """The newest checkpoint, if a training was begun."""
    from nmt.checkpoint import newest
    from nmt.training.run import RUN

    checkpoints = newest(path / "train", "step")
    if not checkpoints and not (path / "train" / RUN).exists() and not newest(path / "train", "best"):
        return {}
    return {"newest_checkpoint": checkpoints[-1].name if checkpoints else "none yet"}


def tokenizer_facts(path: Path) -> Facts:
    """What a SentencePiece model is."""
    from nmt.tokenizer import Tokenizer

    return {
        "kind": "tokenizer",
        "path": str(path),
        "bytes": path.stat().st_size,
        **asdict(Tokenizer.load(path).info()),
    }


def weights_facts(path: Path) -> Facts:
    """What a file of weights holds."""
    from nmt.checkpoint import stored_shapes

    shapes = stored_shapes(path)
    return {
        "kind": "weights; what they are the weights of, the folder tells",
        "path": str(path),
        "bytes": path.stat().st_size,
        "tensors": len(shapes),
        "numbers": sum(shape.numel() for shape in shapes.values()),
    }


def text_facts(path: Path) -> Facts:
    """Counts over the lines of a text file, read as a stream."""
    from nmt.corpus.words import word_spans

    num_words = num_characters = num_lines = num_blank = longest = longest_line = 0
    invalid: list[int] = []
    with open_for_reading(path) as stream:
        lines = decode_lines(stream, str(path), on_invalid="replace", on_mended=invalid.append)
        for num_lines, line in enumerate(lines, start=1):
            num_words += len(word_spans(line))
            num_characters += len(line)
            num_blank += not line.strip()
            if len(line) > longest:
                longest, longest_line = len(line), num_lines
    return {
        "kind": "text",
        "path": str(path),
        "bytes": path.stat().st_size,
        "lines": num_lines,
        "blank_lines": num_blank,
        "words": num_words,
        "characters": num_characters,
        "words_per_line": round(num_words / max(num_lines - num_blank, 1), 2),
        "longest_line": {"number": longest_line, "characters": longest},
        "invalid_utf8_lines": {"count": len(invalid), "first": invalid[:10]},
    }


def _show(facts: Facts, *, as_json: bool) -> None:
    if as_json:
        write_line(json.dumps(facts, ensure_ascii=False))
        return
    rows = [(_name(key), _shown(_with_unit(key, value))) for key, value in facts.items()]
    if not is_terminal():
        for name, value in rows:
            write_line(f"{name}: {value}")
        return
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in rows:
        table.add_row(Text(name, style="dim"), Text(value))
    out.print(table)


def _with_unit(key: str, value: object) -> object:
    """A fact with every number of bytes in it told as a size."""
    if isinstance(value, Mapping):
        return {name: _with_unit(key if key == "files" else name, item) for name, item in value.items()}
    if isinstance(value, int) and key in SIZES:
        return next(
            (f"{value / size:,.1f} {unit}" for unit, size in UNITS.items() if value >= size),
            f"{value:,} bytes",
        )
    return value


def _shown(value: object) -> str:
    if isinstance(value, Mapping) and value.keys() == {"score", "signature"}:
        return f"{value['score']:.2f} {value['signature']}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_name(key)} {_inner(item)}" for key, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_inner, value)) or "none"
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _name(key: str) -> str:
    if key in ("bytes", "hmm_bytes"):
        return "size" if key == "bytes" else "HMM aligners"
    return f"{key}:" if key.isdigit() else key.replace("_", " ")


def _inner(value: object) -> str:
    nested = isinstance(value, (Mapping, list, tuple)) and value and "signature" not in value
    return f"({_shown(value)})" if nested else _shown(value)
