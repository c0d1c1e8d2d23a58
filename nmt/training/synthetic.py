"""Pairs made by a model out of text in one language, window by window, so that a killed job goes on."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from nmt.checkpoint import WEIGHTS, Direction
from nmt.config.languages import UNKNOWN
from nmt.corpus.context import LineInContext, in_context
from nmt.corpus.words import is_blank
from nmt.decoding import Translator
from nmt.decoding.windows import full_windows
from nmt.errors import DataError, OutputError
from nmt.files import NOT_UTF8, append_at, read_lines, remove_file, rename, sha256_file, write_json
from nmt.training.lock import locked

STATE = "made.json"
BROKEN = "\ufffd"  # stands for bytes that were drawn and are no character
INDIFFERENT = ("window", "batch_rows", "batch_tokens")
"""Options of decoding that change no translation."""
OnProgress = Callable[[int], None]


@dataclass(frozen=True)
class Made:
    """How far a text has come, and what became of it."""

    num_lines: int = 0  # of the text that are done
    num_pairs: int = 0
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> lines
    num_bytes: tuple[int, int] = (0, 0)  # of both files
    is_finished: bool = False


@dataclass(frozen=True)
class PairFiles:
    """The folder of a job, with the file of the text and that of its translations, line by line."""

    folder: Path
    text: Path
    translation: Path

    @classmethod
    def of(cls, folder: Path, direction: Direction, *, is_reverse: bool) -> "PairFiles":
        """Files with the endings of both languages; of unknown ones `src` is what shall be translated later.

        That is the translation if the model `is_reverse`, and else the text.
        """
        names = direction.src_lang, direction.tgt_lang
        if names[0] == names[1] or names == UNKNOWN:
            names = (UNKNOWN[1], UNKNOWN[0]) if is_reverse else UNKNOWN
        return cls(folder, *(folder / f"pairs.{name}" for name in names))

    @property
    def both(self) -> tuple[Path, Path]:
        """The text, then its translations."""
        return self.text, self.translation


def make_pairs(
    translator: Translator,
    texts: Sequence[Path],
    files: PairFiles,
    *,
    tag: str = "",
    restart: bool = False,
    on_progress: OnProgress | None = None,
) -> Made:
    """Translate all lines of some files, or go on where an earlier call ended, in whatever way.

    Lines that are blank, no UTF-8 or too long to train on are skipped, so are translations that are empty or
    have bytes that are no character, as some that are drawn; with context blank lines stay on both sides, to
    keep documents apart. Before each translation goes the `tag`. What is done is on disk after each window of
    lines; no more of them are in memory. Files appear under their names when they are whole. Raises
    OutputError if others are there, or were begun in another way, unless it is a `restart`; DataError if they
    or the text are damaged.
    """
    made_of = _made_of(translator, texts, tag)
    with locked(files.folder):
        made = _begun(files, made_of, texts, restart=restart)
        if not made.is_finished:
            again = "the same command, without --restart," if restart else "the same command"
            made = _go_on(translator, texts, files, made, made_of, again, tag=tag, on_progress=on_progress)
        for path in files.both:
            if _part(path).exists():
                rename(_part(path), path)
    return made


def _go_on(
    translator: Translator,
    texts: Sequence[Path],
    files: PairFiles,
    made: Made,
    made_of: Mapping[str, Any],
    again: str,
    *,
    tag: str,
    on_progress: OnProgress | None,
) -> Made:
    """Translate what is left; an error says how much is kept, and what goes on `again`."""
    size = translator.context_size
    all_lines = chain.from_iterable(in_context(read_lines(path, on_invalid="skip"), size) for path in texts)
    lines = islice(all_lines, made.num_lines, None)
    try:
        for window in full_windows(lines, translator.config.window):
            skipped = Counter(made.skipped)
            pairs = list(_pairs(translator, window, skipped, on_progress))
            longer = _appended(files, made, pairs, tag)
            longer = replace(longer, num_lines=made.num_lines + len(window), skipped=dict(skipped))
            made = _noted(files, longer, made_of)
        # with nothing more, so that there are files, however little was in the text
        return _noted(files, replace(_appended(files, made, [], tag), is_finished=True), made_of)
    except BaseException as error:
        if made.num_lines:
            error.add_note(f"{made.num_lines:,} lines are done and kept; {again} goes on")
        raise


def _pairs(
    translator: Translator,
    lines: Sequence[LineInContext],
    skipped: Counter[str],
    on_progress: OnProgress | None,
) -> Iterator[tuple[str, str]]:
    """Lines with their translations, each as often as it has any; counts what is skipped."""
    readable = ["" if line.text == NOT_UTF8 else line.text for line in lines]
    pieces = translator.model.src_tokenizer.encode_batch(readable)
    reasons = [
        "not UTF-8"
        if line.text == NOT_UTF8
        else "blank"
        if is_blank(line.text) or not ids
        else "too long"
        if len(ids) > translator.longest
        else ""
        for line, ids in zip(lines, pieces, strict=True)
    ]
    skipped.update(reason for reason in reasons if reason)
    usable = [line for line, reason in zip(lines, reasons, strict=True) if not reason]
    translations = iter(
        translator.translate(
            [line.text for line in usable], [line.context for line in usable], on_progress=on_progress
        )
    )
    for reason in reasons:
        if reason == "blank" and translator.context_size:
            yield "", ""
        if reason:
            continue
        translation = next(translations)
        texts = [one.text for one in translation.hypotheses if not is_blank(one.text)]
        whole = [text for text in texts if BROKEN not in text]
        if not whole:
            skipped.update(["broken translation" if texts else "no translation"])
        yield from ((translation.source, text) for text in whole)


def _appended(files: PairFiles, made: Made, pairs: Sequence[tuple[str, str]], tag: str) -> Made:
    """Write pairs behind those that are noted, over whatever else is there."""
    sides = [text for text, _ in pairs], [f"{tag} {one}" if tag and one else one for _, one in pairs]
    added = []
    for path, lines, size in zip(files.both, sides, made.num_bytes, strict=True):
        data = "".join(f"{line}\n" for line in lines).encode()
        append_at(_part(path), size, data)
        added.append(len(data))
    num_bytes = made.num_bytes[0] + added[0], made.num_bytes[1] + added[1]
    num_pairs = made.num_pairs + sum(1 for _, translation in pairs if translation)
    return replace(made, num_bytes=num_bytes, num_pairs=num_pairs)


def _noted(files: PairFiles, made: Made, made_of: Mapping[str, Any]) -> Made:
    write_json(files.folder / STATE, {"made_of": made_of, "made": asdict(made)})
    return made


def _made_of(translator: Translator, texts: Sequence[Path], tag: str) -> dict[str, Any]:
    """All that the pairs depend on."""
    decoding = asdict(translator.config)
    return {
        "model": [model.manifest["files"][WEIGHTS]["sha256"] for model in translator.models],
        "text": _hash(texts),
        "direction": str(translator.direction),
        "tag": tag,
        **{f"decoding.{key}": value for key, value in decoding.items() if key not in INDIFFERENT},
    }


def _hash(texts: Sequence[Path]) -> str:
    """SHA-256 of the lines of all files, however they are compressed; DataError if one is damaged."""
    digest = hashlib.sha256()
    for path in texts:
        for line in read_lines(path, on_invalid="skip"):
            digest.update(f"{line}\n".encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _hash_of_files(texts: Sequence[Path]) -> str:
    """What jobs of older versions name the text by."""
    return hashlib.sha256("\n".join(map(sha256_file, texts)).encode()).hexdigest()


def _begun(files: PairFiles, made_of: Mapping[str, Any], texts: Sequence[Path], *, restart: bool) -> Made:
    """How far an earlier call has come; nothing if there was none, or if it is to be forgotten."""
    state_path, all_paths = files.folder / STATE, (*files.both, *map(_part, files.both))
    if restart:
        for path in (state_path, *all_paths):
            remove_file(path)
        return Made()
    if not state_path.exists():
        if found := [path for path in files.both if path.exists()]:
            raise OutputError(f"{found[0]}: is there already; give another folder, or --restart")
        return Made()
    try:
        state = json.loads(state_path.read_bytes())
        before, made = state["made_of"], Made(**state["made"])
        of_text, of_translation = made.num_bytes  # which JSON has as a list
        made = replace(made, num_bytes=(of_text, of_translation))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{state_path}: damaged: {error}; --restart begins anew") from error
    now = json.loads(json.dumps(made_of))
    if before.get("text") != now["text"] and before.get("text") == _hash_of_files(texts):
        before["text"] = now["text"]
    if differing := [key for key in now if before.get(key) != now[key]]:
        raise OutputError(
            f"{files.folder}: was made, or begun, in another way (differing: {', '.join(differing)}); "
            "give another folder, or --restart"
        )
    if made.num_lines:
        _check_files(files, made)
    return made


def _check_files(files: PairFiles, made: Made) -> None:
    """Raise DataError if a file is missing or has not what is noted."""
    for path, size in zip(files.both, made.num_bytes, strict=True):
        place = path if path.exists() else _part(path)
        if not place.exists():
            raise DataError(f"{path}: is missing; restore it, or --restart")
        found = place.stat().st_size
        if found < size or (found > size and made.is_finished):
            raise DataError(f"{place}: has {found:,} bytes, {size:,} were written; restore it, or --restart")


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")
