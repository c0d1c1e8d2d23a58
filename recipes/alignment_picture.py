"""Draws alignment tables of a model's translations as an SVG picture, such as the one in the README.

python recipes/alignment_picture.py MODEL OUT.svg "Ein Satz." "Noch einer."
"""

import argparse
import io
from pathlib import Path

from rich.console import Console

from nmt.alignment.drawing.table import alignment_table, legend
from nmt.checkpoint import load_model
from nmt.decoding import Translator

WIDTH = 92


def main() -> None:
    """Translate, align and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("sentences", nargs="+")
    given = parser.parse_args()
    model = load_model(given.model, device="cpu")
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    for translation in Translator(model, model.config.decoding, align=True).translate(given.sentences):
        assert translation.alignment is not None, "the translator was asked to align"
        console.print(alignment_table(translation.alignment.words(), width=WIDTH, colour=True), "")
    console.print(legend(width=WIDTH, colour=True))
    console.save_svg(str(given.picture), title="nmt translate --align")


if __name__ == "__main__":
    main()
