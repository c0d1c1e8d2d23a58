"""A model for documents: it is given the sentences before, and they decide what a sentence becomes."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.alignment import align_pairs
from nmt.checkpoint import TranslationModel, load_model
from nmt.config import Config, from_dict
from nmt.corpus.encoded import EncodedCorpus
from nmt.decoding import Translator
from nmt.errors import ConfigError, UsageError
from nmt.model import IncrementalDecoder
from nmt.tokenizer import SEPARATOR_ID
from nmt.training import train
from nmt.training.data import prepare
from nmt.training.initial import inherited
from nmt.training.report import DataReport, as_line

SYLLABLES = "ba ke lo mu ti sa ne ro".split()
PRONOUNS = {"ka": "he", "do": "he", "ni": "she", "ge": "she"}
"""What a sentence says instead of `o` if the one before was about this; `o` itself is both."""
SHAPE = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 32, "d_ff": 64, "num_heads": 2}
TRAINING = {
    "optimizer": "adamw",
    "threads": 1,
    "precision": "float32",
    "batch_tokens": 400,
    "max_steps": 240,
    "eval_steps": 240,  # once, as BLEU says nothing of sentences this short
    "report_steps": 100,
    "learning_rate": 0.01,
    "warmup_steps": 20,
    "schedule": "cosine",
    "ema_decay": 0.9,
}


def document(generator: random.Random) -> list[tuple[str, str]]:
    """Two sentences, of which only the first says whom the second is about, and a blank line."""
    noun = generator.choice([*PRONOUNS])
    first, second = (" ".join(generator.choices(SYLLABLES, k=generator.randint(1, 2))) for _ in range(2))
    return [(f"{noun} {first}", f"{noun} {first}"), (f"o {second}", f"{PRONOUNS[noun]} {second}"), ("", "")]


def documents(num_documents: int, *, seed: int) -> list[tuple[str, str]]:
    generator = random.Random(seed)
    return [pair for _ in range(num_documents) for pair in document(generator)]


def write(folder: Path, name: str, pairs: list[tuple[str, str]]) -> tuple[str, str]:
    """Write both sides of a text, and return their paths."""
    paths = folder / f"{name}.aa", folder / f"{name}.bb"
    for path, lines in zip(paths, zip(*pairs, strict=True), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines))
    return str(paths[0]), str(paths[1])


def config_of(
    train_paths: list[tuple[str, str]], dev_paths: tuple[str, str] = ("", ""), **sections: Any
) -> Config:
    src, tgt = zip(*train_paths, strict=True)
    data = {"src": src, "tgt": tgt, "dev_src": dev_paths[0], "dev_tgt": dev_paths[1], "context": 1}
    model = {**SHAPE, "dropout": 0.0}
    given = {"model": model, "training": TRAINING, **sections}
    return from_dict({**given, "data": data | sections.get("data", {})})


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model that was trained on documents."""
    folder = tmp_path_factory.mktemp("documents")
    paths = [write(folder, "train", documents(600, seed=1))], write(folder, "dev", documents(20, seed=2))
    reports: list[Any] = []
    train(config_of(*paths), folder / "model", on_report=reports.append)
    (report,) = [report for report in reports if isinstance(report, DataReport)]
    assert "; 600 documents: a blank source line" in as_line(report)
    return folder / "model"


@pytest.fixture(scope="module")
def model(learnt: Path) -> TranslationModel:
    return load_model(learnt, device="cpu", threads=1)


def share_of_right(translator: Translator, pairs: list[tuple[str, str]]) -> float:
    """How many sentences with a pronoun become what they should."""
    found = translator.stream(src for src, _ in pairs)
    is_right = [
        each.text == tgt for each, (src, tgt) in zip(found, pairs, strict=True) if src.startswith("o ")
    ]
    return sum(is_right) / len(is_right)


def test_the_sentence_before_decides_and_without_it_half_are_guesses(model) -> None:
    unseen = documents(60, seed=3)
    config = replace(model.config.decoding, window=4)  # most documents begin in one window and end in another
    assert share_of_right(Translator(model, config), unseen) > 0.95
    assert share_of_right(Translator(model, config, context=False), unseen) < 0.7


