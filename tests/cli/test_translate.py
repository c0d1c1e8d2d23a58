"""`nmt translate` as a user types it."""

import gzip
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

Run = Callable[..., Any]
Start = Callable[..., Any]

SENTENCES = [
    "Der Hund schläft.",
    "Die Katze sieht den Hund im Garten.",
    "Ja!",
    "Wir gehen morgen nach Hause.",
]
GREEDY = ("--set", "decoding.beam_size=1", "--set", "decoding.max_length_ratio=0.1", "--threads", "1")
WAIT = 120  # seconds until a test gives up; on a busy machine torch alone may take many


@pytest.fixture
def translate(run_nmt: Run, tiny_model_dir: Path) -> Run:
    def run(*args: str | Path, **options: Any) -> Any:
        return run_nmt("translate", "-m", tiny_model_dir, *GREEDY, *args, **options)

    return run


def lines_of(*sentences: str) -> str:
    return "".join(f"{sentence}\n" for sentence in sentences)


def test_arguments_pipe_and_file_agree(translate: Run, tmp_path: Path) -> None:
    arguments = translate(*SENTENCES)
    assert arguments.exit_status == 0, arguments.stderr
    assert len(arguments.lines) == len(SENTENCES)
    assert all(arguments.lines)
    pipe = translate(stdin=lines_of(*SENTENCES))
    assert pipe.stdout == arguments.stdout
    assert translate("-", stdin=lines_of(*SENTENCES)).stdout == pipe.stdout
    path = tmp_path / "in.txt.gz"
    path.write_bytes(gzip.compress(lines_of(*SENTENCES).encode()))
    output = tmp_path / "out.txt"
    assert translate("-i", path, "-o", output).stdout == ""
    assert output.read_text(encoding="utf-8") == pipe.stdout


def test_the_summary_goes_to_stderr_unless_quiet(translate: Run) -> None:
    assert "4 lines in" in translate(*SENTENCES).stderr
    assert translate("--quiet", *SENTENCES).stderr == ""
    assert "0 lines in" in translate(stdin="").stderr


@pytest.mark.parametrize("layout", ["text", "jsonl"])
def test_every_line_gives_one_line(translate: Run, layout: str) -> None:
    odd = [
        b"Der Hund",
        b"",
        b" \t ",
        "\u3000\u00a0\u200b".encode(),
        b"Die\rKatze",
        "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg".encode(),
        b"nul \x00 and \x01",
        b"</s> <s> <unk> <pad> <0x0A>",
        "😀😀 ありがとう".encode(),
        b"caf\xe9",
        b"Der Hund\r",
        b"Der Hund",
    ]
    done = translate("--format", layout, "--align", stdin=b"\n".join(odd))
    assert done.exit_status == 0, done.stderr
    assert done.stdout.count("\n") == len(odd)
    assert "\r" not in done.stdout
    assert done.stdout.splitlines() == done.lines
    if layout == "text":
        assert done.lines[1:4] == ["", "", ""]
        assert done.lines[0] == done.lines[-1] == done.lines[-2]


def test_invalid_utf8_is_mended_and_told_or_refused(translate: Run, tmp_path: Path) -> None:
    """A8"""
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(b"Der Hund\nJa\nDie Katze\n")
    bad.write_bytes(b"Der Hund\nJ\xff\nDie Katze\n")
    mended = translate("-i", bad)
    assert mended.exit_status == 0
    assert mended.stderr.count("invalid UTF-8 on 1 line (2)") == 1
    assert mended.lines[::2] == translate("-i", good).lines[::2]
    refused = translate("-i", bad, "-o", tmp_path / "out", "--strict")
    assert refused.exit_status == 65
    assert f"{bad}:2: byte 0xFF at column 2" in refused.stderr
    assert not (tmp_path / "out").exists()


LONG = lines_of("Ja!", "Der Hund schläft im Garten. " * 60, "Ja!")


def test_a_line_that_is_too_long_is_cut_off_on_request(translate: Run) -> None:
    done = translate("--on-long", "truncate", stdin=LONG)
    assert len(done.lines) == 3
    assert "pieces > max 200, cut off there" in done.stderr
    assert len(done.lines[1]) < len(translate(stdin=LONG).lines[1])


