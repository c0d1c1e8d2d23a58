"""`nmt distill`: a student, small and fast, that learns from what a teacher translates."""

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.config.languages import UNKNOWN
from nmt.errors import OutputError, UsageError

from .backtranslate import load_translator, translate_texts
from .console import say
from .options import (
    BeamOption,
    BudgetOption,
    DeviceOption,
    DevSrcOption,
    DevTgtOption,
    JsonOption,
    PresetOption,
    QuietOption,
    SetOption,
    ThreadsOption,
    ToOption,
    TrainingSeedOption,
)
from .search_options import PrecisionOption
from .train import tell
from .training_session import run_training

if TYPE_CHECKING:
    from nmt.config import Config


def distill(
    teachers: Annotated[
        list[Path],
        typer.Option("--model", "-m", metavar="TEACHER", help="A model, or several that teach together."),
    ],
    out_dir: Annotated[
        Path, typer.Option("--out", "-o", metavar="STUDENT", help="Folder to make.", show_default=False)
    ],
    src: Annotated[
        list[Path],
        typer.Option("--src", metavar="FILE", help="What the teacher translates; may be given again."),
    ],
    tgt: Annotated[
        list[str] | None,
        typer.Option("--tgt", metavar="FILE", help="Its real translation: the student learns from both."),
    ] = None,
    mix: Annotated[
        float | None,
        typer.Option(
            "--mix", metavar="X", help="How many times an epoch has the real translations.", show_default="1"
        ),
    ] = None,
    dev_src: DevSrcOption = None,
    dev_tgt: DevTgtOption = None,
    to: ToOption = None,
    beam: BeamOption = None,
    precision: PrecisionOption = None,
    preset: PresetOption = "auto",
    budget: BudgetOption = None,
    set_options: SetOption = None,
    restart: Annotated[
        bool, typer.Option("--restart", metavar="", help="Begin anew, with the translations too.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    seed: TrainingSeedOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a student on the translations of a teacher (sequence-level distillation; Kim & Rush, 2016).

    The teacher translates the text with a beam, which STUDENT/train/teacher/ keeps; then the student is
    trained as by nmt train, for which --set and --budget are. However it was stopped, the same command goes
    on, and translates no more than the last 4,096 lines again.

    Example:
        nmt distill -m my-model --src train.de --preset tiny --out student
    """
    from nmt.config import from_dict, override
    from nmt.training.options import nested, parse_duration, resolve
    from nmt.training.synthetic import PairFiles

    if mix is not None and not tgt:
        raise UsageError("--mix is for real translations; give them with --tgt, or leave it out")
    teacher_dir = out_dir / "train" / "teacher"
    if not restart:
        _refuse_other_runs(out_dir, teacher_dir)
    search = {"beam_size": beam, "precision": precision, "samples": 0}
    teacher = load_translator(teachers, search, [], to=to, device=device, threads=threads)
    direction = teacher.direction
    pairs = PairFiles.of(teacher_dir, direction, is_reverse=False)
    is_known = (direction.src_lang, direction.tgt_lang) != UNKNOWN
    flags = {
        "data.src": [str(pairs.text), *(map(str, src) if tgt else ())],
        "data.tgt": [str(pairs.translation), *(tgt or ())],
        "data.weights": [1.0, *[mix] * len(src)] if mix is not None else None,
        "data.src_lang": direction.src_lang if is_known else None,
        "data.tgt_lang": direction.tgt_lang if is_known else None,
        "data.dev_src": dev_src,
        "data.dev_tgt": dev_tgt,
        "training.budget": parse_duration(budget) if budget else None,
        "training.device": device,
        "training.threads": threads,
        "training.seed": seed,
    }
    from_dict(override(nested(flags), set_options or []))  # raises what is wrong with options
    # the translations, which are not there yet, have as many lines as the text itself
    in_place = {"data.src": list(map(str, src)), "data.tgt": tgt or list(map(str, src)), "data.weights": None}
    options = [each for each in set_options or [] if not each.startswith("data.weights=")]
    checked = resolve(None, nested(flags | in_place), preset_name=preset, overrides=options)
    _check_inputs(checked)
    if not (checked.data.dev_src or quiet):
        against = "partly against" if tgt else "against"
        say(f"development scores will be {against} the teacher's translations; --dev-src gives real ones")
    translate_texts(teacher, src, pairs, restart=restart, quiet=quiet)
    del teacher  # makes room
    config = resolve(None, nested(flags), preset_name=preset, overrides=set_options or [])
    tell(run_training(config, out_dir, quiet=quiet, restart=restart), out_dir, quiet=quiet, as_json=as_json)


def _check_inputs(config: "Config") -> None:
    """Before hours of translating: raise what training would of the files that it reads besides."""
    from nmt.corpus.reading import read_pairs
    from nmt.tokenizer import Tokenizer
    from nmt.training.data import read_paths

    data = config.data
    texts = [] if data.src == data.tgt else [read_paths(data)]
    if data.dev_src:
        texts.append(read_pairs([Path(data.dev_src)], [Path(data.dev_tgt)], on_invalid=data.invalid_utf8))
    for text in texts:
        deque(text, maxlen=0)
    if config.tokenizer.model:
        Tokenizer.load(Path(config.tokenizer.model))


def _refuse_other_runs(out_dir: Path, teacher_dir: Path) -> None:
    """Before hours of translating: OutputError if the folder holds what is no work of this command."""
    marks = (out_dir / "manifest.json", out_dir / "train" / "run.json")
    if not teacher_dir.exists() and any(path.exists() for path in marks):
        raise OutputError(
            f"{out_dir}: holds a model or a training, but no translations of a teacher in train/teacher/; "
            "give another folder, or --restart"
        )
