"""One engine in a process of its own: loads a model, warms up, translates, and says as JSON what that took.

The job comes as JSON on stdin. Whatever the engine, what is timed goes from lines of text to lines of text,
tokenisation included. The engines import nothing of each other's, so that memory is that of one alone.
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Job = dict[str, Any]


class Nmt:
    """This repository: a Translator with some options."""

    def __init__(self, job: Job) -> None:
        import torch

        self.version = f"torch {torch.__version__}"
        self.imported_bytes = peak_bytes()
        from dataclasses import asdict

        from nmt.checkpoint import load_model
        from nmt.config import from_dict, override
        from nmt.decoding import Translator

        model = load_model(Path(job["model"]), device="cpu", threads=job["threads"])
        options = [
            f"decoding.{key}={job[key]}" for key in ("beam_size", "length_penalty", "max_length_ratio")
        ]
        config = from_dict(override(asdict(model.config), [*options, *job["options"]]))
        self.translator = Translator(model, config.decoding, processes=True)

    def translate(self, lines: list[str]) -> tuple[list[str], int]:
        """Translations of lines, and of how many pieces they are."""
        done = list(self.translator.stream(lines))
        return [each.text for each in done], sum(len(each.hypotheses[0].tokens) for each in done)


class CTranslate2:
    """CTranslate2, with a folder that `nmt export` made."""

    def __init__(self, job: Job) -> None:
        import ctranslate2
        import sentencepiece

        self.version = f"ctranslate2 {ctranslate2.__version__}"
        self.imported_bytes = peak_bytes()
        folder = Path(job["model"])
        names = ("tokenizer.model", "tokenizer.src.model", "tokenizer.tgt.model")
        paths = [path for path in (folder / name for name in names) if path.exists()]
        self.source, self.target = (
            sentencepiece.SentencePieceProcessor(model_file=str(path)) for path in (paths[0], paths[-1])
        )
        self.translator = ctranslate2.Translator(
            str(folder),
            compute_type=job["compute_type"],
            inter_threads=job["inter_threads"],
            intra_threads=job["intra_threads"],
            max_queued_batches=-1,
        )
        self.job = job

    def translate(self, lines: list[str]) -> tuple[list[str], int]:
        """Translations of lines, and of how many pieces they are.

        As `translate_batch` with `max_batch_size` does it, but each batch with its own limit of length.
        """
        job = self.job
        sources = self.source.encode(lines, out_type=str, num_threads=job["threads"])
        started: list[tuple[int, Any]] = []
        for batch in batches([len(source) for source in sources], job["batch_size"]):
            longest = len(sources[batch[0]])
            results = self.translator.translate_batch(
                [sources[i] for i in batch],
                beam_size=job["beam_size"],
                length_penalty=job["length_penalty"],
                min_decoding_length=0,
                max_input_length=0,
                max_decoding_length=int(job["max_length_ratio"] * longest) + job["extra_length"],
                asynchronous=True,
            )
            started += zip(batch, results, strict=True)
        pieces = {i: result.result().hypotheses[0] for i, result in started}
        rows = [pieces[i] for i in range(len(lines))]
        return self.target.decode(rows), sum(map(len, rows))


ENGINES: dict[str, type[Nmt] | type[CTranslate2]] = {"nmt": Nmt, "ctranslate2": CTranslate2}


def batches(lengths: list[int], batch_size: int) -> Iterator[list[int]]:
    """Numbers of sentences by falling length, so many at a time."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def peak_bytes() -> int:
    """The most memory that this process has had so far."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage also counts what its parent had when it was started
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    """Do the job."""
    job: Job = json.load(sys.stdin)
    start = time.perf_counter()
    engine = ENGINES[job["engine"]](job)
    load_seconds = time.perf_counter() - start
    lines: list[str] = job["lines"]
    for part in parts(lines[: job["warm_up"]], job["mode"]):
        engine.translate(part)
    texts: list[str] = []
    seconds: list[float] = []
    num_tokens = 0
    for part in parts(lines, job["mode"]):
        start = time.perf_counter()
        translated, num_pieces = engine.translate(part)
        seconds.append(time.perf_counter() - start)
        texts += translated
        num_tokens += num_pieces
    said = {
        "version": engine.version,
        "load_seconds": load_seconds,
        "seconds": seconds,
        "num_tokens": num_tokens,
        "imported_bytes": engine.imported_bytes,
        "peak_bytes": peak_bytes(),
        "texts": texts,
    }
    print(json.dumps(said))


def parts(lines: list[str], mode: str) -> list[list[str]]:
    """What is translated in one call: everything for throughput, line by line for latency."""
    return [[line] for line in lines] if mode == "latency" else [lines]


if __name__ == "__main__":
    main()
