"""`nmt backtranslate` as a person runs it."""

import json


def test_text_in_one_language_becomes_two_files_to_train_on(
    run_nmt, tiny_model_dir, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nmt.training.synthetic.BROKEN", "no such text")  # random weights draw many bytes
    (tmp_path / "mono").write_text("Der Hund.\n\nJa!\n")
    command = ("backtranslate", "-m", tiny_model_dir, "mono", "-o", "made", "--threads", "1", "--tag")
    short = ("--set", "decoding.max_length_ratio=0.1")
    done = run_nmt(*command, *short, "--sample", "2")
    assert done.exit_status == 0, done.stderr
    assert done.stderr.splitlines() == [
        "4 pairs of 3 lines; skipped: blank 1",
        "now add to your nmt train: --src made/pairs.src --tgt made/pairs.tgt",
    ]
    sources, targets = (
        (tmp_path / "made" / f"pairs.{side}").read_text().splitlines() for side in ("src", "tgt")
    )
    assert targets == ["Der Hund.", "Der Hund.", "Ja!", "Ja!"]
    assert all(line.startswith("<BT> ") for line in sources)
    assert json.loads(run_nmt(*command, *short, "--sample", "2", "--json", "-q").stdout)["num_pairs"] == 4

    searched = run_nmt(*command, *short, "--beam", "1", "--restart", "-q")
    assert (searched.exit_status, searched.stderr) == (0, "")
    greedy = run_nmt("translate", "-m", tiny_model_dir, "--beam", "1", *short, "--threads", "1", "Ja!").lines
    assert (tmp_path / "made" / "pairs.src").read_text().splitlines()[1] == f"<BT> {greedy[0]}"

    again = run_nmt(*command, *short, "--set", "decoding.beam_size=1", "-q")  # what it does unless told
    assert (again.exit_status, again.stderr) == (0, "")
    other = run_nmt(*command, *short, "--beam", "2")
    assert other.exit_status == 73
    assert "was made, or begun, in another way (differing: decoding.beam_size)" in other.stderr
    assert run_nmt(*command, "--beam", "2", "--sample", "2").exit_status == 2
    for of_sample in (("--temperature", "0.5"), ("--seed", "2")):
        assert "give --sample too" in run_nmt(*command, *of_sample).stderr
    assert (
        run_nmt("backtranslate", "-m", tiny_model_dir, "mono", "-o", tiny_model_dir / "a").exit_status == 73
    )
    assert run_nmt("backtranslate", "-m", tiny_model_dir, "-", "-o", "other").exit_status == 2
