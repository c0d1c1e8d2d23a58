"""`nmt export`: a model in the format of another tool."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .lines import refuse_model_folder
from .options import ModelOption

Tool = Literal["ctranslate2"]
Quantization = Literal[
    "float32", "bfloat16", "float16", "int16", "int8", "int8_float32", "int8_bfloat16", "int8_float16"
]


def export(
    to: Annotated[Tool, typer.Option("--to", help="The tool to write for.", show_default=False)],
    model: ModelOption,
    output_dir: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="The folder to make.", show_default=False),
    ],
    quantization: Annotated[
        Quantization, typer.Option("--quantization", help="How to store the weights.")
    ] = "float32",
) -> None:
    """Write a model for another tool: CTranslate2, which translates without torch.

    The README.md in the new folder tells how to use it.

    Example:
        nmt export --to ctranslate2 -m demo-model -o demo-ctranslate2
    """
    from nmt.checkpoint import load_model
    from nmt.interop.ctranslate2 import export_ctranslate2

    assert to == "ctranslate2"
    refuse_model_folder(output_dir)
    export_ctranslate2(load_model(model, device="cpu"), output_dir, quantization=quantization)
