"""Languages of training files, told by their endings."""

import re
from collections.abc import Iterable
from pathlib import Path

COMPRESSED = (".gz", ".xz", ".zst")
UNKNOWN = ("src", "tgt")
"""What languages are called whose files do not tell."""

CODE = re.compile(r"[a-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
"""A language as in `de`, `deu`, `pt_BR` or `zh-Hans`."""


def file_languages(src: Iterable[str], tgt: Iterable[str]) -> tuple[str, str]:
    """Both languages (of `train.de`, `train.en.gz`), or `UNKNOWN` unless the endings are two codes."""
    found = _ending(src), _ending(tgt)
    tells = found[0] != found[1] and all(map(CODE.fullmatch, found))
    return found if tells else UNKNOWN


def _ending(paths: Iterable[str]) -> str:
    """The ending that all of these files have."""
    endings = {ending(path) for path in paths}
    return endings.pop() if len(endings) == 1 else ""


def ending(path: str) -> str:
    """The ending of a file without that of its compression, without the dot."""
    given = Path(path)
    return (given.with_suffix("") if given.suffix in COMPRESSED else given).suffix.removeprefix(".")
