"""The lexicon as data: nouns, places, names, verbs, modals and adjectives read from de-en/lexicon.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLES: dict[str, Any] = tomllib.loads((Path(__file__).parent / "de-en" / "lexicon.toml").read_text("utf-8"))

VOWELS = "aeiou"
GENDERS = {"der": "m", "die": "f", "das": "n", "pl": "p"}


@dataclass(frozen=True)
class Noun:
    """A noun with its forms on both sides; `plural` is empty for a mass noun."""

    gender: str
    singular: str
    weak_ending: str
    plural: str
    english: str
    english_plural: str
    tags: frozenset[str]

    @property
    def always_plural(self) -> bool:
        """Whether there is no singular (Eltern)."""
        return self.gender == "p"

    @property
    def is_mass(self) -> bool:
        """Whether the noun can not be counted."""
        return not self.plural


@dataclass(frozen=True)
class Place:
    """A noun of place with its German and English prepositions for where and where to."""

    noun: Noun
    where: tuple[str, str]
    where_to: tuple[str, str]


@dataclass(frozen=True)
class ProperNoun:
    """A name, or anything else that stands without an article; `article` for the few that have one."""

    german: str
    english: str
    gender: str = "n"
    article: str = ""


@dataclass(frozen=True)
class Preposition:
    """A preposition that a verb asks for, the case it governs and what its noun may be."""

    german: str
    case: str
    english: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Verb:
    """A verb in one of its senses: forms, English words, who does it and what it asks for."""

    prefix: str
    stem_infinitive: str
    reflexive: bool
    third_person: str
    participle: str
    auxiliary: str
    english: str
    english_past: str
    english_participle: str
    particles: tuple[str, ...]
    subject: tuple[str, ...] = ()
    dative: tuple[str, ...] = ()
    recipient: tuple[str, ...] = ()
    accusative: tuple[str, ...] = ()
    named: str = ""
    prepositions: tuple[Preposition, ...] = ()
    location: tuple[str, ...] = ()
    direction: tuple[str, ...] = ()
    at: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def infinitive(self) -> str:
        """The infinitive as one word (anrufen)."""
        return self.prefix + self.stem_infinitive

    @property
    def lemma(self) -> str:
        """What tells this sense from every other one."""
        return f"{self.infinitive}/{self.english}"

    @property
    def weight(self) -> int:
        """How often it comes up, compared with the others."""
        return next((int(option[1:]) for option in self.options if option in ("x2", "x3", "x4")), 1)


@dataclass(frozen=True)
class Modal:
    """A modal verb: its four present (or past) forms and its English."""

    forms: tuple[str, ...]
    english: tuple[str, ...]
    is_past: bool


@dataclass(frozen=True)
class Adjective:
    """An adjective with its comparative; `fits` holds the kinds and tags of nouns it goes with."""

    german: str
    stem: str
    comparative: str
    english: str
    english_comparative: str
    fits: frozenset[str]


def pluralise(word: str) -> str:
    """The regular English plural."""
    if word.endswith("y") and word[-2] not in VOWELS:
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh")) else "s")


def parse_noun(line: str, tags: frozenset[str]) -> Noun:
    """A noun from one line of the table."""
    line, _, extra = line.partition(" + ")
    german, english = (part.split(" / ") for part in line.split(" = "))
    article, word = german[0].split()
    singular, _, weak_ending = word.partition("~")
    plural = german[1] if len(german) > 1 else singular if article == "pl" else ""
    english_plural = (
        english[-1] if len(english) > 1 or article == "pl" or not plural else pluralise(english[0])
    )
    return Noun(
        GENDERS[article],
        singular,
        weak_ending,
        plural,
        english[0],
        english_plural,
        tags | frozenset(extra.split()),
    )


def parse_nouns(table: str) -> list[Noun]:
    """All nouns of a table with headings."""
    nouns, tags = [], frozenset[str]()
    for line in filter(None, table.splitlines()):
        if line.startswith("["):
            tags = frozenset(line.strip("[]").replace(":", "").split())
        else:
            nouns.append(parse_noun(line, tags))
    return nouns


def parse_places(table: str) -> list[Place]:
    """All places of a table with headings."""
    places, tags = [], frozenset[str]()
    for line in filter(None, table.splitlines()):
        if line.startswith("["):
            tags = frozenset([line.strip("[]"), "place"])
            continue
        noun, where, where_to = line.split(" | ")
        (german, english), (german_to, english_to) = where.split(), where_to.split()
        places.append(Place(parse_noun(noun, tags), (german, english), (german_to, english_to)))
    return places


def parse_proper_nouns(text: str, separator: str = ",") -> list[ProperNoun]:
    """`German = English` entries, the German with its article where it has one."""
    entries = []
    for entry in filter(None, (part.strip() for part in text.split(separator))):
        german, english = entry.split(" = ")
        article, _, word = german.rpartition(" ")
        gender = {"": "n", "die": "f", "der": "f", "des": "m"}[article]
        entries.append(ProperNoun(word, english.replace("_", " "), gender, article))
    return entries


def parse_frame(frame: str) -> dict[str, object]:
    """The complements a verb asks for, as fields of Verb."""
    fields = {"acc": "accusative", "dat": "dative", "to": "recipient", "loc": "location", "dir": "direction"}
    values: dict[str, object] = {}
    prepositions: list[Preposition] = []
    for part in frame.split():
        head, tags = part.split(":")
        if head == "name":
            values["named"] = tags
        elif head in fields:
            values[fields[head]] = tuple(tags.split(","))
        else:
            words, _, government = head.partition("+")
            case, _, english = government.partition("=")
            for word in words.split("/"):
                prepositions.append(
                    Preposition(word, case, english or TABLES["spots"][word], tuple(tags.split(",")))
                )
    return values | {"prepositions": tuple(prepositions)}


def parse_verb(line: str) -> Verb:
    """A verb from one line of the table."""
    infinitive, third, participle, english, subject, frame, options = (
        part.strip() for part in line.split("|")
    )
    prefix, _, stem = infinitive.removeprefix("sich ").rpartition("·")
    forms, *particles = english.split()
    base, past, english_participle = forms.split("/")
    words = options.split()
    at = tuple(tag for word in words if word.startswith("at:") for tag in word.removeprefix("at:").split(","))
    return Verb(
        prefix=prefix,
        stem_infinitive=stem,
        reflexive=infinitive.startswith("sich "),
        third_person=third,
        participle=participle.removeprefix("*"),
        auxiliary="sein" if participle.startswith("*") else "haben",
        english=base,
        english_past=past,
        english_participle=english_participle,
        particles=tuple(particles),
        subject=tuple(subject.split(",")),
        at=at,
        options=tuple(word for word in words if not word.startswith("at:")),
        **parse_frame(frame),  # type: ignore[arg-type]
    )


def parse_modal(line: str) -> Modal:
    """A modal verb from one line of the table."""
    german, english = line.split(" = ")
    return Modal(tuple(german.removeprefix("*").split()), tuple(english.split()), german.startswith("*"))


def parse_adjective(line: str) -> Adjective:
    """An adjective from one line of the table."""
    german, comparative, english, english_comparative, fits = (part.strip() for part in line.split("|"))
    word, _, stem = german.partition(" / ")
    return Adjective(word, stem or word, comparative, english, english_comparative, frozenset(fits.split()))


def lines(table: str) -> list[str]:
    """The lines of a table that are not empty."""
    return [line for line in table.splitlines() if line]


NOUNS = parse_nouns(TABLES["nouns"])
PLACES = parse_places(TABLES["places"])
CITIES = parse_proper_nouns(TABLES["cities"], "\n")
COUNTRIES = parse_proper_nouns(TABLES["countries"], "\n")
MEN = [ProperNoun(name, name, "m") for name in TABLES["men"].split()]
WOMEN = [ProperNoun(name, name, "f") for name in TABLES["women"].split()]
SURNAMES = [ProperNoun(name, name, "m") for name in TABLES["surnames"].split()]
NAMED = {
    "languages": parse_proper_nouns(TABLES["languages"]),
    "games": parse_proper_nouns(TABLES["games"].replace("\n", " ")),
    "topics": parse_proper_nouns(TABLES["topics"]),
    "cities": CITIES,
    "countries": COUNTRIES,
}
CAUSES = parse_proper_nouns(TABLES["causes"])
OCCASIONS = parse_proper_nouns(TABLES["occasions"])
VERBS = [parse_verb(line) for line in lines(TABLES["verbs"])]
SPECIAL_VERBS = {verb.infinitive: verb for verb in map(parse_verb, lines(TABLES["special_verbs"]))}
MODALS = [parse_modal(line) for line in lines(TABLES["modals"])]
ADJECTIVES = [parse_adjective(line) for line in lines(TABLES["adjectives"])]

# Aligned words and phrases
FREQUENCIES: str = TABLES["frequencies"]
MANNERS: str = TABLES["manners"]
PAST_TIMES: str = TABLES["past_times"]
LONG_PAST_TIMES: str = TABLES["long_past_times"]
HABITUAL_TIMES: str = TABLES["habitual_times"]
LONG_HABITUAL_TIMES: str = TABLES["long_habitual_times"]
FUTURE_TIMES: str = TABLES["future_times"]
LONG_FUTURE_TIMES: str = TABLES["long_future_times"]
WEEKDAYS: str = TABLES["weekdays"]
HOURS: str = TABLES["hours"]
SHORT_UNITS: str = TABLES["short_units"]
COMING_UNITS: str = TABLES["coming_units"]
UNITS: str = TABLES["units"]
NUMBERS: str = TABLES["numbers"]
LARGE_NUMBERS: str = TABLES["large_numbers"]
