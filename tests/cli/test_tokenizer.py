"""`nmt tokenizer`, as the user types it."""

import json
from pathlib import Path

import pytest

from nmt.config.schema import TokenizerConfig
from nmt.tokenizer import Tokenizer, train_tokenizer

GERMAN = ["Der kleine Hund läuft über die grüne Wiese.", "Ein Mädchen liest ein Buch."] * 5
ENGLISH = ["The small dog runs across the green meadow.", "A girl reads a book."] * 5
LINES = ["", "Der Hund liest.", "▁ </s> <0x0A> 😀", "", "a\u2028b", "Buch"]
TEXT = "".join(f"{line}\n" for line in LINES)


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "train.de", tmp_path / "train.en"]
    for path, lines in zip(paths, (GERMAN, ENGLISH), strict=True):
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return paths


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "t.model"
    path.write_bytes(train_tokenizer(GERMAN + ENGLISH, TokenizerConfig(), vocab_size=295).data)
    return path


def test_train_writes_a_tokenizer_of_all_files_and_says_so(run_nmt, texts, tmp_path) -> None:
    output = tmp_path / "new.model"
    result = run_nmt("tokenizer", "train", *texts, "-o", output, "--vocab-size", "295", "--type", "bpe")
    assert (result.exit_status, result.stdout) == (0, "")
    assert result.stderr == f"{output}: 295 pieces (bpe)\n"
    info = Tokenizer.load(output).info()
    assert (info.type, info.vocab_size, info.normalization, info.byte_fallback) == (
        "bpe",
        295,
        "identity",
        True,
    )


def test_train_takes_options_and_stdin(run_nmt, tmp_path) -> None:
    output = tmp_path / "new.model"
    options = [
        "--normalization",
        "nfkc",
        "--no-byte-fallback",
        "--coverage",
        "0.99",
        "--vocab-size",
        "35",
        "--quiet",
    ]
    result = run_nmt("tokenizer", "train", "-", "-o", output, *options, stdin="\n".join(GERMAN))
    assert (result.exit_status, result.stdout, result.stderr) == (0, "", "")
    info = Tokenizer.load(output).info()
    assert (info.vocab_size, info.normalization, info.byte_fallback) == (35, "nfkc", False)


@pytest.mark.parametrize(
    ("arguments", "exit_status", "message"),
    [
        (
            ["--vocab-size", "9000"],
            65,
            "a vocabulary of 9,000 pieces is too large for this text; expected at most",
        ),
        (["--vocab-size", "20"], 65, "a vocabulary of 20 pieces is too small"),
        (["--vocab-size", "3"], 65, "a vocabulary of 3 pieces is too small"),
        (["--coverage", "2"], 2, "tokenizer.character_coverage is 2.0; expected 0.9 to 1"),
        (["missing.de"], 2, "missing.de: no such file"),
    ],
)
def test_train_refuses_in_one_line_and_writes_nothing(
    run_nmt, texts, tmp_path, arguments, exit_status, message
) -> None:
    output = tmp_path / "new.model"
    result = run_nmt("tokenizer", "train", *texts, "-o", output, *arguments)
    assert result.exit_status == exit_status
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == sorted(texts)


def test_train_does_not_write_over_its_input(run_nmt, texts) -> None:
    before = texts[0].read_bytes()
    result = run_nmt("tokenizer", "train", *texts, "-o", texts[0], "--vocab-size", "295")
    assert result.exit_status == 73
    assert "is an input as well" in result.stderr
    assert texts[0].read_bytes() == before


@pytest.mark.parametrize("form", ["pieces", "ids"])
def test_decode_undoes_encode_line_by_line(run_nmt, model, form) -> None:
    encoded = run_nmt("tokenizer", "encode", "-m", model, "--format", form, stdin=TEXT)
    assert encoded.exit_status == 0
    assert len(encoded.lines) == len(LINES)
    assert [bool(line) for line in encoded.lines] == [bool(line) for line in LINES]
    decoded = run_nmt("tokenizer", "decode", "-m", model, "--format", form, stdin=encoded.stdout)
    assert decoded.stdout == TEXT


def test_files_are_encoded_one_after_the_other(run_nmt, model, texts) -> None:
    both = run_nmt("tokenizer", "encode", "-m", model, *texts)
    assert both.lines == [" ".join(pieces_of(model, line)) for line in GERMAN + ENGLISH]


def pieces_of(model: Path, line: str) -> list[str]:
    return Tokenizer.load(model).encode_with_spans(line).pieces


def test_offsets_name_the_characters_of_each_piece(run_nmt, model) -> None:
    line = "Der  Hund: 😀"
    result = run_nmt("tokenizer", "encode", "-m", model, "--offsets", stdin=line + "\n")
    fields = [field.rsplit(":", 1) for field in result.lines[0].split(" ")]
    assert [name for name, _ in fields] == pieces_of(model, line)
    spans = [tuple(map(int, span.split("-"))) for _, span in fields]
    assert "".join(line[start:end] for start, end in dict.fromkeys(spans)) == "DerHund:😀"


@pytest.mark.parametrize(
    ("form", "line", "message"),
    [
        ("pieces", "▁Quatsch", "stdin:2: '▁Quatsch' is not a piece of"),
        ("ids", "99999", "stdin:2: '99999' is not the number of a piece of"),
        ("ids", "-1", "stdin:2: '-1' is not the number of a piece of"),
    ],
)
def test_decode_names_what_is_no_piece(run_nmt, model, form, line, message) -> None:
    result = run_nmt("tokenizer", "decode", "-m", model, "--format", form, stdin=f"\n{line}\n")
    assert result.exit_status == 65
    assert message in result.stderr


def test_a_line_of_pieces_stays_one_line(run_nmt, model) -> None:
    result = run_nmt("tokenizer", "decode", "-m", model, stdin="▁ B <0x0A> B\n")
    assert result.stdout == "B B\n"


def test_info_says_the_same_as_json(run_nmt, model) -> None:
    facts = json.loads(run_nmt("tokenizer", "info", model, "--json").stdout)
    plain = run_nmt("tokenizer", "info", model)
    assert (facts["type"], facts["vocab_size"], facts["hash"]) == ("unigram", 295, Tokenizer.load(model).hash)
    assert {"type: unigram", "vocab size: 295", "byte fallback: yes"} <= set(plain.lines)


def test_the_tokenizers_of_a_model_folder_are_found(run_nmt, model, tmp_path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    model.rename(folder / "tokenizer.model")
    joint = run_nmt("tokenizer", "info", folder, "--json")
    assert json.loads(joint.stdout)["path"] == str(folder / "tokenizer.model")
    (folder / "tokenizer.model").rename(folder / "tokenizer.tgt.model")
    target = run_nmt("tokenizer", "info", folder, "--side", "tgt", "--json")
    assert json.loads(target.stdout)["path"] == str(folder / "tokenizer.tgt.model")


@pytest.mark.parametrize("command", ["train", "encode", "decode", "info"])
def test_help_ends_with_an_example(run_nmt, command) -> None:
    result = run_nmt("tokenizer", command, "--help")
    assert result.exit_status == 0
    last_line = [line for line in result.lines if line.strip()][-1]
    assert f"nmt tokenizer {command}" in last_line


def test_a_tokenizer_that_is_none_is_refused(run_nmt, tmp_path) -> None:
    path = tmp_path / "t.model"
    path.write_text("nonsense")
    result = run_nmt("tokenizer", "encode", "-m", path, stdin="a\n")
    assert (result.exit_status, result.stdout) == (65, "")
    assert "not a SentencePiece model" in result.stderr