def test_the_program_translates_documents(learnt, tmp_path, run_nmt) -> None:
    command = ("translate", "-m", learnt, "--threads", "1", "--set", "decoding.window=2")
    lines = ["ka ba", "o ke", "", "ni ba", "o ke", "o ke"]
    (tmp_path / "src").write_text("".join(f"{line}\n" for line in lines))
    expected = ["ka ba", "he ke", "", "ni ba", "she ke"]
    assert run_nmt(*command, *lines[:5]).lines == expected
    translated = run_nmt(*command, "-i", tmp_path / "src").lines
    assert translated[:5] == expected
    alone = run_nmt(*command, "--no-context", "-i", tmp_path / "src").lines
    assert alone[1] == alone[4] == alone[5]
    (tmp_path / "tgt").write_text("".join(f"{line}\n" for line in translated))
    scores = run_nmt(*command, "-i", tmp_path / "src", "--score", tmp_path / "tgt").lines
    records = [
        json.loads(line) for line in run_nmt(*command, "-i", tmp_path / "src", "--format", "jsonl").lines
    ]
    assert [float(each) for each in scores] == pytest.approx([each["score"] for each in records], abs=1e-4)
    facts = json.loads(run_nmt("evaluate", "-m", learnt, tmp_path / "src", tmp_path / "tgt", "--json").stdout)
    assert facts["context"] == 1
    assert facts["scores"][1]["value"] > 99  # chrF, as no line has four words
    assert "up to 1 source sentences before each, every one with <s>" in run_nmt("info", learnt).stdout
    assert "sees up to 1 source lines before each" in (learnt / "README.md").read_text()
    next_word = json.loads(run_nmt(*command, "--alternatives", "1", "ni ba", "o ke").lines[1])
    assert next_word["alternatives"][0]["tgt"] == "she ke"


def test_json_lines_bring_their_context_or_tell_documents_apart(learnt, run_nmt) -> None:
    records = [
        {"src": "ni ba", "doc": 1},
        {"src": "o ke", "doc": 1},
        {"src": "o ke", "doc": 1, "context": "ka lo"},
        {"src": "o ke", "context": ["ni lo"]},
        {"src": "ka ba", "doc": [2]},
        {"src": "o ke", "doc": [2], "context": 5},
        {"src": "o ke", "doc": [2]},
        {"src": "o ke", "doc": 3},
        {"src": "o ke", "context": []},
    ]
    stdin = "".join(f"{json.dumps(record)}\n" for record in records)
    result = run_nmt("translate", "-m", learnt, "--threads", "1", "--input-format", "jsonl", stdin=stdin)
    found = [json.loads(line) for line in result.lines]
    texts = [each.get("tgt") for each in found]
    assert texts[:5] == ["ni ba", "she ke", "he ke", "she ke", "ka ba"]
    assert found[5]["error"] == "context is neither a text nor a list of texts"
    assert texts[6] == "he ke"
    assert texts[7] == texts[8]  # both without anything before them
    command = ("translate", "-m", learnt, "--threads", "1", "--input-format", "jsonl", "--score", "-")
    scored = [json.loads(line) for line in run_nmt(*command, stdin=result.stdout).lines]
    assert [each.get("score") for each in scored] == pytest.approx(
        [each.get("score") for each in found], abs=1e-4
    )
    pairs = "".join(f"{json.dumps(record | {'tgt': 'she ke'})}\n" for record in records[4:7])
    command = ("align", "-m", learnt, "--threads", "1", "--input-format", "jsonl", "--from", "attention")
    linked = [json.loads(line) for line in run_nmt(*command, "--format", "jsonl", stdin=pairs).lines]
    assert ["links" in each for each in linked] == [True, False, True]
    assert linked[1]["error"] == found[5]["error"]
    assert run_nmt(*command, "--strict", stdin=pairs).stderr.startswith("error: stdin:2: context is neither")


def test_links_are_between_words_of_a_pair_whatever_stands_before_it(learnt, model, run_nmt) -> None:
    source = ["ka ba", "o ke lo", "ni ti", "o ti mu sa"]
    for links_from in ("attention", "hmm"):
        linking = replace(
            model, config=replace(model.config, alignment=replace(model.config.alignment, source=links_from))
        )
        translator = Translator(linking, model.config.decoding, align=True)
        translations = translator.translate(source)
        context: tuple[str, ...] = ()
        for line, each in zip(source, translations, strict=True):
            assert each.alignment.forward.shape[1] == len(model.src_tokenizer.encode(line))
            assert each.alignment.source == line
            (same,) = align_pairs(linking, [(line, each.text, context)], links_from=links_from)
            torch.testing.assert_close(same.forward, each.alignment.forward, atol=1e-5, rtol=1e-4)
            context = (line,)
    pairs = "".join(f"{each.source} ||| {each.text}\n" for each in translations)
    command = ("-m", learnt, "--threads", "1", "--from", "attention", "--format", "pharaoh-scores")
    linked = run_nmt("align", *command, stdin=pairs).lines
    expected = align_pairs(
        model,
        [
            (line, each.text, tuple(source[max(0, i - 1) : i]))
            for i, (line, each) in enumerate(zip(source, translations, strict=True))
        ],
        links_from="attention",
    )
    assert [{tuple(map(int, item.split(":")[0].split("-"))) for item in line.split()} for line in linked] == [
        set(each.words().links) for each in expected
    ]


