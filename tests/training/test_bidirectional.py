"""One model for both directions: a tag before the source decides, and is no part of scores and links."""

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nmt.checkpoint import TranslationModel, load_model
from nmt.config import Config, TokenizerConfig, from_dict
from nmt.corpus.encoded import EncodedCorpus
from nmt.decoding import Translator
from nmt.errors import ConfigError, Interrupted, ModelError, UsageError
from nmt.tokenizer import train_tokenizer
from nmt.training import train
from nmt.training.data import TrainingData, prepare
from nmt.training.options import resolve
from nmt.training.report import EvalReport, as_line

SYLLABLES = "ba ke lo mu ti sa ne ro".split()
TRAINING = {
    "optimizer": "adamw",
    "threads": 1,
    "precision": "float32",
    "batch_tokens": 400,
    "max_steps": 150,
    "eval_steps": 75,
    "report_steps": 50,
    "learning_rate": 0.01,
    "warmup_steps": 20,
    "schedule": "cosine",
    "ema_decay": 0.9,
}


def write_text(folder: Path, *, num_pairs: int) -> dict[str, object]:
    """Two languages that differ in their first word: mostly `die` in one, `the` in the other.

    As it is the other now and then, on whatever the source has, only a tag can say which of them to write.
    Returns the options of `data` for both directions.
    """
    generator = random.Random(1)
    for name, likely, other in (("train.aa", "die", "the"), ("train.bb", "the", "die")):
        words = random.Random(2)
        lines = [
            [likely if generator.random() < 0.85 else other, *words.choices(SYLLABLES, k=words.randint(1, 4))]
            for _ in range(num_pairs)
        ]
        (folder / name).write_text("".join(" ".join(line) + "\n" for line in lines))
    files = ("train.aa", "train.bb")
    src, tgt = (str(folder / name) for name in files)
    return {"src": [src], "tgt": [tgt], "bidirectional": True}


