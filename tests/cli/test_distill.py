"""`nmt distill` as a person runs it: translated once, trained, gone on with."""

import json

import pytest

STUDENT = ("encoder_layers=1", "decoder_layers=1", "d_model=16", "d_ff=32", "num_heads=2")
TRAINING = ("max_steps=2", "eval_steps=2", "precision=float32", "batch_tokens=400")


def test_a_student_learns_from_what_the_teacher_translates(
    run_nmt, tiny_model_dir, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"Der Hund sieht {number} Katzen im Garten." for number in range(30)]
    (tmp_path / "a.de").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "a.en").write_text("".join(f"{line.upper()}\n" for line in lines))
    options = [f"--set=model.{each}" for each in STUDENT] + [f"--set=training.{each}" for each in TRAINING]
    options = [*options, "--set=data.weights=1,2"]
    command = ("distill", "-m", tiny_model_dir, "--src", "a.de", "--tgt", "a.en", *options)
    command = (*command, "--beam", "1", "--threads", "1", "-o", "student")
    done = run_nmt(*command)
    assert done.exit_status == 0, done.stderr
    assert "development scores will be partly against the teacher's translations" in done.stderr
    made = tmp_path / "student" / "train" / "teacher"
    translated = run_nmt(
        "translate", "-m", tiny_model_dir, "--beam", "1", "--threads", "1", "-i", "a.de"
    ).lines
    assert (made / "pairs.tgt").read_text().splitlines() == translated
    assert (made / "pairs.src").read_text().splitlines() == lines
    data = json.loads((tmp_path / "student" / "manifest.json").read_bytes())["data"]
    kept, real = data["corpora"]
    assert data["in_epoch"] == kept + 2 * real
    assert real > 20

    before = (made / "pairs.tgt").stat().st_mtime_ns
    again = run_nmt(*command)
    assert (again.exit_status, (made / "pairs.tgt").stat().st_mtime_ns) == (0, before)
    assert "finished before at step 2, nothing to do" in again.stderr
    assert run_nmt(*command, "--set", "data.weights=1,1").exit_status == 73
    wrong = run_nmt(*command[:-1], "new", "--set", "training.max_steps=0")
    assert (wrong.exit_status, (tmp_path / "new").exists()) == (2, False)
    refused = run_nmt(*command[:-1], tiny_model_dir)
    assert (refused.exit_status, "no translations of a teacher" in refused.stderr) == (73, True)
    assert run_nmt("distill", "-m", tiny_model_dir, "--src", "a.de", "--mix", "2", "-o", "x").exit_status == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tgt", "nofile"), "nofile: no such file"),
        (("--tgt", "short.en"), "a.de has 3 lines, short.en has 2"),
        (("--dev-src", "a.de", "--dev-tgt", "short.en"), "a.de has 3 lines, short.en has 2"),
        (("--set", "tokenizer.model=nofile"), "nofile"),
        (("--set", "training.init_from=nowhere"), "nowhere"),
        (("--tgt", "odd.en"), "odd.en:2: byte 0xFF at column 1 is not UTF-8"),
        (("--dev-src", "a.de", "--dev-tgt", "odd.en"), "odd.en:2: byte 0xFF at column 1 is not UTF-8"),
        (("--set", "training.init_from={model}", "--set", "model.d_model=8"), "d_model"),
    ],
)
def test_files_are_looked_at_before_anything_is_translated(
    run_nmt, tiny_model_dir, tmp_path, monkeypatch, options: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.de").write_text("Ja!\nJa!\nJa!\n")
    (tmp_path / "short.en").write_text("Yes!\nYes!\n")
    (tmp_path / "odd.en").write_bytes(b"Yes!\n\xff\nYes!\n")
    options = tuple(option.format(model=tiny_model_dir) for option in options)
    refused = run_nmt("distill", "-m", tiny_model_dir, "--src", "a.de", *options, "-o", "student")
    assert refused.exit_status in (2, 65)
    assert message in refused.stderr
    assert "pairs of" not in refused.stderr
    assert not (tmp_path / "student").exists()