def test_models_of_other_contexts_are_no_ensemble(model) -> None:
    alone = replace(model, config=replace(model.config, data=replace(model.config.data, context=0)))
    with pytest.raises(ConfigError, match="other contexts: 1 as against 0 sentences; expected the same"):
        Translator([model, alone], model.config.decoding)
    both = Translator([model, model], model.config.decoding)
    assert [each.text for each in both.translate(["ni ba", "o ke"])] == ["ni ba", "she ke"]
    with pytest.raises(UsageError, match="contexts are only for models that were trained with them"):
        Translator(alone, model.config.decoding).translate(["o ke"], [["ni ba"]])


def test_ctranslate2_is_told_what_stands_before_a_source(model, tmp_path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    from nmt.interop.ctranslate2 import export_ctranslate2

    export_ctranslate2(model, tmp_path / "exported")
    assert "the oldest first, each with `<s>` behind it" in (tmp_path / "exported" / "README.md").read_text()
    before, own = (
        [model.src_tokenizer.piece(id) for id in model.src_tokenizer.encode(line)]
        for line in ("ni ba", "o ke")
    )
    [found] = ctranslate2.Translator(str(tmp_path / "exported")).translate_batch([[*before, "<s>", *own]])
    assert "".join(found.hypotheses[0]).replace("▁", " ").strip() == "she ke"


def test_training_goes_on_with_another_context(learnt, model) -> None:
    for asked in ({}, {"context": 3}):
        own = inherited(learnt, {"data": asked}, preset_name="auto", data=model.config.data)
        assert own["data"]["context"] == 1


# What the network is given

TEXT = [
    ("ba ke lo", "BA KE LO"),
    ("mu ti", "MU TI"),
    ("sa ne", ""),
    ("ro du", "RO DU"),
    ("", ""),
    ("ba ke lo", "BA KE LO"),  # as the first document began
    ("mu ti", "MU TI"),
    ("ro du", "RO DU"),  # not after the same lines as before
]
OTHER = [("vi ba", "VI BA"), ("vi ke", "VI KE")]
KEPT = {1: ([], []), 2: ([1], [1]), 4: ([2, 3], []), 8: ([6, 7], [6, 7]), 9: ([], []), 10: ([9], [9])}
"""Numbers of the pairs to train on, and of the lines before both of their sides."""


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"sampling_alpha": 0.3}])
def test_every_source_is_behind_the_lines_before_it(tmp_path, options: dict[str, Any]) -> None:
    paths = [write(tmp_path, "one", TEXT), write(tmp_path, "other", OTHER)]
    dev_paths = write(tmp_path, "dev", OTHER)
    alpha = options.pop("sampling_alpha", 0.0)
    config = config_of(paths, dev_paths, data={"context": 2, **options}, tokenizer={"sampling_alpha": alpha})
    prepared = prepare(config)
    assert prepared.report.dropped == {"empty side": 2, "duplicate": 2}
    assert prepared.report.num_documents == 3
    lines, tags = dict(enumerate([*TEXT, *OTHER], start=1)), prepared.tgt_tokenizer.tags
    expected = []
    for number, contexts in KEPT.items():
        for side, tag in ((0, "bb"), (1, "aa"))[: 2 if options else 1]:
            before = [lines[one][side] for one in contexts[side]]
            expected.append(
                ([tags[tag]] if options else [], [*before, lines[number][side]], lines[number][1 - side])
            )
    tokenizer = prepared.src_tokenizer
    if not alpha:
        assert rows(prepared.corpus) == [
            ([*tag, *joined(list(map(tokenizer.encode, src)))], tokenizer.encode(tgt))
            for tag, src, tgt in expected
        ]
    seen = []
    for _, batch in prepared.train_batches(config.training, epoch=1, start=0, device=torch.device("cpu")):
        for src, tgt in zip(batch.src_tokens.tolist(), batch.tgt_out.tolist(), strict=True):
            tag, src = src[: batch.num_tags], src[batch.num_tags :]
            seen.append((tag, [tokenizer.decode(part) for part in split(src)], tokenizer.decode(tgt)))
    assert sorted(seen) == sorted(expected)
    first, second = (tokenizer.encode(src) for src, _ in OTHER)
    assert rows(prepared.dev_corpus)[-1 - bool(options)][0][-len(joined([first, second])) :] == joined(
        [first, second]
    )
    assert prepared.sample_pairs()[2] == (*lines[4], tuple(lines[one][0] for one in KEPT[4][0]))


