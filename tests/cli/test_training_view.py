"""The picture of a run fits every terminal and tells what a plain log tells."""

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.live import Live

from nmt.alignment import WordAlignment
from nmt.cli import training_view
from nmt.cli.training_view import Picture
from nmt.config import Config
from nmt.training.report import (
    DataReport,
    EndReport,
    EvalReport,
    LinkingReport,
    NoteReport,
    Report,
    Sample,
    StartReport,
    StepReport,
)

SIGNATURE = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"


def step(number: int) -> StepReport:
    return StepReport(
        step=number,
        max_steps=12_000,
        epoch=3,
        loss=2.3456,
        learning_rate=1.5e-3,
        tokens_per_second=5432.1,
        seconds=75.0,
        seconds_left=3700.0,
    )


def evaluation(number: int, bleu: float, *, is_best: bool) -> EvalReport:
    source, target = "Der kleine Hund schläft [im Garten].", "The little dog is sleeping in the garden."
    alignment = WordAlignment(
        source=source,
        target=target,
        src_words=((0, 3), (4, 10), (11, 15), (16, 23)),
        tgt_words=((0, 3), (4, 10), (11, 14), (18, 26)),
        links={(0, 0): 0.95, (1, 1): 0.6, (2, 2): 0.9, (3, 3): 0.4},
    )
    return EvalReport(
        step=number,
        max_steps=12_000,
        epoch=3,
        loss=3.21,
        bleu=bleu,
        signature=SIGNATURE,
        is_best=is_best,
        seconds=75.0,
        sample=Sample("The little dog sleeps in the [garden].", alignment),
    )


def shown(reports: list[Report], width: int, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """What is printed above the picture, and the picture, on a terminal of this width."""
    console = Console(
        width=width, force_terminal=True, color_system=None, record=True, file=Path("/dev/null").open("w")
    )
    monkeypatch.setattr(training_view, "err", console)
    picture = Picture()
    picture.live = Live(console=console, get_renderable=picture.draw, auto_refresh=False)
    for report in reports:
        picture(report)
    above = console.export_text()
    with console.capture() as capture:
        console.print(picture.draw())
    console.file.close()
    return above, capture.get()


RUN = [
    step(50),
    evaluation(4000, 3.5, is_best=True),
    evaluation(8000, 31.4, is_best=True),
    evaluation(12_000, 30.0, is_best=False),
]


@pytest.mark.parametrize("width", [20, 36, 60, 80, 120, 200])
def test_the_picture_fits_every_width(width: int, monkeypatch) -> None:
    both = replace(RUN[-1], bleu_by_direction={"de-en": 31.0, "en-de": 29.0})
    for reports in (RUN, [*RUN[:1], both]):
        _, picture = shown(reports, width, monkeypatch)
        assert max(map(cell_len, picture.splitlines())) <= width
    if width >= 60:
        assert "31.00  29.00      30.00  ▇" in picture


def test_the_picture_shows_progress_speed_scores_and_a_sample(monkeypatch) -> None:
    _, picture = shown(RUN, 80, monkeypatch)
    for part in ("step 50/12,000", "1:01:40 left", "loss 2.346", "tokens/s 5,432", "time 1:15"):
        assert part in picture
    lines = [line.rstrip() for line in picture.splitlines()]
    assert " 8,000     3.210     31.40  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇ best" in lines
    assert "12,000     3.210     30.00  ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇" in lines
    assert "Der kleine Hund schläft [im Garten]." in picture
    assert lines[-1] == "reference: The little dog sleeps in the [garden]."


def test_what_is_said_once_stands_above(monkeypatch) -> None:
    data = DataReport(
        num_pairs=20,
        num_kept=19,
        num_dev=1,
        num_dev_dropped=0,
        num_mended=0,
        dropped={"held out": 1},
        overlap=0,
        dev_from="held out",
        src_vocab_size=9,
        tgt_vocab_size=9,
    )
    start = StartReport(Config(), 1000, "CPU, 2 threads", step=7, max_steps=9, notes=("measured",))
    above, picture = shown([data, start, NoteReport("something [odd]")], 300, monkeypatch)
    assert "data: 19 of 20 pairs to train on, 1 held out for development\n" in above
    assert (
        "training goes on from step 7: 1,000 parameters, CPU, 2 threads, auto; measured; up to 9 steps\n"
        in above
    )
    assert "note: something [odd]\n" in above
    assert picture.strip() == "the first steps …"


def test_of_a_finished_run_only_the_end_is_told(monkeypatch) -> None:
    end = EndReport(
        step=9,
        epochs=2.5,
        stopped="finished before at step 9, nothing to do",
        best_step=6,
        bleu=12.345,
        signature=SIGNATURE,
        loss=1.0,
        tokens_per_second=9.0,
        seconds=61.0,
        peak_memory=1_234_567_890,
        alignment_layer=2,
        agreement={1: 0.5, 2: 0.75},
        links_from="head",
        link_seconds=62.0,
        link_pairs=20,
    )
    above, picture = shown([LinkingReport("align head, epoch 2 of 4")], 300, monkeypatch)
    assert (above.strip(), picture.strip()) == ("", "links: align head, epoch 2 of 4 …")
    above, picture = shown([end], 300, monkeypatch)
    assert above.startswith(
        "done: finished before at step 9, nothing to do; best at step 6 of 9: dev BLEU 12.3"
    )
    assert above.rstrip().endswith(
        "links from align head, decoder layer 2, learnt in 1:02; took 1:01 and 1.2 GB of memory"
    )
    assert picture.strip() == ""
