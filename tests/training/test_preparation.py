"""Text is prepared once; what was made of it is opened again, or made anew where it would be another."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.config import TrainingConfig
from nmt.errors import DataError
from nmt.training import data as module
from nmt.training import preparation
from nmt.training.data import TrainingData, prepare

CPU = torch.device("cpu")
HELD_OUT = ("data.dev_src=", "data.dev_tgt=")


def content(prepared: TrainingData) -> dict[str, Any]:
    """Everything that a training takes of it."""
    training = TrainingConfig(batch_tokens=64)
    batches = prepared.train_batches(training, epoch=2, start=1, device=CPU)
    return {
        "batches": [
            (lines.tolist(), batch.src_tokens.tolist(), batch.tgt_in.tolist()) for lines, batch in batches
        ],
        "dev": [batch.tgt_out.tolist() for batch in prepared.dev_batches(CPU, 100)],
        "tokenizers": prepared.tokenizers.hashes,
        "sample": prepared.sample_pairs(),
        **{name: getattr(prepared, name) for name in ("report", "dev_pairs", "held_out_lines", "hash")},
    }


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that a corpus was written into."""
    folders = []
    make = module.make_corpus

    def note_and_make(folder: Path, *args: Any) -> None:
        folders.append(folder)
        make(folder, *args)

    monkeypatch.setattr(module, "make_corpus", note_and_make)
    return folders


@pytest.fixture
def again(corpus, tmp_path) -> Callable[..., dict[str, Any]]:
    """`again("data.max_length=9")` prepares the same text with these options in the same place."""

    def prepare_it(*options: str) -> dict[str, Any]:
        return content(prepare(corpus.config(*options), store_dir=tmp_path / "corpus"))

    return prepare_it


@pytest.mark.parametrize(
    "options",
    [
        (),
        HELD_OUT,
        ("tokenizer.sampling_alpha=0.2",),
        ("tokenizer.joint=false", "model.tied_embeddings=none"),
    ],
)
def test_what_is_opened_is_what_was_made(options, corpus, again, made) -> None:
    first = again(*options)
    assert again(*options) == first == content(prepare(corpus.config(*options)))
    assert len(made) == 2  # one of them without a place to keep it
    assert not made[1].exists()


@pytest.mark.parametrize(
    ("options", "num_made"),
    [
        (("training.learning_rate=0.5", "model.dropout=0.3", "training.batch_tokens=99"), 1),
        (("data.max_length=9",), 2),
        (("training.seed=2",), 2),
        (("tokenizer.type=bpe",), 2),
        (("tokenizer.sampling_alpha=0.1",), 2),  # which needs the lines
        (HELD_OUT, 2),
    ],
)
def test_it_is_made_anew_if_it_would_be_another(options, num_made, corpus, again, made) -> None:
    again()
    found = again(*options)
    assert len(made) == num_made
    assert found == content(prepare(corpus.config(*options)))


def test_lines_that_are_stored_do_not_matter_without_sampling(again, made) -> None:
    again("tokenizer.sampling_alpha=0.1")
    again()
    assert len(made) == 1


def test_other_text_is_prepared_anew(make_corpus, pairs, tmp_path, made) -> None:
    for num_pairs in (30, 31):
        corpus = make_corpus(pairs(num_pairs))
        assert prepare(corpus.config(), store_dir=tmp_path / "store").report.num_pairs == num_pairs
    assert len(made) == 2


def test_text_that_can_not_be_used_leaves_nothing(make_corpus, pairs, tmp_path) -> None:
    corpus = make_corpus(pairs(20))
    with pytest.raises(DataError, match=r"no training pairs left after filtering: .*too long"):
        prepare(corpus.config("data.max_length=1"), store_dir=tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]  # the text


@pytest.mark.parametrize("joint", ["true", "false"])
def test_a_tokenizer_is_trained_on_a_part_of_a_very_large_text(joint, corpus, monkeypatch) -> None:
    options = (f"tokenizer.joint={joint}", "model.tied_embeddings=none")
    lines = []
    train = preparation.train_tokenizer

    def note_and_train(given, *args, **kwargs):
        lines.append(list(given))
        return train(lines[-1], *args, **kwargs)

    monkeypatch.setattr(preparation, "train_tokenizer", note_and_train)
    whole = prepare(corpus.config(*options))
    monkeypatch.setattr(preparation, "MAX_LINES", 40)
    part = prepare(corpus.config(*options))
    assert part.report == replace(
        whole.report,
        src_vocab_size=part.src_tokenizer.vocab_size,
        tgt_vocab_size=part.tgt_tokenizer.vocab_size,
    )
    texts, parts = lines[: len(lines) // 2], lines[len(lines) // 2 :]
    for text, some in zip(texts, parts, strict=True):
        assert len(some) == 40 < len(text)
        remaining = iter(text)
        assert all(line in remaining for line in some)  # in their order
