"""Learns anew what a finished model makes links with, from text; its weights stay as they are."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.checkpoint import CONFIG, TranslationModel, load_model, model_folder, save_links, trusted_manifest
from nmt.config.presets import Options, merge
from nmt.config.schema import Config
from nmt.config.toml import from_dict
from nmt.corpus.cleaning import Selection, clean_pairs, select_pairs, survey
from nmt.corpus.context import LinePair
from nmt.corpus.reading import NO_CONTEXTS, spread
from nmt.errors import ConfigError, Interrupted, UsageError
from nmt.files import write_text
from nmt.hardware import num_usable_cores
from nmt.training.card import model_card
from nmt.training.data import SAMPLE_PAIRS
from nmt.training.journal import OnReport
from nmt.training.links import LinkModels, learn_links
from nmt.training.lock import locked
from nmt.training.manifest import facts_of_links
from nmt.training.preparation import Tokenizers, flags, paths
from nmt.training.report import LinkingReport, LinksReport, NoteReport
from nmt.training.run import CARD

CHANGEABLE = (
    "data.src",
    "data.tgt",
    "data.invalid_utf8",
    "training.device",
    "training.seed",
    "training.threads",
)  # beside the options of alignment


def relink(
    model_dir: Path,
    options: Options,
    *,
    on_report: OnReport = lambda _: None,
    stop_signal: Callable[[], int] = lambda: 0,
) -> LinksReport:
    """Learn HMM aligners, layer and align head from text, by default from the files the model was trained on.

    `options` by section are those of alignment, and what CHANGEABLE names. A number other than zero from
    `stop_signal` raises Interrupted with it, and the model stays as it was. Raises ConfigError for any other
    option, ModelError if there is no finished model, DataError if the text can not be used.
    """
    _refuse_others(options)

    def heed_signal(_: int = 0) -> None:
        if signal := stop_signal():
            raise Interrupted(f"{model_dir}: as it was; nothing was written", signal)

    if model_folder(model_dir) != model_dir:
        trusted_manifest(model_dir)  # says that it is not finished
    with locked(model_dir / "train"):
        model = load_model(model_dir, with_links=False, **_machine(options))
        wanted = _wanted(model, options)
        text = _read(model, wanted, is_own="src" not in options.get("data", {}))
        on_report(NoteReport(str(text)))
        learner = replace(model.config, alignment=wanted.alignment, training=wanted.training)
        links = learn_links(
            replace(model, config=learner),
            text.pairs,
            on_progress=heed_signal,
            on_stage=lambda doing: on_report(LinkingReport(doing)),
        )
        heed_signal()
        end = _save(model, links, wanted, text)
    on_report(end)
    return end


def _refuse_others(options: Options) -> None:
    for section, values in options.items():
        for key in values:
            if section != "alignment" and f"{section}.{key}" not in CHANGEABLE:
                raise ConfigError(
                    f"{section}.{key}: is of no use to --align-head-only, which leaves the weights as they "
                    f"are; it takes options of alignment, {', '.join(CHANGEABLE)}"
                )
    data = options.get("data", {})
    if ("src" in data) != ("tgt" in data):
        raise UsageError("--align-head-only: --src and --tgt go together; give both or neither")


def _machine(options: Options) -> dict[str, Any]:
    """Where to compute; what it was trained on may be another machine."""
    given = options.get("training", {})
    return {"device": given.get("device", "auto"), "threads": given.get("threads", 0)}


def _wanted(model: TranslationModel, options: Options) -> Config:
    """The model's options and those given: with a head unless refused, a layer only if one was asked for."""
    is_chosen = model.manifest.get("alignment", {}).get("chosen", True)
    anew: Options = {
        "alignment": {"head": True, **({"layer": 0} if is_chosen else {})},
        "data": {"weights": []},
    }
    return from_dict(merge(asdict(model.config), anew, options))


