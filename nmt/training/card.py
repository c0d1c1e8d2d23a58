"""The model card: what a model is, what it was made of, how good it is and how to use it, for its folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nmt.config.languages import UNKNOWN
from nmt.config.schema import Config, OnLong

SOURCE, TARGET = "source", "target"  # of languages without a name
METRICS = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}

USE = """```
nmt translate -m MODEL "A sentence."           # MODEL is this folder
nmt translate -m MODEL -i INPUT -o OUTPUT      # a file, line by line
nmt translate -m MODEL --align "A sentence."   # and the words each word comes from
{to}nmt align -m MODEL SOURCE TARGET               # word links of text that is translated already
nmt info MODEL                                 # facts, and whether the files are undamaged
```"""

TO = """\
nmt translate -m MODEL --to {} "A sentence."   # the other direction
"""

SOURCES = {
    "attention": "are read from the cross-attention of decoder layer {layer} of {most}",
    "head": "are found by the align head of decoder layer {layer} of {most}, which learnt from HMM aligners",
    "hmm": "are made by HMM aligners",
}
CHOICE = "The layer was chosen without gold links: those of its attention agree best with the HMM aligners."

LIMITS = """\
- It knows what its training text knows. On other subjects and in another style expect worse translations than
  the scores say; names, numbers and rare words are the first to go wrong.
