"""What a command prints on a terminal, in its colours, as an SVG picture such as those in the README.

python recipes/terminal_picture.py OUT.svg nmt show test.de test.en test.links
"""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 96


def main() -> None:
    """Run the command, and draw what it printed."""
    picture, *command = sys.argv[1:]
    as_a_terminal = os.environ | {"FORCE_COLOR": "1", "COLORTERM": "truecolor", "COLUMNS": f"{WIDTH}"}
    printed = subprocess.run(command, env=as_a_terminal, stdout=subprocess.PIPE, check=True).stdout.decode()
    console = Console(
        record=True,
        width=WIDTH,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    console.print(Text.from_ansi(printed))
    console.save_svg(picture, title=shlex.join(Path(word).name or word for word in command))


if __name__ == "__main__":
    main()
