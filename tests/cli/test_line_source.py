"""Whatever comes in, as many lines go out, each as if it were alone: cases A1 to A23 of a list of odd input.

Others of the list are where their subject is: A12 and A17 in test_translate, A16 in recipes/test_soak, A19 in
test_score and test_evaluate, A20 in test_score, A24 in decoding/test_translator (scores of forced decoding).
"""

import gzip
import json
import os
import random
import re
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nmt.checkpoint import TranslationModel, save_model
from nmt.cli.line_source import MOST_NUMBERS, Tally
from nmt.files import planned_fault

Run = Callable[..., Any]
Start = Callable[..., Any]

FEW_STEPS = ("--beam", "1", "--set", "decoding.max_length_ratio=0.01", "--threads", "1")
GOOD = ["Der Hund schläft.", "Ja!", "Die Katze sieht den Hund im Garten."]
WAIT = 120  # seconds until a test gives up
is_posix = pytest.mark.skipif(sys.platform == "win32", reason="has no such signals and devices")
is_nobody = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything"
)


@pytest.fixture(scope="module")
def translate(run_nmt: Run, tiny_model_dir: Path) -> Run:
    def run(*args: str | Path, **options: Any) -> Any:
        return run_nmt("translate", "-m", tiny_model_dir, *FEW_STEPS, *args, **options)

    return run


@pytest.fixture(scope="module")
def good(translate: Run) -> dict[str, str]:
    """What becomes of every good line when it is alone."""
    return {line: translate(line).lines[0] for line in GOOD}


def joined(*lines: str | bytes) -> bytes:
    return b"".join((line.encode() if isinstance(line, str) else line) + b"\n" for line in lines)


def test_a_quarter_of_blank_lines_changes_nothing_else(translate: Run, good: dict[str, str]) -> None:
    """A1"""
    generator = random.Random(1)
    lines = ["", *(generator.choice(GOOD) if generator.random() > 0.24 else "" for _ in range(298)), ""]
    assert 50 < lines.count("") < 100
    done = translate("--set", "decoding.window=100", stdin=joined(*lines))
    assert done.exit_status == 0
    assert done.lines == [good[line] if line else "" for line in lines]


BLANK = [
    " ",
    "\t",
    " \t  ",
    "\u00a0",
    "\u3000",
    "\u2003\u200b",
    "\u200b",
    "\ufeff",
    "\x0b\x0c\x1c",
    "\u2028",
    "\r",
]


def test_lines_of_white_space_of_any_kind_become_blank(translate: Run, good: dict[str, str]) -> None:
    """A2"""
    done = translate(stdin=joined(GOOD[0], *BLANK, GOOD[1]))
    assert done.lines == [good[GOOD[0]], *[""] * len(BLANK), good[GOOD[1]]]


def test_nothing_gives_nothing(translate: Run, tmp_path: Path) -> None:
    """A3"""
    (tmp_path / "in").touch()
    done = translate("-i", tmp_path / "in", "-o", tmp_path / "out")
    assert (done.exit_status, (tmp_path / "out").read_bytes()) == (0, b"")
    assert done.stderr.startswith("0 lines in ")
    assert translate(stdin=b"").stdout == ""


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_last_line_ends_however_it_ended(translate: Run, good: dict[str, str], end: bytes) -> None:
    """A4"""
    done = translate(stdin=joined(GOOD[0]) + GOOD[1].encode() + end)
    assert done.stdout == f"{good[GOOD[0]]}\n{good[GOOD[1]]}\n"


def test_lines_of_windows_give_lines_of_unix(translate: Run, good: dict[str, str]) -> None:
    """A5"""
    done = translate(stdin=b"\r\n".join(line.encode() for line in [*GOOD, "", *GOOD, ""]))
    assert "\r" not in done.stdout
    assert done.lines == [*good.values(), "", *good.values()]


ODD = "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


@pytest.mark.parametrize("layout", ["text", "jsonl"])
def test_only_a_newline_ends_a_line(translate: Run, good: dict[str, str], layout: str) -> None:
    """A6"""
    lines = [f"Der{character}Hund{character}{character} Ja" for character in ODD]
    done = translate("--format", layout, "--align", stdin=joined(*lines, GOOD[0]))
    assert done.stdout.count("\n") == len(done.stdout.splitlines()) == len(lines) + 1
    assert "\r" not in done.stdout
    assert good[GOOD[0]] in done.lines[-1]


def test_controls_and_a_bom_are_text_like_other_text(translate: Run, good: dict[str, str]) -> None:
    """A7"""
    controls = [f"Der {chr(code)} Hund{chr(code)}" for code in (*range(32), 127) if chr(code) not in "\n\r"]
    done = translate(stdin=b"\xef\xbb\xbf" + joined(GOOD[0], *controls, "a\ufeffb", GOOD[1]))
    assert done.exit_status == 0
    assert len(done.lines) == len(controls) + 3
    assert (done.lines[0], done.lines[-1]) == (good[GOOD[0]], good[GOOD[1]])


