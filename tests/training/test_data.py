"""What is trained on: counted, held out, cut anew in every epoch, and never what it must not be."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from nmt.checkpoint import load_model
from nmt.config import DecodingConfig, TrainingConfig
from nmt.corpus.reading import Pair
from nmt.decoding import Translator
from nmt.errors import ConfigError, DataError
from nmt.files import read_lines
from nmt.training.data import prepare
from nmt.training.preparation import flags
from nmt.training.report import as_line

CPU = torch.device("cpu")
SAMPLE = Path(__file__).parents[2] / "data" / "de-en" / "train.de"
HELD_OUT = ("data.dev_src=", "data.dev_tgt=")


def sentences(pairs) -> tuple[set[str], set[str]]:
    """The source and the target lines of pairs."""
    src_lines, tgt_lines = zip(*pairs, strict=True)
    return set(src_lines), set(tgt_lines)


def kept(prepared) -> list[Pair]:
    """The pairs to train on, as they were given."""
    return list(prepared.text.select(flags(prepared.numbers, len(prepared.text))))


def epoch(prepared, number: int, *, start: int = 0) -> list[list[list[int]]]:
    batches = prepared.train_batches(TrainingConfig(batch_tokens=64), epoch=number, start=start, device=CPU)
    return [batch.tgt_out.tolist() for _, batch in batches]


def test_every_pair_is_kept_or_dropped_for_a_reason(make_corpus, pairs) -> None:
    good = list(dict.fromkeys(pairs(40)))[:30]
    bad = [("", "ba"), ("ke", " "), good[0], ("ba " * 300, "ba"), ("ba", "vi du ro ne sa ti mu lo ke " * 6)]
    corpus = make_corpus([*good, *bad], dev=[*good[:2], ("du vi ba ba", "x"), ("", "")])
    report = prepare(corpus.config()).report
    assert report.dropped == {"empty side": 2, "duplicate": 1, "too long": 1, "length ratio": 1}
    assert (report.num_pairs, report.num_kept, report.num_dev, report.overlap) == (35, 30, 3, 2)
    assert report.num_dev_dropped == 1
    assert as_line(report) == (
        "data: 30 of 35 pairs to train on, 3 development pairs (1 more dropped: a side is empty or not "
        "UTF-8), 2 of them also in the training text, which flatters the scores; dropped: empty side 2, "
        "duplicate 1, too long 1, length ratio 1"
    )


@pytest.mark.parametrize("choice", ["error", "skip", "replace"])
def test_a_line_that_is_not_utf8_is_an_error_or_skipped_or_mended(make_corpus, pairs, choice: str) -> None:
    corpus = make_corpus([*dict.fromkeys(pairs(60))][:50])
    path = Path(corpus.config().data.src[0])
    lines = path.read_bytes().split(b"\n")
    lines[6], lines[8] = b"ba \xff ke", b"\xfe"
    path.write_bytes(b"\n".join(lines))
    config = corpus.config(*HELD_OUT, f"data.invalid_utf8={choice}")
    if choice == "error":
        with pytest.raises(DataError, match=r":7: byte 0xFF at column 4 is not UTF-8 \(2 such lines"):
            prepare(config)
        return
    prepared = prepare(config)
    texts = [src for src, _ in [*kept(prepared), *prepared.dev_pairs]]
    if choice == "skip":
        assert prepared.report.dropped["not UTF-8"] == 2
        assert all(text.isascii() for text in texts)
    else:
        assert {"ba \ufffd ke", "\ufffd"} <= set(texts)
        assert "; 2 lines mended with U+FFFD" in as_line(prepared.report)


def test_an_epoch_has_the_pairs_of_each_corpus_as_often_as_its_weight_says(
    make_corpus, pairs, tmp_path
) -> None:
    distinct = list(dict.fromkeys(pairs(200)))
    few, many = make_corpus(distinct[:10]), tmp_path / "many"
    sides = (("src", [src for src, _ in distinct[10:90]]), ("tgt", [tgt for _, tgt in distinct[10:90]]))
    for side, lines in sides:
        many.with_suffix(f".{side}").write_text("".join(f"{line}\n" for line in lines))
    files = [f"data.{side}={few.folder}/train.{side},{many}.{side}" for side, _ in sides]

    def lines_of(*options: str, number: int = 1, start: int = 0) -> list[int]:
        prepared = prepare(few.config(*files, "data.weights=2,0.25", *options))
        training = TrainingConfig(batch_tokens=64)
        batches = prepared.train_batches(training, epoch=number, start=start, device=CPU)
        return [line for numbers, _ in batches for line in numbers.tolist()]

    first = Counter(lines_of())
    assert {line: times for line, times in first.items() if line <= 10} == dict.fromkeys(range(1, 11), 2)
    assert {times for line, times in first.items() if line > 10} == {1}
    assert first.total() == 20 + 20
    assert Counter(lines_of(number=2)) != first
    assert lines_of(start=3) == lines_of()[-len(lines_of(start=3)) :]
    assert Counter(lines_of("tokenizer.sampling_alpha=0.2")) == first
    both = Counter(lines_of("data.bidirectional=true", "data.src_lang=aa", "data.tgt_lang=bb"))
    assert both == {line: 2 * times for line, times in first.items()}

    report = prepare(few.config(*files, "data.weights=2,0.25")).report
    assert (report.corpora, report.num_in_epoch) == ((10, 80), 40)
    assert "90 of 90 pairs to train on" in as_line(report)
    assert "; an epoch has 40: 2 × 10 + 0.25 × 80" in as_line(report)
    with pytest.raises(ConfigError, match=r"data.weights: 1 numbers for 2 source files; give one each"):
        few.config(*files, "data.weights=2")


def test_without_a_development_set_two_percent_are_held_out_by_the_seed(make_corpus, pairs) -> None:
    corpus = make_corpus(pairs(300))
    prepared = prepare(corpus.config(*HELD_OUT))
    again, other = prepare(corpus.config(*HELD_OUT)), prepare(corpus.config(*HELD_OUT, "training.seed=2"))
    assert prepared.report.dev_from == "held out"
    lines = list(zip(corpus.lines("train.src"), corpus.lines("train.tgt"), strict=True))
    assert prepared.dev_pairs == [lines[number - 1] for number in prepared.held_out_lines]
    assert len(prepared.dev_pairs) == int(0.02 * len(set(lines)))
    for side, dev_side in zip(sentences(kept(prepared)), sentences(prepared.dev_pairs), strict=True):
        assert not side & dev_side
    assert prepared.held_out_lines == again.held_out_lines != other.held_out_lines
    assert ", 5 held out for development" in as_line(prepared.report)


@pytest.mark.parametrize("text", [[("ba ke", "ke ba")], [("ba ke", "ke ba"), ("ba ke", "ke")]])
def test_of_too_few_pairs_none_is_held_out(make_corpus, text) -> None:
    prepared = prepare(make_corpus(text).config(*HELD_OUT))
    assert prepared.dev_pairs == text
    assert prepared.held_out_lines == []
    assert "too few to hold any out, so that they are the development pairs too" in as_line(prepared.report)


def test_a_batch_knows_the_lines_of_its_pairs(make_corpus, pairs) -> None:
    good = list(dict.fromkeys(pairs(40)))[:30]
    text = [("", "ba"), *good[:9], ("ke", ""), *good[9:]]
    prepared = prepare(make_corpus(text).config())
    training = TrainingConfig(batch_tokens=64)
    for lines, batch in prepared.train_batches(training, epoch=1, start=0, device=CPU):
        for line, ids in zip(lines.tolist(), batch.src_tokens.tolist(), strict=True):
            assert prepared.src_tokenizer.decode([id for id in ids if id > 3]) == text[line - 1][0]


def test_batches_are_a_function_of_seed_and_epoch(corpus) -> None:
    prepared = prepare(corpus.config())
    assert epoch(prepared, 1) == epoch(prepared, 1) != epoch(prepared, 2)
    assert epoch(prepared, 1, start=2) == epoch(prepared, 1)[2:]
    assert prepared.num_batches(TrainingConfig(batch_tokens=64)) == len(epoch(prepared, 1))


@pytest.mark.parametrize("type", ["unigram", "bpe"])
def test_a_sampled_epoch_is_cut_anew_and_can_be_repeated(type: str, corpus, monkeypatch) -> None:
    options = (f"tokenizer.type={type}", "tokenizer.sampling_alpha=0.3")
    prepared = prepare(corpus.config(*options))
    assert epoch(prepared, 1) == epoch(prepare(corpus.config(*options)), 1)
    cuts = [sorted(row for batch in epoch(prepared, number) for row in batch) for number in (1, 2)]
    assert cuts[0] != cuts[1]
    plain = prepare(corpus.config(f"tokenizer.type={type}")).corpus
    assert sum(len(row) for row in cuts[0]) > int(plain.tgt_lengths.sum())
    texts = [[prepared.tgt_tokenizer.decode([id for id in row if id > 3]) for row in cut] for cut in cuts]
    assert sorted(texts[0]) == sorted(texts[1]) == sorted(corpus.lines("train.tgt"))
    monkeypatch.setattr("nmt.training.data.GROUP", 2)
    for start in (1, 2, 3):  # as where a run was stopped
        assert epoch(prepared, 1, start=start) == epoch(prepared, 1)[start:] != []


def test_pairs_are_batched_by_the_lengths_that_sampling_gave_them(make_corpus) -> None:
    """And a batch still knows the lines of its pairs."""
    lines = [line for line, _ in zip(read_lines(SAMPLE), range(600), strict=False)]
    corpus = make_corpus([(line, line) for line in lines])
    options = ("tokenizer.sampling_alpha=0.1", "tokenizer.vocab_size=900", "data.remove_duplicates=false")
    prepared = prepare(corpus.config(*options))
    num_places = num_real = 0
    for numbers, batch in prepared.train_batches(
        TrainingConfig(batch_tokens=256), epoch=1, start=0, device=CPU
    ):
        num_places += batch.tgt_out.numel()
        num_real += batch.num_tokens
        for number, ids in zip(numbers.tolist(), batch.src_tokens.tolist(), strict=True):
            assert prepared.src_tokenizer.decode([id for id in ids if id > 3]) == lines[number - 1]
    assert num_real > 1.2 * (int(prepared.corpus.tgt_lengths.sum()) + len(lines))
    assert num_places < 1.15 * num_real


def test_sampling_makes_nothing_too_long(corpus) -> None:
    """What would be more pieces than the model may take is cut as usual."""
    most = int(prepare(corpus.config()).corpus.tgt_lengths.max())
    options = corpus.config("tokenizer.sampling_alpha=0.05", f"data.max_length={most}")
    longest = max(len(row) for batch in epoch(prepare(options), 1) for row in batch)
    assert longest <= most + 1  # and EOS


def test_a_tokenizer_for_each_side_trains_and_translates(corpus, tmp_path) -> None:
    options = ("tokenizer.joint=false", "model.tied_embeddings=target", "training.max_steps=4")
    done = corpus.train(tmp_path / "model", *options)
    model = load_model(done.model_dir, device="cpu", threads=1)
    assert model.src_tokenizer.hash != model.tgt_tokenizer.hash
    assert (done.model_dir / "tokenizer.src.model").read_bytes() == model.src_tokenizer.data
    assert isinstance(Translator(model, DecodingConfig(beam_size=2)).translate(["ba ke"])[0].text, str)


def test_a_given_tokenizer_is_used_on_both_sides_and_found_again(corpus, tmp_path) -> None:
    tokenizer = tmp_path / "given.model"
    tokenizer.write_bytes(prepare(corpus.config()).src_tokenizer.data)
    options = (f"tokenizer.model={tokenizer}", "tokenizer.joint=false", "model.tied_embeddings=target")
    prepared = prepare(corpus.config(*options))
    prepared.tokenizers.save(tmp_path)
    again = prepare(corpus.config(*options), tokenizer_dir=tmp_path)
    assert again.src_tokenizer.data == again.tgt_tokenizer.data == tokenizer.read_bytes()


def test_the_sample_for_links_is_spread_over_all_the_text(corpus) -> None:
    prepared = prepare(corpus.config())
    lines = list(zip(corpus.lines("train.src"), corpus.lines("train.tgt"), strict=True))
    assert prepared.sample_pairs(30) == lines[::2]
    assert prepared.sample_pairs(40) == [line for number, line in enumerate(lines) if number % 3 < 2]
    assert prepared.sample_pairs(1000) == lines


def test_a_development_set_that_is_too_long_is_refused(make_corpus, pairs) -> None:
    corpus = make_corpus(pairs(20), dev=[("ba " * 50, "ba")])
    with pytest.raises(DataError, match=r"no development pair of at most 20 pieces \(data.max_length\)"):
        prepare(corpus.config("data.max_length=20"))
