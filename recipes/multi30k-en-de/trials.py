"""Trains models that differ in an option or two, several seeds of each, and shows their scores in a table.

    python recipes/multi30k-en-de/trials.py recipes/multi30k-en-de/levers.toml --data $D --out runs/levers

The file says how many of the first pairs are trained on, with which options, and for how long; or an option
says for how many steps, and other work beside changes nothing. Every training has one core, the size and all
else on `auto`, and no align head; two run side by side. Run again, it goes on with what is missing, and shows
what is there, in a folder for this file alone; --show only shows. Of a trial in the table `average` the mean
of so many last checkpoints translates. Scores are those of test2016, beam 5: mean
and standard deviation over the seeds, and how often chance alone would make the difference in BLEU from the
first trial (or --against another), by a paired bootstrap over the lines of all seeds that both have.
"""

import argparse
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from paper_score import paper_score

from nmt.checkpoint import stored_config
from nmt.config import from_dict, override
from nmt.evaluation import Scoring, compare, score
from nmt.files import make_dir, read_lines, write_text

TEST = "test2016"
COLUMNS = ("", "seeds", "steps", "dev loss", "BLEU, cased", "p", "chrF2", "paper scale")


@dataclass(frozen=True)
class Plan:
    """Trials as a file describes them."""

    pairs: int
    options: list[str]
    trials: dict[str, list[str]]
    budget: str = ""
    average: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Plan":
        """The plan in a TOML file."""
        return cls(**tomllib.loads(path.read_text(encoding="utf-8")))

    def options_of(self, name: str) -> list[str]:
        """What a trial is trained with."""
        return ["alignment.head=false", *self.options, *self.trials[name]]


@dataclass(frozen=True)
class Trial:
    """One training and its translation of the test set."""

    folder: Path
    name: str

    @property
    def output(self) -> Path:
        """The translation."""
        return self.folder.with_name(f"{self.folder.name}.hyp.de")

    @property
    def lines(self) -> list[str]:
        """The translation, line by line."""
        return list(read_lines(self.output))

    @property
    def manifest(self) -> dict[str, Any]:
        """What is said of the model."""
        found: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        return found

    def check(self, plan: Plan) -> None:
        """End the program if the model was trained with other options than those of the plan."""
        stored = asdict(stored_config(self.folder))
        if from_dict(override(stored, plan.options_of(self.name))) != from_dict(stored):
            raise SystemExit(
                f"error: {self.folder}: was trained with other options; remove it, or give another --out"
            )

    def run(self, data: Path, text: Path, plan: Plan, seed: int) -> None:
        """Train, unless that is done, and translate."""
        if self.output.exists():
            return
        paths = {"src": text / "train.en", "tgt": text / "train.de"}
        paths |= {"dev-src": data / "val.en", "dev-tgt": data / "val.de", "out": self.folder}
        arguments = [str(part) for name, path in paths.items() for part in (f"--{name}", path)]
        for option in plan.options_of(self.name):
            arguments += ["--set", option]
        if plan.budget:
            arguments += ["--budget", plan.budget]
        nmt("train", *arguments, "--seed", str(seed), "--threads", "1")
        model = self.folder
        if number := plan.average.get(self.name):
            model = self.folder.with_name(f"{self.folder.name}.mean")
            if not model.exists():
                nmt("average", str(self.folder), "--last", str(number), "-o", str(model))
        source = ("-i", str(data / f"{TEST}.en"), "--threads", "1")
        nmt("translate", "-q", "-m", str(model), *source, "-o", str(self.output))
        print(
            f"{self.folder}: {score(self.lines, [list(read_lines(data / f'{TEST}.de'))])[0].value:.2f} BLEU"
        )


def nmt(*arguments: str) -> None:
    """Run a command of ours; ends the program if it fails."""
    done = subprocess.run([sys.executable, "-m", "nmt.cli", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: nmt {' '.join(arguments)}: status {done.returncode}\n{done.stderr}")


def spread(values: list[float], digits: int = 2) -> str:
    """Their mean, and their deviation if there are several."""
    deviation = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):,.{digits}f}{deviation}"