BAD_UTF8 = [b"\xff", b"Der \xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf Hund", b"a\x80\x80\x80b"]


def test_bytes_that_are_no_text_harm_no_other_line(
    translate: Run, good: dict[str, str], tmp_path: Path
) -> None:
    """A8"""
    path = tmp_path / "in"
    path.write_bytes(joined(*(line for bad in BAD_UTF8 for line in (GOOD[0], bad)), GOOD[1]))
    done = translate("-i", path)
    assert (done.exit_status, len(done.lines)) == (0, 2 * len(BAD_UTF8) + 1)
    assert done.lines[::2] == [good[GOOD[0]]] * len(BAD_UTF8) + [good[GOOD[1]]]
    assert f"{path}: invalid UTF-8 on 6 lines (2, 4, 6, 8, 10, 12), replaced" in done.stderr


def test_a_tally_counts_all_and_names_the_first() -> None:
    tally = Tally()
    for number in (3, 3, *range(5, 25)):
        tally.add(number)
    assert str(tally) == f"21 lines (3, {', '.join(map(str, range(5, 4 + MOST_NUMBERS)))}, …)"


@pytest.mark.parametrize(
    ("data", "kind"),
    [("Der Hund\n".encode("utf-16"), "UTF-16"), (gzip.compress(b"Der Hund\n"), "gzip")],
    ids=["UTF-16", "gzip"],
)
def test_a_file_of_another_kind_is_refused(translate: Run, tmp_path: Path, data: bytes, kind: str) -> None:
    """A9"""
    (tmp_path / "in").write_bytes(data)
    for done in (translate("-i", tmp_path / "in", "-o", tmp_path / "out"), translate(stdin=data)):
        assert (done.exit_status, done.stdout) == (65, "")
        assert f"not UTF-8 text (looks like {kind}" in done.stderr
    assert not (tmp_path / "out").exists()