- It can be fluent and wrong. Let someone who knows both languages read what matters.
- {context}
- {long_lines}
- A link of the word alignment says where the model looked, not that two words mean the same.
- What is unfair or private in the training text can come out again."""

ALONE = "It translates line by line and does not see the lines around."
IN_CONTEXT = (
    "It translates line by line, and sees up to {size} source lines before each, for which it was trained; a "
    "blank line begins another document. It does not see what it has made of them."
)

LONG_LINES: dict[OnLong, str] = {
    "split": "A line of more than {most} pieces is split and its parts are translated one by one.",
    "truncate": "Of a line of more than {most} pieces only the first {most} are translated.",
    "error": "A line of more than {most} pieces is refused.",
}


def model_card(config: Config, manifest: Mapping[str, Any]) -> str:
    """Markdown for the README.md of a model folder; what the manifest does not know is left out."""
    src, tgt = languages(config)
    sections = {
        "Use": USE.format(to=TO.format(src) if config.data.bidirectional else ""),
        "Scores": _scores(manifest.get("dev", {})),
        "Word alignment": _alignment(config, manifest.get("alignment", {})),
        "Data": _data(config, manifest.get("data", {})),
        "Model": _model(config, manifest),
        "Training": _training(config, manifest.get("training", {})),
        "Limits": _limits(config),
        "Origin": _origin(manifest),
    }
    ways = f"{src} to {tgt} and back" if config.data.bidirectional else f"{src} to {tgt}"
    head = f"# Translation model: {ways}\n\n{_summary(config, manifest)}"
    body = [f"## {name}\n\n{text}" for name, text in sections.items() if text]
    return "\n\n".join([head, *body]) + "\n"


def languages(config: Config) -> tuple[str, str]:
    """Names of both languages: given, or the endings of the training files (`train.de`, `train.en.gz`)."""
    found = config.data.languages
    return (SOURCE, TARGET) if found == UNKNOWN else found


def known_languages(config: Config) -> tuple[str, ...]:
    """The names of both languages, or none where the endings of the files do not tell them apart."""
    src, tgt = languages(config)
    return (src, tgt) if src != tgt and (src, tgt) != (SOURCE, TARGET) else ()


def _summary(config: Config, manifest: Mapping[str, Any]) -> str:
    src, tgt = languages(config)
    text = f"An encoder-decoder Transformer that translates {src} into {tgt}"
    if config.data.bidirectional:
        text += f" and {tgt} into {src}"
    pairs = manifest.get("data", {}).get("kept")
    return f"{text}, trained on {pairs:,} sentence pairs." if pairs else f"{text}."


def _scores(dev: Mapping[str, Any]) -> str:
    each = dev.get("bleu_by_direction", {})
    lines = [f"- BLEU of {direction} {value:.2f}; below is the mean" for direction, value in each.items()]
    lines += [
        f"- {METRICS.get(name, name)} {score['score']:.2f} `{score['signature']}`"
        for name, score in dev.items()
        if isinstance(score, Mapping) and "signature" in score
    ]
    lines += [f"- {name} {value:.4f}" for name, value in dev.items() if isinstance(value, float)]
    return f"{_dev_set(dev)}:\n\n" + "\n".join(lines) if lines else ""


def _dev_set(dev: Mapping[str, Any]) -> str:
    """What the scores were measured on."""
    if "pairs" not in dev:
        return "On the development set"
    origin = {"given": "", "held out": " held out of the text", "training": " that were trained on too"}
    text = f"On {dev['pairs']:,} development pairs{origin[dev['origin']]}"
    if dev["origin"] == "given" and dev["overlap"]:
        text += f", of which {dev['overlap']:,} are in the training text too"
    return f"{text}; BLEU of the first {dev['decoded']:,}, beam {dev['beam']}"


def _alignment(config: Config, alignment: Mapping[str, Any]) -> str:
    layer = alignment.get("layer", config.alignment.layer)
    if not layer:
        return ""
    source, most = alignment.get("from", "attention"), config.model.decoder_layers
    text = f"Links between words {SOURCES[source].format(layer=layer, most=most)}.{_learnt(alignment)}"
    agreement = alignment.get("agreement")
    if not agreement:
        return text
    mark = "" if source == "hmm" else " (read)"
    rows = [
        [str(name), f"{share:.3f}" + (mark if str(name) == str(layer) else "")]
        for name, share in agreement.items()
    ]
    reason = CHOICE if alignment.get("chosen", True) else "The layer was set by the option `alignment.layer`."
    table = _table(["layer", "agreement of its attention with the HMM aligners"], rows)
    return "\n".join([text, *([] if source == "hmm" else [reason]), "", table])


def _learnt(alignment: Mapping[str, Any]) -> str:
    """What the HMM aligners were trained on, as a sentence."""
    if not alignment.get("pairs"):
        return ""
    files = " and ".join(f"`{name}`" for name in alignment.get("text", ()))
    return f" The HMM aligners learnt from {alignment['pairs']:,} pairs of {files or 'the training text'}."


def _data(config: Config, data: Mapping[str, Any]) -> str:
    weights = config.data.weights or [1.0] * len(config.data.src)
    files = zip(config.data.src, config.data.tgt, weights, strict=True)
    lines = [
        f"- trained on `{Path(src).name}` and `{Path(tgt).name}`"
        f"{'' if weight == 1 else f', {weight:g} times in an epoch'}"
        for src, tgt, weight in files
    ]
    if "pairs" in data and "kept" in data:
        lines.append(f"- {data['kept']:,} of {data['pairs']:,} pairs kept")
    lines += [f"- dropped ({reason}): {count:,}" for reason, count in data.get("dropped", {}).items()]
    if data.get("documents"):
        lines.append(f"- {data['documents']:,} documents, which blank source lines end")
    if data.get("mended"):
        lines.append(f"- lines mended with U+FFFD: {data['mended']:,}")
    if config.data.dev_src:
        lines.append(
            f"- development set `{Path(config.data.dev_src).name}`, `{Path(config.data.dev_tgt).name}`"
        )
    elif data.get("held_out"):
        count = len(data["held_out"])
        lines.append(f"- development set: {count:,} pairs held out; `manifest.json` lists their lines")
    if "hash" in data:
        lines.append(f"- SHA-256 of the hashes of all files: `{data['hash']}`")
    return "\n".join(lines)


def _model(config: Config, manifest: Mapping[str, Any]) -> str:
    model, tokenizer = config.model, config.tokenizer
    pieces = f"{tokenizer.vocab_size:,} pieces{'' if tokenizer.joint else ' for each language'}"
    rows = [
        ["layers", f"{model.encoder_layers} encoder, {model.decoder_layers} decoder"],
        ["width", f"{model.d_model}; {model.d_ff} inside the feed-forward layers"],
        ["attention heads", f"{model.num_heads}{', queries and keys normed' if model.qk_norm else ''}"],
        ["feed-forward", f"{model.activation}{', gated' if model.gated else ''}"],
        ["norm", f"{model.norm}, {model.norm_position}"],
        ["positions", model.positions],
        ["tied embeddings", model.tied_embeddings],
        ["tokenizer", f"SentencePiece {tokenizer.type}, {pieces}, normalisation {tokenizer.normalization}"],
    ]
    if "parameters" in manifest:
        rows.insert(0, ["parameters", f"{manifest['parameters']:,}"])
    return _table(["part", "choice"], rows)


def _training(config: Config, training: Mapping[str, Any]) -> str:
    shown: dict[str, Callable[[Any], str]] = {
        "initial": lambda model: f"began with the weights of `{model['name']}`, SHA-256 `{model['sha256']}`",
        "step": lambda steps: f"{steps:,} steps of up to {config.training.batch_tokens:,} target tokens",
        "best_step": lambda step: (
            f"the weights are the moving average at step {step:,}, the best on those pairs"
        ),
        "averaged": lambda members: (
            f"the weights are the mean of those of {', '.join(Path(each['name']).name for each in members)}"
        ),
        "epoch": lambda epochs: f"{epochs:,.4g} passes over the data",
        "seconds": duration,
        "tokens_per_second": lambda speed: f"{speed:,.0f} target tokens per second, padding not counted",
        "peak_memory": lambda size: f"{size / 1e9:.1f} GB of memory at most",
        "left_out": lambda count: (
            f"left out because they do not fit into memory: {count:,} pairs, counted anew in every pass"
        ),
        "device": lambda device: f"on {device}",
        "precision": lambda precision: f"in {precision}",
        "stopped": lambda reason: f"ended: {reason}",
    }
    lines = [f"- {show(training[key])}" for key, show in shown.items() if training.get(key)]
    return "\n".join([*lines, f"- seed {config.training.seed}; every option is in `config.toml`"])


def _limits(config: Config) -> str:
    long_lines = LONG_LINES[config.decoding.on_long].format(most=config.data.max_length)
    context = IN_CONTEXT.format(size=config.data.context) if config.data.context else ALONE
    return LIMITS.format(context=context, long_lines=long_lines)


def _origin(manifest: Mapping[str, Any]) -> str:
    shown = {
        "nmt_version": "nmt",
        "torch_version": "PyTorch",
        "tokenizer_hash": "SHA-256 of the tokenizer",
        "signature": "signature",
    }
    return "\n".join(f"- {name}: `{manifest[key]}`" for key, name in shown.items() if key in manifest)


def duration(seconds: float) -> str:
    """Seconds as a person would say them: `1 h 5 min`, `3 min 20 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])