@pytest.fixture(scope="module")
def data_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Text that is enough to learn from."""
    return write_text(tmp_path_factory.mktemp("text"), num_pairs=400)


def config_of(data: dict[str, object], **sections: dict[str, object]) -> Config:
    shape = {"encoder_layers": 1, "decoder_layers": 1, "d_model": 32, "d_ff": 64, "num_heads": 2}
    model = {**shape, "dropout": 0.0}
    return from_dict({"model": model, "training": TRAINING, "data": data, **sections})


@pytest.fixture(scope="module")
def learnt(data_options, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[EvalReport]]:
    """A model folder, and what was reported of it."""
    reports: list[EvalReport] = []
    model_dir = tmp_path_factory.mktemp("learnt") / "model"
    train(config_of(data_options), model_dir, on_report=reports.append)  # type: ignore[arg-type]
    return model_dir, [report for report in reports if isinstance(report, EvalReport)]


@pytest.fixture(scope="module")
def model(learnt) -> TranslationModel:
    return load_model(learnt[0], device="cpu", threads=1)


def translator(model: TranslationModel, to: str | None = None, **options: bool) -> Translator:
    return Translator(model, model.config.decoding, to=to, **options)  # type: ignore[arg-type]


def test_the_tag_decides_what_the_same_line_becomes(learnt, model) -> None:
    assert [str(direction) for direction in model.directions] == ["aa-bb", "bb-aa"]
    for source in ("die ba ke", "the ba ke"):
        for to, expected in ((None, "the ba ke"), ("bb", "the ba ke"), ("aa", "die ba ke")):
            assert translator(model, to).translate([source])[0].text == expected
    assert [*learnt[1][-1].bleu_by_direction] == ["aa-bb", "bb-aa"]


def test_both_scores_and_their_mean_are_told(learnt, run_nmt) -> None:
    model_dir, reports = learnt
    best = next(report for report in reversed(reports) if report.is_best)
    one, other = best.bleu_by_direction.values()
    assert best.bleu == pytest.approx((one + other) / 2)
    assert f"dev BLEU aa-bb {one:.2f}, bb-aa {other:.2f}, mean {best.bleu:.2f} (nrefs" in as_line(best)
    manifest = json.loads((model_dir / "manifest.json").read_bytes())
    assert manifest["dev"]["bleu_by_direction"] == best.bleu_by_direction
    card = (model_dir / "README.md").read_text()
    assert "# Translation model: aa to bb and back" in card
    assert f"- BLEU of bb-aa {other:.2f}" in card
    assert "--to aa" in card
    facts = json.loads(run_nmt("info", model_dir, "--json").stdout)
    assert facts["dev"]["bleu_by_direction"] == best.bleu_by_direction


def test_the_program_translates_evaluates_and_scores_both_ways(learnt, tmp_path, run_nmt) -> None:
    model_dir, _ = learnt
    (tmp_path / "src").write_text("die ba ke\n\nthe lo\n")
    (tmp_path / "ref").write_text("die ba ke\n\ndie lo\n")
    back = ("-m", model_dir, "--to", "aa", "--threads", "1")
    assert run_nmt("translate", *back, "--align", "the ba ke").lines == ["die ba ke ||| 0-0 1-1 2-2"]
    found = run_nmt("translate", *back, "-i", tmp_path / "src", "--format", "jsonl").lines
    assert [json.loads(line)["tgt"] for line in found if line] == ["die ba ke", "", "die lo"]
    facts = json.loads(run_nmt("evaluate", *back, tmp_path / "src", tmp_path / "ref", "--json").stdout)
    assert facts["direction"] == "bb-aa"
    for to, line in (("aa", "die ba"), ("bb", "the ba")):
        (tmp_path / "one").write_text(f"{line}\n")
        asked = ("the ba", "--score", tmp_path / "one", "--threads", "1")
        scores = [
            float(run_nmt("translate", "-m", model_dir, "--to", each, *asked).stdout) for each in ("aa", "bb")
        ]
        assert max(scores) == scores[["aa", "bb"].index(to)]


def test_a_language_that_is_not_there_is_an_error(learnt, tiny_model_dir, run_nmt) -> None:
    result = run_nmt("translate", "-m", learnt[0], "--to", "de", "ba")
    assert result.exit_status == 2
    assert result.stderr.endswith("does not translate into 'de'; expected one of: bb, aa\n")
    result = run_nmt("translate", "-m", tiny_model_dir, "--to", "de", "Hund")
    assert result.exit_status == 2
    assert (
        "translates in one direction only; --to is for models of nmt train --bidirectional" in result.stderr
    )


def test_links_scores_and_penalties_are_about_the_words_alone(model) -> None:
    decoding = replace(model.config.decoding, coverage_penalty=0.2)
    lines = ["die ba ke lo", "the ti", "die sa ne"]
    for to in ("aa", "bb"):
        both = Translator(model, decoding, to=to, align=True)
        for line, each in zip(lines, both.translate(lines), strict=True):
            rows = each.alignment.forward
            assert rows.shape[1] == len(model.src_tokenizer.encode(line))
            assert float(rows.sum(1).max()) < 1 + 1e-5
            assert set(each.alignment.words().links) == {(i, i) for i in range(len(line.split()))}
            [scored] = both.score([(line, each.hypotheses[0])])
            assert scored.hypothesis.log_prob == pytest.approx(each.hypotheses[0].log_prob, abs=1e-4)
    assert translator(model, "aa").translate(lines)[0].num_pieces == len(model.src_tokenizer.encode(lines[0]))


def test_every_part_of_a_long_line_is_told_the_direction(model) -> None:
    longest = len(model.src_tokenizer.encode("die ba ke."))
    short = replace(model, config=replace(model.config, data=replace(model.config.data, max_length=longest)))
    for to, word in (("aa", "die"), ("bb", "the")):
        [found] = translator(short, to).translate(["die ba ke the lo mu"])
        assert found.num_parts > 1
        assert found.text.split().count(word) >= 2


def test_ctranslate2_is_given_the_tag_as_the_first_piece(model, tmp_path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    from nmt.interop.ctranslate2 import export_ctranslate2

    export_ctranslate2(model, tmp_path / "exported")
    readme = (tmp_path / "exported" / "README.md").read_text()
    assert 'sources = [["<2bb>", *source.encode(line, out_type=str)] for line in' in readme
    assert "`<2bb>` for bb, `<2aa>` for aa" in readme
    tokenizer = model.src_tokenizer
    pieces = [tokenizer.piece(id) for id in tokenizer.encode("the lo mu")]
    [found] = ctranslate2.Translator(str(tmp_path / "exported")).translate_batch([["<2aa>", *pieces]])
    assert "".join(found.hypotheses[0]).replace("▁", " ").strip() == "die lo mu"


# The text


def rows(corpus: EncodedCorpus) -> list[tuple[list[int], list[int]]]:
    return [(corpus.src(i).tolist(), corpus.tgt(i).tolist()) for i in range(len(corpus))]


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_one_direction_has_the_pairs_of_the_other_exchanged(tmp_path, alpha: float) -> None:
    data = write_text(tmp_path, num_pairs=60)
    config = config_of(data, tokenizer={"sampling_alpha": alpha})
    prepared = prepare(config, store_dir=tmp_path / "corpus")
    tags = prepared.tgt_tokenizer.tags
    assert prepared.report.num_kept * 2 == len(prepared.corpus) == len(prepared.numbers)
    for corpus in (prepared.corpus, prepared.dev_corpus):
        found = rows(corpus)
        for (src, tgt), (back_src, back_tgt) in zip(found[::2], found[1::2], strict=True):
            assert (src, back_src) == ([tags["bb"], *back_tgt], [tags["aa"], *tgt])
    assert seen(prepared, config) == seen(prepare(replace_languages(config)), config)


def seen(prepared: TrainingData, config: Config) -> set[tuple[int, str, str]]:
    """Lines and tags of an epoch, after showing that they are the pairs of the text in both directions."""
    found: set[tuple[int, str, str]] = set()
    names = {id: name for name, id in prepared.tgt_tokenizer.tags.items()}
    text, decode = list(prepared.text), prepared.tgt_tokenizer.decode
    for lines, batch in prepared.train_batches(config.training, epoch=1, start=0, device=torch.device("cpu")):
        assert batch.num_tags == 1
        for number, src, tgt in zip(
            lines.tolist(), batch.src_tokens.tolist(), batch.tgt_out.tolist(), strict=True
        ):
            pair = decode(src), decode(tgt)
            assert pair == (text[number - 1] if names[src[0]] == "bb" else text[number - 1][::-1])
            found.add((number, names[src[0]], pair[0]))
    assert len(found) == len(prepared.corpus)
    return found


def replace_languages(config: Config) -> Config:
    """The same languages, told instead of taken from the names of files."""
    return replace(config, data=replace(config.data, src_lang="aa", tgt_lang="bb"))


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path) -> None:
    """Also with context, and if files have other names by then, of which the languages can not be told."""
    data = write_text(tmp_path, num_pairs=60) | {"context": 1}
    small = {**TRAINING, "max_steps": 6, "eval_steps": 4, "batch_tokens": 160}
    config = config_of(data, training=small, tokenizer={"sampling_alpha": 0.2})
    train(config, tmp_path / "whole")
    asked = iter(range(100))
    with pytest.raises(Interrupted):
        train(config, tmp_path / "stopped", stop_signal=lambda: 2 if next(asked) == 3 else 0)
    for side in "ab":
        shutil.move(tmp_path / f"train.{side * 2}", tmp_path / f"{side}.text")
    moved = replace(config.data, src=(str(tmp_path / "a.text"),), tgt=(str(tmp_path / "b.text"),))
    train(replace(config, data=moved), tmp_path / "stopped")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]


# It refuses


def test_a_tokenizer_without_the_tags_is_refused(data_options, tmp_path) -> None:
    text = [" ".join(SYLLABLES)]
    for tags, named in (([], "no tags of languages"), (["aa", "de"], "the tags of aa, de")):
        tokenizer = train_tokenizer(text, TokenizerConfig(), vocab_size=300, exact=False, tags=tags)
        (tmp_path / "spm.model").write_bytes(tokenizer.data)
        config = config_of(data_options, tokenizer={"model": str(tmp_path / "spm.model")})
        with pytest.raises(
            ModelError, match=f"has {named}, expected those of aa and bb; .*--tag aa --tag bb$"
        ):
            prepare(config)
    with pytest.raises(UsageError, match="'DE' is no code of a language"):
        train_tokenizer(text, TokenizerConfig(), vocab_size=300, tags=["DE"])


def test_a_model_that_knows_other_languages_is_not_trained_further(learnt, tmp_path) -> None:
    write_text(tmp_path, num_pairs=20)
    (tmp_path / "train.aa").rename(tmp_path / "train.cc")
    asked = {
        "data": {"src": [str(tmp_path / "train.bb")], "tgt": [str(tmp_path / "train.cc")]},
        "training": {"init_from": str(learnt[0])},
    }
    message = f"{learnt[0]}: knows aa and bb, the text is bb and cc; if these are the same, give data."
    with pytest.raises(ConfigError, match=re.escape(message)):
        resolve(None, asked, preset_name="auto")
    named = ["data.src_lang=bb", "data.tgt_lang=aa"]
    assert resolve(None, asked, preset_name="auto", overrides=named).data.languages == ("bb", "aa")
    one_way = ["data.bidirectional=false"]
    assert resolve(None, asked, preset_name="auto", overrides=one_way).data.languages == ("bb", "cc")


def test_models_of_other_directions_are_no_ensemble(model) -> None:
    one_way = replace(
        model, config=replace(model.config, data=replace(model.config.data, bidirectional=False))
    )
    with pytest.raises(
        ConfigError, match="other directions: aa-bb and bb-aa as against aa-bb; expected the same"
    ):
        Translator([model, one_way], model.config.decoding)
    both = Translator([model, model], model.config.decoding, to="aa")
    assert both.translate(["the ba ke"])[0].text == "die ba ke"