@is_posix
def test_the_locale_does_not_matter(nmt_process: Run, translate: Run, tiny_model_dir: Path) -> None:
    """A10"""
    text = joined(*GOOD, "ありがとう 😀", b"caf\xe9")
    bare = {"LC_ALL": "C", "LANG": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    args = ("translate", "-m", tiny_model_dir, *FEW_STEPS, "--format", "jsonl")
    assert (
        nmt_process(*args, stdin=text, env=bare).stdout == translate("--format", "jsonl", stdin=text).stdout
    )


@pytest.mark.parametrize(
    "long",
    ["Der Hund sieht die Katze. " * 400, pytest.param("x" * 20_000, id="without spaces")],
)
def test_a_very_long_line_is_one_line(translate: Run, good: dict[str, str], long: str) -> None:
    """A11"""
    done = translate(stdin=joined(GOOD[0], long, GOOD[1]))
    assert done.exit_status == 0
    assert (done.lines[0], done.lines[2], len(done.lines)) == (good[GOOD[0]], good[GOOD[1]], 3)
    told = re.search(r"stdin: line 2: ([\d,]+) pieces > max 200, split into (\d+) parts", done.stderr)
    assert told
    num_pieces, num_parts = (int(number.replace(",", "")) for number in told.groups())
    assert num_pieces > 3000
    assert num_parts >= num_pieces / 200


def test_long_lines_are_all_counted_and_ten_of_them_named(translate: Run) -> None:
    done = translate(
        "--set", "decoding.window=5", "--on-long", "truncate", stdin=joined(*["Ja! " * 300] * 12)
    )
    told = [line for line in done.stderr.splitlines() if "pieces > max 200, cut off there" in line]
    assert [line.split(": ")[2] for line in told] == [f"line {number}" for number in range(1, 11)]
    assert "stdin: 12 lines in all had to be cut" in done.stderr


@pytest.mark.slow
@is_posix
def test_a_line_of_a_megabyte_needs_no_more_memory_than_its_text(
    start_nmt: Start, tiny_model_dir: Path
) -> None:
    """A11"""
    peaks = [peak_mb(start_nmt, tiny_model_dir, joined(line)) for line in ("x" * 1000, "x" * 1_000_000)]
    assert peaks[1] - peaks[0] < 600


def peak_mb(start_nmt: Start, model_dir: Path, text: bytes) -> float:
    """The most memory that a process of its own had before the end of its input, after all answers."""
    process = start_nmt("translate", "-m", model_dir, *FEW_STEPS)
    process.stdin.write(text)
    process.stdin.flush()
    process.stdout.readline()
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000


STRANGE = [
    "ありがとうございます。",
    "😀" * 50,
    "👨‍👩‍👧‍👦🏳️‍🌈",
    "&apos;" * 200,
    "ⵣ ꙮ 𒀀",
    "e\u0301" * 40,
    "ﷺ" * 20,
    "'" * 300,
]


def test_lines_of_nothing_known_harm_no_other_line(translate: Run, good: dict[str, str]) -> None:
    """A13"""
    done = translate(stdin=joined(*(line for odd in STRANGE for line in (odd, GOOD[0]))))
    assert (done.exit_status, len(done.lines)) == (0, 2 * len(STRANGE))
    assert done.lines[1::2] == [good[GOOD[0]]] * len(STRANGE)


@pytest.fixture
def talks_in_newlines(tiny_model: TranslationModel, tmp_path: Path) -> TranslationModel:
    """A model that would rather write `\\n` than anything else."""
    network, tokenizer = deepcopy(tiny_model.network), tiny_model.tgt_tokenizer
    newline = next(id for id in range(tokenizer.vocab_size) if tokenizer.piece(id) == "<0x0A>")
    with torch.no_grad():
        network.decoder_norm.weight.zero_()
        network.decoder_norm.bias.copy_(network.out_proj.weight[newline] * 10)
        states = network.decode(torch.tensor([[2]]), network.encode(torch.tensor([[5, 3]]))).states
    assert network.logits(states).argmax() == newline
    model = replace(tiny_model, network=network, path=tmp_path / "model")
    save_model(model, tmp_path / "model")
    return model


def test_a_model_that_would_write_newlines_still_gives_a_line_for_a_line(
    run_nmt: Run, talks_in_newlines: TranslationModel
) -> None:
    """A14"""
    assert talks_in_newlines.path is not None
    for beam in ("1", "3"):
        args = ("-m", talks_in_newlines.path, *FEW_STEPS, "--beam", beam)
        done = run_nmt("translate", *args, *GOOD)
        assert len(done.lines) == len(done.stdout.splitlines()) == len(GOOD)
        assert "\r" not in done.stdout


SPECIAL = ["</s>", "<s>", "<unk>", "<pad>", "▁", "<2de>", "<0x0A>", "<0x41>", "</s> <s> <unk> <pad> ▁ <2de>"]


def test_special_tokens_in_the_text_are_text(
    translate: Run, good: dict[str, str], tiny_model: TranslationModel
) -> None:
    """A15"""
    tokenizer = tiny_model.src_tokenizer
    for text in SPECIAL:
        line = f"Der {text} Hund"
        assert not {0, 1, 2, 3} & set(tokenizer.encode(line))
        assert tokenizer.decode(tokenizer.encode(line)) == line
    done = translate(stdin=joined(*SPECIAL, *(f"Ja! {text}" for text in SPECIAL), GOOD[0]))
    assert len(done.lines) == 2 * len(SPECIAL) + 1
    assert all(done.lines)
    assert done.lines[-1] == good[GOOD[0]]


@is_posix
def test_a_full_disk_behind_stdout_is_named(start_nmt: Start, tiny_model_dir: Path) -> None:
    """A18"""
    with open("/dev/full", "wb") as full:
        process = start_nmt("translate", "-m", tiny_model_dir, *FEW_STEPS, "Ja!", stdout=full)
    said = process.stderr.read()
    assert process.wait(WAIT) == 74
    assert re.search(rb"No space left on device[^\n]*\n$", said)
    assert b"Traceback" not in said


@pytest.fixture
def no_fault_yet() -> None:
    """Faults count what was done since they were planned."""
    planned_fault.cache_clear()


@pytest.mark.usefixtures("no_fault_yet")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_full_disk_leaves_whole_lines_and_says_how_many(translate: Run, tmp_path: Path, n: int) -> None:
    output = tmp_path / "out"
    output.write_text("as it was\n", encoding="utf-8")
    (tmp_path / "in").write_bytes(joined(*GOOD, *GOOD))
    fault = {"NMT_FAULT": f"op=write,n={n},errno=ENOSPC,sticky=1"}
    done = translate("-i", tmp_path / "in", "-o", output, "--set", "decoding.window=2", env=fault)
    assert done.exit_status == 74
    assert "No space left on device; " in done.stderr
    kept = (tmp_path / "out.part").read_bytes()
    assert (kept.count(b"\n"), kept[-1:]) == (2 * (n - 1), b"\n" if n > 1 else b"")
    assert f"out.part keeps {2 * (n - 1)} whole lines" in done.stderr
    assert output.read_text(encoding="utf-8") == "as it was\n"


@is_posix
def test_a_file_that_may_not_grow_keeps_whole_lines(translate: Run, tmp_path: Path) -> None:
    import resource

    lines = translate(stdin=joined(*GOOD)).lines
    limit = len("\n".join(lines[:2]).encode()) + 2  # all but the third line
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        done = translate("-o", tmp_path / "out", *GOOD)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert done.exit_status == 74
    assert "File too large; out.part keeps 2 whole lines" in done.stderr
    assert (tmp_path / "out.part").read_text(encoding="utf-8").splitlines() == lines[:2]


@is_posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_whole_lines_on_stdout_and_says_how_many(
    start_nmt: Start, tiny_model_dir: Path, number: int
) -> None:
    process = start_nmt("translate", "-m", tiny_model_dir, *FEW_STEPS, "--set", "decoding.window=50")
    process.stdin.write(joined(*GOOD * 500))
    process.stdin.flush()
    text = b"".join(process.stdout.readline() for _ in range(60))
    process.send_signal(number)
    text += process.stdout.read()
    assert process.wait(WAIT) == 128 + number
    assert text.endswith(b"\n")
    num_lines = text.count(b"\n")
    assert num_lines < 3 * 500
    assert process.stderr.read() == f"stopped; {num_lines:,} lines written\n".encode()


@is_posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_interruption_does_not_cut_the_line_that_is_being_written(
    start_nmt: Start, tiny_model_dir: Path, unbuffered: str
) -> None:
    args = ("translate", "-m", tiny_model_dir, *FEW_STEPS, "--input-format", "jsonl")
    process = start_nmt(*args, env={"PYTHONUNBUFFERED": unbuffered})
    record = {"src": "Ja!", "other": "x" * 300_000}  # more than a pipe holds
    process.stdin.write(joined(json.dumps(record)))
    process.stdin.flush()
    text = process.stdout.read(100)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)  # the signal is there before the rest of the line is
    text += process.stdout.read()
    assert process.wait(WAIT) == 130
    assert json.loads(text)["other"] == record["other"]
    assert process.stderr.read() == b"stopped; 1 line written\n"


