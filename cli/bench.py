"""`nmt bench`: what this machine can do, and how far the program is from it."""

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.table import Table

from nmt.config import presets
from nmt.config.toml import from_dict, override

from .console import is_terminal, out, say, write_line
from .options import DeviceOption, JsonOption, QuietOption, SetOption, ThreadsOption

if TYPE_CHECKING:
    from nmt.training.bench import Bench, Machine, TrainingRate

Row = tuple[str, str]
NO_ROW: Row = ("", "")


def bench(
    preset: Annotated[presets.SizeName, typer.Option(help="Size of the model to measure with.")] = "small",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto: all that the device has.")
    ] = "auto",
    with_profile: Annotated[
        bool, typer.Option("--profile", metavar="", help="Also show where the time of a training step goes.")
    ] = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = 0,
    set_options: SetOption = None,
    quiet: QuietOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure what this machine can do, and how much of it training and translating make use of.

    Weights and sentences are made up. The share of the peak is the time that the matrix products of a step
    would take at the rate of the fastest product found, by the time that the step takes.

    Example:
        nmt bench --preset base --profile
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or torch's profiler talks on stderr
    from nmt.training.bench import bench as measure

    num_pairs = presets.typical_pairs(preset)
    asked: presets.Options = {
        "tokenizer": {"vocab_size": presets.vocab_size(num_pairs)},
        "training": {"precision": precision, "device": device, "threads": threads},
    }
    options = override(presets.merge(presets.preset(preset, num_pairs=num_pairs), asked), set_options or [])

    def on_progress(doing: str) -> None:
        if not quiet:
            say(f"measuring: {doing}", style="dim")

    found = measure(from_dict(options), with_profile=with_profile, on_progress=on_progress)
    if as_json:
        write_line(json.dumps(asdict(found)))
    else:
        _show(_rows(found))


def _rows(found: "Bench") -> list[Row]:
    """What was measured, in groups with an empty row between them."""
    flops = found.training[0].flops_per_token
    parts = {name: value for name, value in asdict(flops).items() if value}
    shares = ", ".join(f"{name} {value / flops.total:.0%}" for name, value in parts.items())
    rows = [
        *_machine_rows(found.machine),
        NO_ROW,
        ("model", f"{found.num_parameters:,} parameters, {found.vocab_size:,} pieces"),
        ("batch", f"{found.batch_tokens:,} tokens"),
        ("work", f"{flops.total / 1e6:,.0f} MFLOP per target token: {shares}"),
        NO_ROW,
    ]
    for rate in found.training:
        rows.append((f"training, {rate.precision}", _pace(rate, found.machine)))
    for each in found.translation:
        name = "greedy" if each.beam_size == 1 else f"beam {each.beam_size}"
        rows.append(
            (
                f"translating, {name}",
                f"{each.sentences_per_second:,.1f} sentences/s, {each.num_sentences} at once",
            )
        )
    if found.profile:
        rows.append(NO_ROW)
    for part in found.profile:
        rows.append((f"step, {part.part}", f"{part.share:.1%}, {1000 * part.seconds:,.1f} ms"))
    return rows


def _machine_rows(machine: "Machine") -> list[Row]:
    rows = [("device", machine.device)]
    for rate in machine.products:
        shape = "×".join(map(str, rate.shape))
        rows.append((f"products, {rate.precision}", f"{rate.gflops:,.0f} GFLOP/s ({shape})"))
    if machine.nominal_tflops:
        rows.append(("products, nominal", f"{1000 * machine.nominal_tflops:,.0f} GFLOP/s in bfloat16"))
    rows.append(("copying", f"{machine.copy_gbytes:,.1f} GB/s read and written"))
    return rows


def _pace(rate: "TrainingRate", machine: "Machine") -> str:
    nominal = ""
    if machine.nominal_tflops and rate.precision == "bfloat16":
        nominal = f", {rate.gflops / (1000 * machine.nominal_tflops):.0%} of the nominal one"
    return (
        f"{rate.tokens_per_second:,.0f} target tokens/s, {rate.gflops:,.0f} GFLOP/s: "
        f"{rate.share_of_peak:.0%} of the peak{nominal}"
    )


def _show(rows: list[Row]) -> None:
    if not is_terminal():
        for name, value in rows:
            if name:
                write_line(f"{name}: {value}")
        return
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*row)
    out.print(table)