def test_a_line_that_is_too_long_is_refused_on_request(translate: Run, tmp_path: Path) -> None:
    """A12"""
    path, output = tmp_path / "in", tmp_path / "out"
    path.write_text(LONG, encoding="utf-8")
    output.write_text("as it was\n", encoding="utf-8")
    done = translate("--on-long", "error", "-i", path, "-o", output, "--set", "decoding.window=1")
    assert done.exit_status == 65
    assert f"{path}:2: " in done.stderr
    assert "expected at most 200; split the line" in done.stderr
    assert output.read_text(encoding="utf-8") == "as it was\n"
    assert (tmp_path / "out.part").read_text(encoding="utf-8").count("\n") == 1


def test_a_line_of_json_that_is_too_long_has_an_error_on_request(translate: Run) -> None:
    records = "".join(json.dumps({"src": line}) + "\n" for line in LONG.splitlines())
    options = ("--on-long", "error", "--input-format", "jsonl")
    done = translate(*options, stdin=records)
    first, long, last = map(json.loads, done.lines)
    assert first["tgt"] == last["tgt"] == translate("Ja!").lines[0]
    assert long["error"].endswith("expected at most 200; split the line")
    assert "nothing to translate on 1 line (2)" in done.stderr
    strict = translate(*options, "--strict", stdin=records)
    assert (strict.exit_status, len(strict.lines)) == (65, 1)
    assert f"stdin:2: {long['error']}" in strict.stderr


def test_links_are_appended_in_a_pipe(translate: Run) -> None:
    plain, aligned = translate(*SENTENCES), translate("--align", *SENTENCES)
    for text, line in zip(plain.lines, aligned.lines, strict=True):
        before, separator, links = line.rpartition(" ||| ")
        assert (before, separator) == (text, " ||| ")
        assert all(link.replace("-", "").isdecimal() for link in links.split())