def test_a_file_that_can_not_be_read_is_named(translate: Run, tmp_path: Path) -> None:
    """A21"""
    for path, reason in ((tmp_path / "none", "no such file"), (tmp_path, "is a folder")):
        done = translate("-i", path, "-o", tmp_path / "out")
        assert done.exit_status == 2
        assert f"{path}: {reason}" in done.stderr
    assert not list(tmp_path.iterdir())


@is_nobody
def test_a_file_that_may_not_be_read_is_named(translate: Run, tmp_path: Path) -> None:
    """A21"""
    (tmp_path / "in").touch(mode=0)
    done = translate("-i", tmp_path / "in", "-o", tmp_path / "out")
    assert done.exit_status == 74
    assert f"{tmp_path / 'in'}: cannot be read: Permission denied" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_ordinary_file_is_replaced(translate: Run, good: dict[str, str], tmp_path: Path) -> None:
    """A22; what is refused is in test_translate"""
    (tmp_path / "out").write_text("of yesterday\n" * 9, encoding="utf-8")
    translate("-o", tmp_path / "out", *GOOD)
    assert (tmp_path / "out").read_text(encoding="utf-8").splitlines() == list(good.values())
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@is_nobody
def test_a_folder_that_may_not_be_written_to_is_named(translate: Run, tmp_path: Path) -> None:
    """A22"""
    (tmp_path / "closed").mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
    done = translate("-o", tmp_path / "closed" / "out", "Ja!")
    assert done.exit_status == 73
    assert "closed/out.part: cannot be created: Permission denied" in done.stderr


@pytest.fixture
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_as_before")
def test_batches_order_and_threads_do_not_matter(run_nmt: Run, tiny_model_dir: Path) -> None:
    """A23"""
    lines = [*GOOD, *STRANGE, *SPECIAL, "Wir gehen morgen nach Hause, wenn es nicht regnet."]
    shuffled = random.Random(1).sample(lines, len(lines))

    def run(text: list[str], *options: str) -> dict[str, str]:
        args = ("translate", "-m", tiny_model_dir, *FEW_STEPS, "--beam", "3", *options)
        done = run_nmt(*args, stdin=joined(*text))
        assert done.exit_status == 0, done.stderr
        return dict(zip(text, done.lines, strict=True))

    alone = run(lines, "--set", "decoding.window=1")
    assert run(shuffled, "--set", "decoding.batch_tokens=200") == alone
    assert run(shuffled, "--threads", "4") == alone


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=6), st.booleans())
def test_any_bytes_give_as_many_lines(translate: Run, lines: list[bytes], is_ended: bool) -> None:
    text = b"\n".join(lines) + (b"\n" if is_ended and lines else b"")
    num_lines = text.count(b"\n") + (text[-1:] not in (b"", b"\n"))
    done = translate(stdin=text)
    assert (done.exit_status, done.stdout.count("\n")) in ((0, num_lines), (65, 0))
    if done.exit_status:
        assert "not UTF-8 text (looks like" in done.stderr