@dataclass(frozen=True)
class _Text:
    """Pairs to learn from, and what became of all others."""

    pairs: list[LinePair]
    num_pairs: int
    dropped: Counter[str]
    num_mended: int
    names: list[str]  # of its files, if it is not what the model was trained on

    def __str__(self) -> str:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in self.dropped.items())
        return (
            f"{len(self.pairs):,} of {self.num_pairs:,} pairs to learn links from"
            f"{f'; dropped: {dropped}' if dropped else ''}"
            f"{f'; {self.num_mended:,} lines mended with U+FFFD' if self.num_mended else ''}"
        )


def _read(model: TranslationModel, wanted: Config, *, is_own: bool) -> _Text:
    """The pairs that links are learnt from in training too: clean, not held out, spread over the text."""
    data = wanted.data
    if is_own:
        _refuse_missing(model)
    text, prints = survey(*paths(data), on_invalid=data.invalid_utf8, contexts=data.contexts)
    held_out = _held_out(model.manifest, len(text)) if is_own else None
    clean = select_pairs(prints, remove_duplicates=data.remove_duplicates, held_out=held_out)
    keep = flags(spread(clean.keep.nonzero().squeeze(1), SAMPLE_PAIRS), len(text))
    num_beyond = clean.num_kept - int(keep.sum())
    dropped = clean.dropped + Counter({f"more than {SAMPLE_PAIRS:,}": num_beyond})
    tokenizers = Tokenizers(model.src_tokenizer, model.tgt_tokenizer, model.config.tokenizer.joint)
    encode = tokenizers.encoders(wanted.training.threads or num_usable_cores())
    pairs = list[LinePair]()
    for chunk in clean_pairs(text, Selection(keep, dropped), data, *encode):
        contexts = chunk.contexts or [NO_CONTEXTS] * len(chunk.lines)
        pairs += [(*pair, before) for pair, (before, _) in zip(chunk.lines, contexts, strict=True)]
        dropped += chunk.dropped
    num_mended = text.num_invalid if data.invalid_utf8 == "replace" else 0
    names = [] if is_own else [path.name for path in (*text.src_paths, *text.tgt_paths)]
    return _Text(pairs, len(text), dropped, num_mended, names)


def _refuse_missing(model: TranslationModel) -> None:
    sides = paths(model.config.data)
    missing = next((path for side in sides for path in side if not path.exists()), None)
    found = f"its training text {missing} is not there" if missing else "names no training text"
    if missing or not any(sides):
        raise UsageError(f"{model.path}/{CONFIG}: {found}; give --src FILE --tgt FILE")


def _held_out(manifest: Mapping[str, Any], num_pairs: int) -> Tensor | None:
    """Numbers of the pairs that the development set was made of, if the text has as many as it had then."""
    data = manifest.get("data", {})
    if data.get("pairs") != num_pairs or not data.get("held_out"):
        return None
    return torch.tensor(data["held_out"]) - 1


def _save(model: TranslationModel, links: LinkModels, wanted: Config, text: _Text) -> LinksReport:
    """Write what was learnt into the folder of the model, and say on its card whose links they are."""
    assert model.path is not None, "it was loaded"
    alignment = replace(wanted.alignment, layer=wanted.alignment.layer or links.choice.layer)
    config = replace(model.config, alignment=alignment)
    end = LinksReport(
        links.num_pairs, links.source(alignment.source), alignment.layer, links.agreement, links.seconds
    )
    facts = facts_of_links(
        layer=end.alignment_layer,
        links_from=end.links_from,
        num_pairs=end.num_pairs,
        seconds=end.seconds,
        agreement=end.agreement,
        is_chosen=not wanted.alignment.layer,
    )
    if text.names:
        facts["text"] = text.names
    manifest = {**model.manifest, "alignment": facts}
    new = replace(model, config=config, manifest=manifest, align_head=links.head)
    save_links(new, model.path, hmm=links.hmm)
    write_text(model.path / CARD, model_card(config, manifest))
    return end