def p_value(of_other: dict[int, list[str]], of_row: dict[int, list[str]], reference: list[str]) -> str:
    """How often chance alone would make the difference in BLEU, from the translations by seed."""
    seeds = [seed for seed in of_other if seed in of_row]
    if of_other is of_row or not seeds:
        return ""
    other, row = (list(chain(*(lines[seed] for seed in seeds))) for lines in (of_other, of_row))
    return f"{compare(other, row, [reference * len(seeds)])[0].p_value:.3f}"


def table(trials: dict[str, dict[int, Trial]], reference: list[str], *, against: str) -> Iterator[str]:
    """The lines of a Markdown table, of trials by name and seed, of which some can be missing.

    All are compared with the trial `against`.
    """
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"|{'---|' * len(COLUMNS)}"
    translations = {
        name: {seed: trial.lines for seed, trial in by_seed.items()} for name, by_seed in trials.items()
    }
    signatures = set[str]()
    for name, by_seed in translations.items():
        if not by_seed:
            continue
        manifests = [trial.manifest for trial in trials[name].values()]
        cells = [f"`{name}`", str(len(by_seed))]
        cells.append(spread([each["training"]["step"] for each in manifests], 0))
        cells.append(spread([each["dev"]["loss"] for each in manifests], 3))
        scores = [score(lines, [reference], Scoring(metrics=("bleu", "chrf"))) for lines in by_seed.values()]
        papers = [paper_score(lines, [reference], language="de") for lines in by_seed.values()]
        cells += [
            spread([bleu.value for bleu, _ in scores]),
            p_value(translations[against], by_seed, reference),
        ]
        cells += [spread([chrf.value for _, chrf in scores]), spread([each.value for each in papers])]
        signatures |= {each.signature for each in chain(papers, *scores)}
        yield f"| {' | '.join(cells)} |"
    yield from ("", *(f"- `{each}`" for each in sorted(signatures)))


def arguments() -> argparse.Namespace:
    """What the user wants."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("plan", type=Path, help="a TOML file with trials")
    parser.add_argument("--data", type=Path, required=True, help="folder with train, val and test2016")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is made")
    parser.add_argument("--seeds", default="1,2,3", help="(default: %(default)s)")
    parser.add_argument("--only", metavar="NAME,...", help="trials to run (default: all)")
    parser.add_argument(
        "--at-once", type=int, default=2, help="trainings side by side (default: %(default)s)"
    )
    parser.add_argument("--against", metavar="NAME", help="trial to compare with (default: the first)")
    parser.add_argument("--show", action="store_true", help="train nothing")
    return parser.parse_args()


def main() -> None:
    """Train what is missing, and print the table."""
    given = arguments()
    plan, data = Plan.read(given.plan), given.data
    seeds = [int(seed) for seed in given.seeds.split(",")]
    names = given.only.split(",") if given.only else list(plan.trials)
    against = given.against or next(iter(plan.trials))
    if unknown := [name for name in (*names, against) if name not in plan.trials]:
        raise SystemExit(f"error: {', '.join(unknown)}: no such trial; expected of {', '.join(plan.trials)}")
    trials = {
        name: {seed: Trial(given.out / f"{name}-{seed}", name) for seed in seeds} for name in plan.trials
    }
    if not given.show:
        make_dir(given.out)
        for lang in ("en", "de"):
            lines = list(read_lines(data / f"train.{lang}"))[: plan.pairs]
            write_text(given.out / f"train.{lang}", "".join(f"{line}\n" for line in lines))
        with ThreadPoolExecutor(given.at_once) as pool:
            jobs = [
                pool.submit(trials[name][seed].run, data, given.out, plan, seed)
                for seed in seeds
                for name in names
            ]
            try:
                for job in jobs:
                    job.result()
            finally:
                pool.shutdown(cancel_futures=True)
    done = {
        name: {seed: trial for seed, trial in by_seed.items() if trial.output.exists()}
        for name, by_seed in trials.items()
    }
    for trial in chain.from_iterable(by_seed.values() for by_seed in done.values()):
        trial.check(plan)
    reference = list(read_lines(data / f"{TEST}.de"))
    print("\n".join(table(done, reference, against=against)))


if __name__ == "__main__":
    main()
