"""Configuration from and to TOML: strict, with a suggestion for what is misspelt."""

import ast
import math
import sys
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import tomli_w

from nmt.config import schema
from nmt.config.schema import SECTIONS, Config
from nmt.errors import ConfigError
from nmt.files import read_lines

SECTION_TYPES = get_type_hints(Config)
OPTION_TYPES = {name: get_type_hints(section) for name, section in SECTION_TYPES.items()}
TYPE_NAMES = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}


def load_toml(path: Path) -> dict[str, Any]:
    """Options of a TOML file by section, every key and type checked; those not given are not in it."""
    try:
        values = tomllib.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:  # the former is also of a number with too many digits
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from error
    return _checked(values, f"{path.name}: ")


def from_dict(values: Mapping[str, Any]) -> Config:
    """The configuration with these options by section, and the default of every other."""
    sections = {name: SECTION_TYPES[name](**options) for name, options in _checked(values, "").items()}
    return Config(**sections)


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a TOML file, with overrides such as `model.d_model=512` put over it."""
    return from_dict(override(load_toml(path), overrides))


def override(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """A copy of options by section with overrides such as `model.d_model=512` put over them."""
    result = {section: dict(options) for section, options in values.items()}
    for key, value in map(parse_override, overrides):
        section, option = key.split(".")
        result.setdefault(section, {})[option] = value
    return result


def parse_override(text: str) -> tuple[str, Any]:
    """Key and typed value of an override: `model.d_model=512` gives `("model.d_model", 512)`."""
    key, equals, value = text.partition("=")
    section, dot, option = key.strip().partition(".")
    if not equals or not dot:
        raise ConfigError(
            f"{text!r} does not set an option; expected section.key=value, as in model.d_model=512"
        )
    expected = _option_type(section, option, "")
    return f"{section}.{option}", _checked_value(
        _parse(value.strip(), expected), expected, f"{section}.{option}"
    )


def to_toml(config: Config) -> str:
    """The whole configuration as TOML, every option under the sentence that explains it."""
    lines: list[str] = []
    for section in SECTIONS:
        part = getattr(config, section)
        docs = option_docs()[type(part).__name__]
        lines += [f"# {docs['']}", f"[{section}]"]
        for option, value in asdict(part).items():
            lines += [
                *(f"# {line.strip()}" for line in docs[option].splitlines()),
                tomli_w.dumps({option: value}),
            ]
        lines.append("")
    return "\n".join(line.rstrip("\n") for line in lines)


@cache
def option_docs() -> dict[str, dict[str, str]]:
    """The sentence under every option of the schema by class and name, and the one of the class under ""."""
    tree = ast.parse(Path(schema.__file__).read_text(encoding="utf-8"))
    docs: dict[str, dict[str, str]] = {}
    for part in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        docs[part.name] = {"": ast.get_docstring(part) or ""}
        for option, below in zip(part.body, part.body[1:], strict=False):
            match option, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[part.name][name] = text
    return docs


def _checked(values: Mapping[str, Any], where: str) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for section, options in values.items():
        _option_types(section, where)
        if not isinstance(options, Mapping):
            raise ConfigError(f"{where}{section}: found {_shown(options)}, expected a section [{section}]")
        result[section] = {
            option: _checked_value(value, _option_type(section, option, where), f"{where}{section}.{option}")
            for option, value in options.items()
        }
    return result


def _option_types(section: str, where: str) -> dict[str, Any]:
    if section not in OPTION_TYPES:
        raise ConfigError(
            f"{where}unknown section '{section}'{_home(section) or _suggestion(section, SECTIONS)}"
        )
    return OPTION_TYPES[section]


def _option_type(section: str, option: str, where: str) -> Any:
    types = _option_types(section, where)
    if option not in types:
        hint = _home(option) or _suggestion(option, types)
        raise ConfigError(f"{where}{section}: unknown key '{option}'{hint}")
    return types[option]


def _home(option: str) -> str:
    homes = [name for name in SECTIONS if option in OPTION_TYPES[name]]
    return f"; it belongs to [{homes[0]}]" if homes else ""


def _suggestion(found: str, known: Iterable[str]) -> str:
    known = tuple(known)
    close = get_close_matches(found, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; expected one of {', '.join(known)}"


def _checked_value(value: Any, expected: Any, where: str) -> Any:
    """The value in the type of its option; an integer may stand for a number, nothing else is converted."""
    if get_origin(expected) is Union:  # as `int | Literal["auto"]`
        kind, words = get_args(expected)
        if value in get_args(words):
            return value
        try:
            return _checked_value(value, kind, where)
        except ConfigError as error:
            raise ConfigError(f"{error} or {' or '.join(map(repr, get_args(words)))}") from None
    if get_origin(expected) is Literal:
        if not isinstance(value, str) or value not in get_args(expected):
            raise ConfigError(f"{where}: found {_shown(value)}{_suggestion(str(value), get_args(expected))}")
        return value
    if get_origin(expected) is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where}: found {_shown(value)}, expected a list of {_things(expected)}")
        return tuple(_checked_value(item, get_args(expected)[0], where) for item in value)
    if expected is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not expected or (expected is float and not math.isfinite(value)):
        raise ConfigError(f"{where}: found {_shown(value)}, expected {TYPE_NAMES[expected]}")
    return value


def _things(expected: Any) -> str:
    """What a list of an option is a list of."""
    return "numbers" if get_args(expected)[0] is float else "texts"


def _parse(text: str, expected: Any) -> Any:
    """What a value typed on the command line means for an option of this type; the text itself if nothing."""
    if expected is str or get_origin(expected) is Literal:
        return text
    if get_origin(expected) is tuple and not text.startswith("["):
        return [_parse(item, get_args(expected)[0]) for item in text.split(",") if item]
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