@pytest.mark.parametrize("name", ["links.txt", "links.jsonl", "links.talp", "links.naacl", "links.soft"])
def test_alignments_in_a_file_leave_stdout_pure(translate: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    done = translate("--align-out", path, "Der Hund", "", "Ja!")
    assert done.stdout == translate("Der Hund", "", "Ja!").stdout
    lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    if path.suffix == ".naacl":
        assert {line.split()[0] for line in lines} == {"1", "3"}
        return
    assert len(lines) == 3
    if path.suffix == ".jsonl":
        records = [json.loads(line) for line in lines]
        assert [record["src"] for record in records] == ["Der Hund", "", "Ja!"]
        assert [record["tgt"] for record in records] == done.lines
    else:
        assert lines[1] == ""
    if path.suffix == ".soft":
        assert {row.count(",") for row in lines[0].split()} == {1}  # two source words


def test_nbest_lists_have_every_hypothesis(translate: Run) -> None:
    done = translate("--beam", "3", "--nbest", "3", "--length-penalty", "0.5", "Der Hund", "Ja!")
    fields = [line.split(" ||| ") for line in done.lines]
    assert [number for number, _, _ in fields] == ["0"] * 3 + ["1"] * 3
    scores = [float(score) for _, _, score in fields[:3]]
    assert scores == sorted(scores, reverse=True)
    as_json = translate(
        "--beam", "3", "--nbest", "3", "--length-penalty", "0.5", "--format", "jsonl", "Der Hund"
    )
    record = json.loads(as_json.stdout)
    assert [each["score"] for each in record["hypotheses"]] == pytest.approx(scores, abs=1e-4)
    assert record["tgt"] == record["hypotheses"][0]["tgt"] == fields[0][1]


@pytest.mark.parametrize(
    "ways",
    [
        ("--beam", "3", "--nbest", "3"),
        ("--beam", "3", "--nbest", "3", "--prefix", "The"),
        ("--sample", "3", "--seed", "7"),
        ("--sample", "3", "--mbr", "--seed", "7"),
    ],
    ids=" ".join,
)
def test_every_hypothesis_has_its_own_links(
    translate: Run, run_nmt: Run, tiny_model_dir: Path, tmp_path: Path, ways: tuple[str, ...]
) -> None:
    sentence = "Der Hund schläft."
    record = json.loads(translate(*ways, "--align", "--format", "jsonl", sentence).stdout)
    texts = [each["tgt"] for each in record["hypotheses"]]
    (tmp_path / "src").write_text(lines_of(*[sentence] * len(texts)), encoding="utf-8")
    (tmp_path / "tgt").write_text(lines_of(*texts), encoding="utf-8")
    expected = run_nmt("align", "-m", tiny_model_dir, tmp_path / "src", tmp_path / "tgt").lines
    assert [_pharaoh(each["links"]) for each in record["hypotheses"]] == expected
    assert record["links"] == record["hypotheses"][0]["links"]
    assert record["hypotheses"][0]["tgt_tokens"] == record["tgt_tokens"]
    listed = translate(*ways, "--align", "--format", "nbest", sentence).lines
    assert [line.split(" ||| ")[1] for line in listed] == texts
    assert [line.split(" ||| ")[3] for line in listed] == expected


def _pharaoh(links: list[tuple[int, int, float]]) -> str:
    return " ".join(f"{i}-{j}" for i, j, _ in links)


def test_json_lines_carry_links_and_character_offsets(translate: Run) -> None:
    record = json.loads(translate("--align", "--format", "jsonl", "Der Hund schläft.").stdout)
    assert [record["src"][start:end] for start, end in record["src_tokens"]] == [
        "Der",
        "Hund",
        "schläft",
        ".",
    ]
    assert record["from"] == "attention"
    pieces = json.loads(
        translate("--align", "--format", "jsonl", "--tokens", "piece", "Der Hund schläft.").stdout
    )
    assert len(pieces["src_tokens"]) > 4


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--nbest", "9"), "9 hypotheses do not fit into a beam of 1; give --beam 9"),
        (("--nbest", "2", "--format", "text"), "--format text has one line for each input line"),
        (("--set", "model.d_model=8"), "only decoding.* and alignment.* can be set"),
        (("--set", "decoding.beam_sise=8"), "did you mean 'beam_size'?"),
        (("-i", "missing.txt"), "missing.txt: no such file"),
        (("-i", "some.txt", "Hallo"), "give either TEXT or --input"),
        (("--length-penalty", "-1"), "--length-penalty"),
        (("--from", "attention"), "--from says where links come from"),
        (("--tokens", "space"), "--tokens is for links and --word-scores"),
        (("--alternatives", "2", "--align"), "leave out --align"),
        (("--alternatives", "2", "--sample", "3"), "leave out --align, --nbest, --sample"),
        (("--score", "-", "--sample", "3"), "leave out --align, --nbest, --sample"),
        (
            ("--beam", "2", "--sample", "3"),
            "--beam and --nbest are for a search, --sample draws; give one of them",
        ),
        (("--nbest", "2", "--set", "decoding.samples=3"), "--sample draws; give one of them"),
        (("--score", "-", "--nbest", "2", "--format", "jsonl"), "leave out --align, --nbest, --sample"),
        (("--temperature", "0.5"), "--temperature and --seed are for what --sample draws"),
        (("--require", " "), "--require is blank; expected words"),
        (("--beam", "1001"), "decoding.beam_size is 1001; expected at most 1,000"),
        (("--align", "--from", "head"), "has no align head; give --from attention, or train it on text"),
    ],
)
def test_what_contradicts_itself_is_refused(translate: Run, args: tuple[str, ...], message: str) -> None:
    done = translate(*args, stdin="Hund\n")
    assert done.exit_status == 2
    assert message in " ".join(done.stderr.split())
    assert done.stdout == ""