def joined(lines: list[list[int]]) -> list[int]:
    """Pieces of lines with separators between them."""
    *context, own = lines
    return [id for line in context for id in (*line, SEPARATOR_ID)] + own


def split(ids: list[int]) -> list[list[int]]:
    """The pieces between separators."""
    parts: list[list[int]] = [[]]
    for id in ids:
        if id == SEPARATOR_ID:
            parts.append([])
        else:
            parts[-1].append(id)
    return parts


def rows(corpus: EncodedCorpus) -> list[tuple[list[int], list[int]]]:
    return [(corpus.src(i).tolist(), corpus.tgt(i).tolist()) for i in range(len(corpus))]


def test_pairs_that_are_held_out_keep_what_stood_before_them(tmp_path) -> None:
    text = [(f"ba {number}", f"ba {number}") for number in range(200)]
    prepared = prepare(config_of([write(tmp_path, "train", text)]))
    for number, contexts in zip(prepared.held_out_lines, prepared.dev_contexts, strict=True):
        assert contexts == ((text[number - 2][0],) if number > 1 else (), ())


def in_documents(tiny_model: TranslationModel, *, size: int, max_length: int = 200) -> TranslationModel:
    data = replace(tiny_model.config.data, context=size, max_length=max_length)
    return replace(tiny_model, config=replace(tiny_model.config, data=data))


LINES = ["Der Hund schläft.", "<s> Hund </s>", "Die Katze", "", "Wir gehen.", "Im Garten <s> blüht", "er."]


def test_a_translator_gives_the_same_and_neither_window_nor_neighbours_matter(
    tiny_model, monkeypatch
) -> None:
    model = in_documents(tiny_model, size=2)
    admitted: list[list[int]] = []
    admit = IncrementalDecoder.admit

    def listen(self: IncrementalDecoder, sources: Any) -> None:
        admitted.extend(sources)
        admit(self, sources)

    monkeypatch.setattr(IncrementalDecoder, "admit", listen)
    decoding = replace(model.config.decoding, max_length_ratio=0.1)
    translator = Translator(model, decoding)
    whole = translator.translate(LINES)
    ids = [model.src_tokenizer.encode(line) for line in LINES]
    assert not any(SEPARATOR_ID in line for line in ids)
    expected = [ids[:1], ids[:2], ids[:3], ids[4:5], ids[4:6], ids[4:7]]
    assert sorted(admitted) == sorted(map(joined, expected))
    for window in (1, 3):
        small = Translator(model, replace(decoding, window=window, batch_rows=5))
        assert [each.text for each in small.stream(LINES)] == [each.text for each in whole]
    given = [LINES[:1], LINES[:2]]
    assert [each.text for each in translator.translate(LINES[1:3], given)] == [
        each.text for each in whole[1:3]
    ]
    pairs = [(each.source, each.hypotheses[0]) for each in whole]
    for scored, each in zip(translator.score(pairs), whole, strict=True):
        assert scored.hypothesis.score == pytest.approx(each.hypotheses[0].score, abs=1e-4)
    alone = Translator(model, decoding, context=False).translate(LINES)
    assert [each.text for each in alone] == [
        each.text for each in Translator(tiny_model, decoding).translate(LINES)
    ]


def test_a_part_of_a_long_line_sees_what_there_is_room_for(tiny_model, monkeypatch) -> None:
    model = in_documents(tiny_model, size=1, max_length=14)
    admitted: list[list[int]] = []
    admit = IncrementalDecoder.admit
    monkeypatch.setattr(
        IncrementalDecoder, "admit", lambda self, sources: (admitted.extend(sources), admit(self, sources))[1]
    )
    translator = Translator(model, replace(model.config.decoding, max_length_ratio=0.1, beam_size=1))
    [_, long] = translator.translate(["Wir gehen.", "Der Hund schläft, die Katze schläft, der Hund."])
    assert long.num_parts > 2
    assert all(len(source) <= 14 for source in admitted)
    by_line = [split(source) for source in admitted]
    assert sum(len(parts) == 2 for parts in by_line) >= 2
    own = [parts[-1] for parts in by_line]
    for before in (parts[0] for parts in by_line if len(parts) == 2):
        assert any(one[-len(before) :] == before for one in own)
