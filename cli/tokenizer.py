"""`nmt tokenizer`: train SentencePiece models on raw text, cut text into pieces and put it together again."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.config import TokenizerConfig
from nmt.errors import DataError
from nmt.files import write_bytes

from .console import is_terminal, say, write_line
from .info import info as show_info
from .lines import STDIN, check_output, lines_of, name_of
from .options import JsonOption, QuietOption, SeedOption

if TYPE_CHECKING:
    from nmt.tokenizer import Tokenizer

tokenizer_app = typer.Typer(
    no_args_is_help=True,
    help="Cut text into pieces: train, encode, decode, info.",
    epilog="\b\nExample:\n    nmt tokenizer train train.de train.en -o tokenizer.model",
)

Format = Literal["pieces", "ids"]

TokenizerOption = Annotated[
    Path,
    typer.Option(
        "--model", "-m", metavar="PATH", help="Tokenizer (.model) or model folder.", show_default=False
    ),
]
SideOption = Annotated[
    Literal["src", "tgt"], typer.Option("--side", help="Which tokenizer of a model folder that has two.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="Pieces as text, or their numbers.")]
FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILE", help="Text; none or - is stdin.", show_default=False),
]


@tokenizer_app.command()
def train(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Raw text, all of it for one vocabulary.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Where to write the tokenizer.", show_default=False
        ),
    ],
    vocab_size: Annotated[
        int, typer.Option("--vocab-size", metavar="N", min=1, help="Number of pieces.")
    ] = 8000,
    type_: Annotated[
        Literal["unigram", "bpe"],
        typer.Option("--type", help="Unigram language model or byte-pair encoding."),
    ] = "unigram",
    normalization: Annotated[
        Literal["identity", "nfkc"],
        typer.Option("--normalization", help="Keep every character, or fold compatibility forms."),
    ] = "identity",
    coverage: Annotated[
        float, typer.Option("--coverage", metavar="SHARE", help="Share of the characters that get pieces.")
    ] = 1.0,
    byte_fallback: Annotated[
        bool,
        typer.Option(
            "--byte-fallback/--no-byte-fallback", metavar="", help="Spell unknown characters in bytes."
        ),
    ] = True,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="LANG",
            help="A language that nmt train --bidirectional is to know.",
        ),
    ] = None,
    seed: SeedOption = 1,
    quiet: QuietOption = False,
) -> None:
    """Train a tokenizer on raw text, of one language or of several.

    Example:
        nmt tokenizer train train.de train.en -o tokenizer.model --vocab-size 8000
    """
    from nmt.tokenizer import train_tokenizer

    config = TokenizerConfig(
        type=type_, normalization=normalization, character_coverage=coverage, byte_fallback=byte_fallback
    )
    check_output(output, inputs=files)
    lines = chain.from_iterable(map(lines_of, files))
    tokenizer = train_tokenizer(lines, config, vocab_size=vocab_size, seed=seed, tags=tags or [])
    write_bytes(output, tokenizer.data)
    if not quiet:
        say(f"{output}: {tokenizer.vocab_size:,} pieces ({config.type})")


@tokenizer_app.command()
def encode(
    model: TokenizerOption,
    files: FilesArgument = None,
    form: FormatOption = "pieces",
    offsets: Annotated[
        bool, typer.Option("--offsets", metavar="", help="Append the characters of each, as in :0-3.")
    ] = False,
    side: SideOption = "src",
) -> None:
    """Cut each line into pieces, separated by spaces.

    Example:
        echo "Ein Hund läuft." | nmt tokenizer encode -m tokenizer.model
    """
    tokenizer = _load(model, side)

    def encoded(line: str) -> str:
        cut = tokenizer.encode_with_spans(line)
        names = cut.pieces if form == "pieces" else map(str, cut.ids)
        if not offsets:
            return " ".join(names)
        return " ".join(f"{name}:{start}-{end}" for name, (start, end) in zip(names, cut.spans, strict=True))

    _write_all(encoded(line) for _, line in _numbered_lines(files))


@tokenizer_app.command()
def decode(
    model: TokenizerOption,
    files: FilesArgument = None,
    form: FormatOption = "pieces",
    side: SideOption = "src",
) -> None:
    """Put the text together again from what `encode` wrote, without offsets.

    Example:
        nmt tokenizer decode -m tokenizer.model pieces.txt
    """
    tokenizer = _load(model, side)
    names = [tokenizer.piece(i) if form == "pieces" else str(i) for i in range(tokenizer.vocab_size)]
    id_of = {name: i for i, name in enumerate(names)}

    def decoded(place: str, line: str) -> str:
        try:
            ids = [id_of[name] for name in line.split(" ") if name]
        except KeyError as error:
            what = "a piece" if form == "pieces" else "the number of a piece"
            raise DataError(f"{place}: {error.args[0]!r} is not {what} of {model}") from None
        return tokenizer.decode(ids).replace("\n", " ")  # a line stays a line

    _write_all(decoded(place, line) for place, line in _numbered_lines(files))


@tokenizer_app.command()
def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Tokenizer (.model) or model folder.")],
    side: SideOption = "src",
    as_json: JsonOption = False,
) -> None:
    """Say what kind of tokenizer it is.

    Example:
        nmt tokenizer info tokenizer.model
    """
    show_info(_tokenizer_path(path, side), as_json=as_json)


def _load(path: Path, side: str) -> "Tokenizer":
    from nmt.tokenizer import Tokenizer

    return Tokenizer.load(_tokenizer_path(path, side))


def _tokenizer_path(path: Path, side: str) -> Path:
    """The file of a tokenizer, or the one in a model folder."""
    if not path.is_dir():
        return path
    from nmt.checkpoint import SRC_TOKENIZER, TGT_TOKENIZER, TOKENIZER, model_folder

    folder = model_folder(path)
    separate = folder / (SRC_TOKENIZER if side == "src" else TGT_TOKENIZER)
    return separate if separate.exists() else folder / TOKENIZER


def _numbered_lines(files: list[Path] | None) -> Iterator[tuple[str, str]]:
    """Every line with its place, as it arrives."""
    for path in files or [STDIN]:
        for number, line in enumerate(lines_of(path), start=1):
            yield f"{name_of(path)}:{number}", line


def _write_all(lines: Iterable[str]) -> None:
    for line in lines:
        write_line(line, flush=is_terminal())