def test_outputs_that_would_destroy_something_are_refused(
    translate: Run, tmp_path: Path, tiny_model_dir: Path
) -> None:
    """A22"""
    source = tmp_path / "in.txt"
    source.write_text("Hund\n", encoding="utf-8")
    for output, message in {
        source: "is an input as well",
        tmp_path / "none" / "out.txt": "there is no folder",
        tiny_model_dir: "is in the model folder",
        tiny_model_dir / "config.toml": "is in the model folder",
        tmp_path: "is a folder",
    }.items():
        for option in ("-o", "--align-out"):
            done = translate("-i", source, option, output)
            assert done.exit_status == 73
            assert message in done.stderr
    assert translate("-i", source, "-o", tmp_path / "x", "--align-out", tmp_path / "x").exit_status == 73
    assert source.read_text(encoding="utf-8") == "Hund\n"
    assert [path.name for path in tmp_path.iterdir()] == ["in.txt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_named(translate: Run) -> None:
    done = translate("-o", "/dev/full", "Der Hund")
    assert done.exit_status == 74
    assert "No space left on device" in done.stderr


# JSON lines in


OBJECTS = [
    '{"doc": "a\\u2028b", "src": "Der Hund schläft.", "n": [1, {"x": null}], "id": "first"}',
    "",
    '{"text": "Ja!", "tgt": "as it was", "score": "high"}',
    '{"src": ""}',
    '{"src": "Ja!\\nJa!\\u0000"}',
]


def test_fields_of_json_lines_come_out_again_around_ours(translate: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(lines_of(*OBJECTS), encoding="utf-8")
    done = translate("-i", path)
    assert done.exit_status == 0, done.stderr
    assert len(done.lines) == len(OBJECTS) == len(done.stdout.splitlines())
    assert done.lines[1] == ""
    first, second, empty, two = (json.loads(line) for line in done.lines if line)
    assert list(first) == ["doc", "src", "n", "id", "tgt", "score", "log_prob"]
    assert {key: first[key] for key in ("doc", "src", "n", "id")} == json.loads(OBJECTS[0])
    assert list(second) == ["text", "tgt", "score", "id", "src", "log_prob"]
    assert (second["id"], second["src"], second["text"]) == (2, "Ja!", "Ja!")
    assert (empty["id"], empty["src"], empty["tgt"]) == (3, "", "")
    assert two["src"] == "Ja!\nJa!\0"
    plain = translate("--format", "jsonl", "Der Hund schläft.", "Ja!")
    for record, line in zip((first, second), plain.lines, strict=True):
        by_itself = json.loads(line)
        assert {key: record[key] for key in ("src", "tgt")} == {key: by_itself[key] for key in ("src", "tgt")}
        for key in ("score", "log_prob"):  # what stands beside a line changes the last digit
            assert record[key] == pytest.approx(by_itself[key], abs=1e-5)


def test_json_lines_come_from_a_pipe_and_arguments_too_and_may_become_text(translate: Run) -> None:
    plain = translate("Der Hund schläft.", "", "Ja!").lines
    objects = [OBJECTS[0], "", OBJECTS[2]]
    done = translate("--input-format", "jsonl", "--format", "text", stdin=lines_of(*objects))
    assert done.lines == plain
    assert translate("--input-format", "jsonl", "--format", "text", *objects).lines == plain
    records = translate("--input-format", "jsonl", "--align", "--beam", "2", "--nbest", "2", *objects).lines
    assert len(json.loads(records[0])["hypotheses"]) == 2
    assert json.loads(records[2])["from"] == "attention"


def test_a_line_of_json_without_a_text_becomes_an_object_that_says_so(translate: Run, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    bad = ["Der Hund", '{"source": "Der Hund", "id": 7}', '{"src": "Ja\\ud800"}']
    path.write_text(lines_of(OBJECTS[2], *bad, OBJECTS[2]), encoding="utf-8")
    done = translate("-i", path)
    assert done.exit_status == 0
    records = [json.loads(line) for line in done.lines]
    assert records[0]["tgt"] == records[-1]["tgt"]
    assert records[0]["score"] == pytest.approx(records[-1]["score"], abs=1e-4)
    assert (records[1]["id"], set(records[1])) == (1, {"id", "error"})
    error = "has neither src nor text; expected a text in src"
    assert records[2] == {"source": "Der Hund", "id": 7, "error": error}
    assert records[3]["src"] == "Ja\ufffd"
    assert f"{path}:2: not JSON (Expecting value" in done.stderr
    assert f"{path}: nothing to translate on 2 lines (2, 3); --strict stops at the first" in done.stderr
    assert "invalid UTF-8 on 1 line (4)" in done.stderr
    assert translate("-i", path, "--format", "text").lines[1:3] == ["", ""]
    refused = translate("-i", path, "--strict", "-o", tmp_path / "out")
    assert refused.exit_status == 65
    assert f"{path}:2: not JSON" in refused.stderr
    assert not (tmp_path / "out").exists()
    assert [json.loads(line)["tgt"] for line in translate("-i", path, "--strict").lines] == [
        records[0]["tgt"]
    ]


def answer(stream: IO[bytes]) -> bytes:
    assert select.select([stream], [], [], WAIT)[0], "no answer"
    return stream.readline()


@pytest.mark.parametrize(
    ("options", "line"), [(("--score", "-"), "Ja!\tYes!\n"), (("--alternatives", "2"), "Ja!\n")]
)
def test_so_is_who_waits_for_a_score_or_for_alternatives(
    start_nmt: Start, tiny_model_dir: Path, options: tuple[str, ...], line: str
) -> None:
    process = start_nmt("translate", "-m", tiny_model_dir, *GREEDY[:2], *options)
    answers = []
    for _ in range(2):
        process.stdin.write(line.encode())
        process.stdin.flush()
        answers.append(answer(process.stdout))
    process.stdin.close()
    assert (process.stdout.read(), process.wait(WAIT)) == (b"", 0)
    assert answers[0].strip()


def test_who_writes_a_line_and_waits_is_answered_at_once(
    start_nmt: Start, tiny_model_dir: Path, translate: Run
) -> None:
    process = start_nmt("translate", "-m", tiny_model_dir, *GREEDY)
    answers = []
    for sentence in SENTENCES:
        process.stdin.write(f"{sentence}\n".encode())
        process.stdin.flush()
        answers.append(answer(process.stdout).decode().removesuffix("\n"))
    process.stdin.close()
    assert (process.stdout.read(), process.wait(WAIT)) == (b"", 0)
    assert answers == translate(*SENTENCES).lines


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_person_gets_a_prompt_and_a_table(start_nmt: Start, tiny_model_dir: Path) -> None:
    ours, theirs = os.openpty()
    command = ("translate", "-m", tiny_model_dir, *GREEDY, "--align", "--on-long", "error")
    process = start_nmt(*command, env={"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert "Ctrl-D ends" in read_until(ours, "> ")
    os.write(ours, "Der Hund schläft.\n".encode())
    shown = read_until(ours, "> ")
    assert "attention, decoder layer" in shown
    assert "Hund" in shown.partition("\n")[2]
    assert "no link" in shown
    os.write(ours, b"caf\xe9\n")  # not UTF-8
    assert "no link" not in read_until(ours, "> ")
    os.write(ours, b"Hund " * 250 + b"\n")  # too long, which ends nothing
    assert "expected at most 200; split the line" in " ".join(read_until(ours, "> ").split())
    os.write(ours, b"\x04")  # Ctrl-D
    assert process.wait(WAIT) == 0
    os.close(ours)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("encoding", "rule"), [("utf-8", "╌"), ("latin-1", "...")])
def test_a_terminal_gets_tables_in_its_encoding_and_one_legend(
    start_nmt: Start, tiny_model_dir: Path, encoding: str, rule: str
) -> None:
    ours, theirs = os.openpty()
    command = ("translate", "-m", tiny_model_dir, *GREEDY, "--align", "Der Hund \x1b[2J", "Ja!")
    env = {"TERM": "xterm", "PYTHONIOENCODING": encoding}
    done = start_nmt(*command, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = read_all(ours)
    assert done.wait(WAIT) == 0
    assert rule in shown.decode(encoding)
    assert shown.count(b"no link") == 1
    assert b"\x1b[2J" not in shown


def read_all(terminal: int) -> bytes:
    text = b""
    while select.select([terminal], [], [], WAIT)[0]:
        try:
            part = os.read(terminal, 4096)
        except OSError:  # Linux says so at the end
            part = b""
        if not part:
            os.close(terminal)
            return text
        text += part
    raise AssertionError(f"only {text!r}")


def read_until(terminal: int, end: str) -> str:
    text = b""
    while not text.decode(errors="ignore").endswith(end):
        assert select.select([terminal], [], [], WAIT)[0], f"only {text!r}"
        text += os.read(terminal, 4096)
    return text.decode(errors="replace")


def test_a_reader_that_leaves_ends_the_program_quietly(start_nmt: Start, tiny_model_dir: Path) -> None:
    """A17"""
    process = start_nmt("translate", "-m", tiny_model_dir, *GREEDY)
    process.stdin.write(b"Hund\n")
    process.stdin.flush()
    answer(process.stdout)
    process.stdout.close()
    process.stdin.write(b"Hund\n")  # and stdin stays open: the program must not wait for more
    process.stdin.flush()
    assert process.wait(WAIT) == 141
    assert process.stderr.read() == b""


def test_the_end_of_a_line_that_was_cut_off_has_no_links(translate: Run) -> None:
    line = "Der Hund schläft im Garten. " * 60
    done = translate("--on-long", "truncate", "--align", "--set", "alignment.threshold=0.001", line)
    links = done.lines[0].rpartition(" ||| ")[2].split()
    assert links
    assert max(int(link.split("-")[0]) for link in links) < 200 < len(line.split())


@pytest.mark.parametrize("strict", [False, True])
def test_an_argument_that_is_not_utf8_is_mended_or_refused_as_a_line_is(
    start_nmt: Start, tiny_model_dir: Path, strict: bool
) -> None:
    asked = ("--strict", b"caf\xe9") if strict else (b"caf\xe9",)
    process = start_nmt("translate", "-m", tiny_model_dir, *GREEDY, *asked)
    assert process.wait(WAIT) == (65 if strict else 0)
    told = b"arguments:1: byte 0xE9 at column 4 is not UTF-8" if strict else b"invalid UTF-8 on 1 line"
    assert told in process.stderr.read()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_keeps_whole_lines_and_says_how_many(
    start_nmt: Start, tiny_model_dir: Path, tmp_path: Path, number: int
) -> None:
    output = tmp_path / "out"
    process = start_nmt("translate", "-m", tiny_model_dir, *GREEDY, "-i", "-", "-o", output)
    process.stdin.write(b"Der Hund\nDie Katze\n")
    process.stdin.flush()
    part = tmp_path / "out.part"
    deadline = time.monotonic() + WAIT
    while not (part.exists() and part.read_bytes().count(b"\n") == 2):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(WAIT) == 128 + number
    assert process.stderr.read() == b"stopped; out.part keeps 2 whole lines\n"
    assert not output.exists()


def test_a_file_that_grows_into_an_input_is_refused(translate: Run, tmp_path: Path) -> None:
    for name in ("out", "out.part"):
        (tmp_path / name).write_text("Ja!\n", encoding="utf-8")
        done = translate("-i", tmp_path / name, "-o", tmp_path / "out")
        assert (done.exit_status, f"{name}: is an input as well" in done.stderr) == (73, True)
        assert (tmp_path / name).read_text(encoding="utf-8") == "Ja!\n"


def test_what_is_read_is_not_written_to_as_stdout_or_in_place_of_stdin(
    start_nmt: Start, tiny_model_dir: Path, tmp_path: Path
) -> None:
    path = tmp_path / "text"
    path.write_text("Ja!\n", encoding="utf-8")
    command = ("translate", "-m", tiny_model_dir, *GREEDY)
    with path.open("a") as out:
        process = start_nmt(*command, "-i", path, stdout=out)
        assert process.wait(WAIT) == 73
    assert "is written to as standard output, too; give --output FILE" in process.stderr.read().decode()
    with path.open() as text, path.open("a") as out:
        assert start_nmt(*command, stdin=text, stdout=out).wait(WAIT) == 73
    with path.open("a") as out:
        assert start_nmt(*command, "-i", path, "-o", tmp_path / "out", stdout=out).wait(WAIT) == 0
    with path.open() as text:
        process = start_nmt(*command, "-o", path, stdin=text)
        assert process.wait(WAIT) == 73
    assert path.read_text(encoding="utf-8") == "Ja!\n"


def test_a_device_behind_a_link_is_written_to(start_nmt: Start, translate: Run, tiny_model_dir: Path) -> None:
    process = start_nmt("translate", "-m", tiny_model_dir, *GREEDY, "-o", "/dev/stdout", "Ja!")
    assert process.wait(WAIT) == 0
    assert process.stdout.read().decode().splitlines() == translate("Ja!").lines


def test_a_folder_is_no_file_to_write(translate: Run) -> None:
    done = translate("-o", ".", "Ja!")
    assert (done.exit_status, "is a folder, expected a file to write" in done.stderr) == (73, True)


def test_a_file_with_the_ending_of_a_compressed_one_is_refused(translate: Run, tmp_path: Path) -> None:
    done = translate("-o", tmp_path / "out.gz", "Ja!")
    assert (done.exit_status, "out.gz: would hold plain text" in done.stderr) == (73, True)


def test_what_an_earlier_run_says_of_a_failure_goes_and_a_refused_line_has_no_hypotheses(
    translate: Run,
) -> None:
    lines = [{"src": "Ja!", "error": "old", "unscored": "old", "mark": 7}, {"src": 3, "error": "old"}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    first, second = map(json.loads, translate("--input-format", "jsonl", stdin=text).lines)
    assert not {"error", "unscored"} & first.keys()
    assert (first["mark"], second["error"]) == (7, "src is not a text; expected one")
    ranked = translate("--input-format", "jsonl", "--format", "nbest", "--nbest", "1", stdin=text).lines
    assert [line.split(" ||| ")[0] for line in ranked] == ["0"]
