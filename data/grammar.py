"""Phrases of the sample grammar: German and English built side by side, with the links between their words.

A German word is a `Source`, known by identity; an English word is a `Target` that carries the German words it
translates. Whatever order the two sides are put in, the links go along.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from .lexicon import VOWELS, Adjective, Noun, ProperNoun

Case = Literal["nom", "acc", "dat", "gen"]


@dataclass(frozen=True, eq=False)
class Source:
    """A German word."""

    text: str


@dataclass(frozen=True, eq=False)
class Target:
    """An English word and the German words it translates."""

    text: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Phrase:
    """The two sides of a phrase, each in its own order."""

    de: tuple[Source, ...] = ()
    en: tuple[Target, ...] = ()

    def __add__(self, other: Phrase) -> Phrase:
        return Phrase(self.de + other.de, self.en + other.en)


def pair(german: str, english: str) -> Phrase:
    """A phrase in which every English word translates all the German words."""
    sources = tuple(Source(word) for word in german.split())
    return Phrase(sources, tuple(Target(word, sources) for word in english.split()))


def comma() -> Phrase:
    """The comma that only German writes."""
    return Phrase((Source(","),))


def aligned(text: str) -> Phrase:
    """A phrase written word by word: `am:in_the Abend:evening`."""
    phrase = Phrase()
    for word in text.split():
        german, english = word.split(":")
        phrase += pair(german, english.replace("_", " "))
    return phrase


# Agreement and pronouns


@dataclass(frozen=True)
class Agreement:
    """Person (1, 2, 3) and number: what a finite verb agrees with."""

    person: int = 3
    plural: bool = False


THIRD_SINGULAR, THIRD_PLURAL = Agreement(), Agreement(plural=True)


@dataclass(frozen=True)
class GermanPronoun:
    """A German personal pronoun with its reflexive and the stem of its possessive."""

    nom: str
    acc: str
    dat: str
    reflexive: str
    possessive: str


@dataclass(frozen=True)
class EnglishPronoun:
    """An English personal pronoun with its possessive."""

    subject: str
    object: str
    possessive: str


HE = GermanPronoun("er", "ihn", "ihm", "sich", "sein")
SHE = GermanPronoun("sie", "sie", "ihr", "sich", "ihr")
IT = GermanPronoun("es", "es", "ihm", "sich", "sein")
THEY = GermanPronoun("sie", "sie", "ihnen", "sich", "ihr")
ENGLISH_HE = EnglishPronoun("he", "him", "his")
ENGLISH_SHE = EnglishPronoun("she", "her", "her")
ENGLISH_IT = EnglishPronoun("it", "it", "its")
ENGLISH_THEY = EnglishPronoun("they", "them", "their")
BY_GENDER = {"m": HE, "f": SHE, "n": IT, "p": THEY}
ENGLISH_BY_GENDER = {"m": ENGLISH_HE, "f": ENGLISH_SHE, "n": ENGLISH_IT, "p": ENGLISH_THEY}


@dataclass(frozen=True)
class Pronoun:
    """A personal pronoun on both sides."""

    german: GermanPronoun
    english: EnglishPronoun
    agreement: Agreement
    is_pronoun: bool = True

    @property
    def anaphor(self) -> Pronoun:
        """The pronoun that refers to it again: itself."""
        return self

    def phrase(self, case: Case) -> Phrase:
        """The pronoun in a case."""
        return pair(
            getattr(self.german, case), self.english.subject if case == "nom" else self.english.object
        )


ME = Pronoun(
    GermanPronoun("ich", "mich", "mir", "mich", "mein"), EnglishPronoun("I", "me", "my"), Agreement(1)
)
YOU = Pronoun(
    GermanPronoun("du", "dich", "dir", "dich", "dein"), EnglishPronoun("you", "you", "your"), Agreement(2)
)
WE = Pronoun(
    GermanPronoun("wir", "uns", "uns", "uns", "unser"), EnglishPronoun("we", "us", "our"), Agreement(1, True)
)
THIRD_PERSON = {
    gender: Pronoun(BY_GENDER[gender], ENGLISH_BY_GENDER[gender], Agreement(3, gender == "p"))
    for gender in "mfnp"
}


class Nominal(Protocol):
    """What can be the subject or an object."""

    @property
    def agreement(self) -> Agreement: ...
    @property
    def anaphor(self) -> Pronoun: ...
    @property
    def is_pronoun(self) -> bool: ...
    def phrase(self, case: Case) -> Phrase: ...


# Noun phrases

GENDER_ORDER = "mfnp"
# Forms and endings by gender (m, f, n, plural); - is none.
DEFINITE = {
    "nom": "der die das die",
    "acc": "den die das die",
    "dat": "dem der dem den",
    "gen": "des der des der",
}
AFTER_DER = {"nom": "er e es e", "acc": "en e es e", "dat": "em er em en", "gen": "es er es er"}
AFTER_EIN = {"nom": "- e - e", "acc": "en e - e", "dat": "em er em en", "gen": "es er es er"}
WEAK = {"nom": "e e e en", "acc": "en e e en", "dat": "en en en en", "gen": "en en en en"}
MIXED = {"nom": "er e es en", "acc": "en e es en", "dat": "en en en en", "gen": "en en en en"}
STRONG = {"nom": "er e es e", "acc": "en e es e", "dat": "em er em en", "gen": "en er en er"}
UNINFLECTED = dict.fromkeys(DEFINITE, "- - - -")


def form(table: dict[str, str], case: Case, gender: str) -> str:
    """The entry of a table of forms for a case and a gender."""
    return table[case].split()[GENDER_ORDER.index(gender)].replace("-", "")


@dataclass(frozen=True)
class Determiner:
    """What stands before the noun: its stem and endings, and the endings the adjective then takes."""

    stem: str
    endings: dict[str, str]
    adjective: dict[str, str]
    english: str
    english_plural: str = ""

    def phrase(self, case: Case, gender: str) -> Phrase:
        """The determiner in a case, with its English."""
        english = self.english_plural if gender == "p" and self.english_plural else self.english
        return pair(self.stem + form(self.endings, case, gender), english)


THE = Determiner("", DEFINITE, WEAK, "the")
SILENT_THE = Determiner("", DEFINITE, WEAK, "")
A = Determiner("ein", AFTER_EIN, MIXED, "a")
NO_ARTICLE = Determiner("", UNINFLECTED, STRONG, "")
SILENT_A = Determiner("", UNINFLECTED, STRONG, "a")
NOT_A = Determiner("kein", AFTER_EIN, MIXED, "a", "any")
NOT_ANY = Determiner("kein", AFTER_EIN, MIXED, "any")
NO = Determiner("kein", AFTER_EIN, MIXED, "no")
THIS = Determiner("dies", AFTER_DER, WEAK, "this", "these")
WHICH = Determiner("welch", AFTER_DER, WEAK, "which")
HOW_MANY = Determiner("wie viele", UNINFLECTED, STRONG, "how many")


def possessive(owner: Pronoun) -> Determiner:
    """mein ↔ my, and the like."""
    return Determiner(owner.german.possessive, AFTER_EIN, MIXED, owner.english.possessive)


def number(entry: str) -> Determiner:
    """A number as a determiner, from `drei:three`."""
    german, english = entry.split(":")
    return Determiner(german, UNINFLECTED, STRONG, english)


def count_syllables(word: str) -> int:
    """The number of groups of vowels."""
    letters = word.lower()
    return sum(
        b in "aeiouyäöü" and a not in "aeiouyäöü" for a, b in zip(" " + letters, letters, strict=False)
    )


def decline(noun: Noun, case: Case, *, plural: bool) -> str:
    """The German noun in its case and number."""
    if plural:
        return noun.plural + ("n" if case == "dat" and noun.plural[-1] not in "ns" else "")
    if noun.weak_ending:
        return noun.singular + (noun.weak_ending if case != "nom" else "")
    if case != "gen" or noun.gender == "f":
        return noun.singular
    is_short = count_syllables(noun.singular) == 1 and not noun.plural.endswith("s")
    return noun.singular + (
        "es" if is_short or noun.singular.endswith(("s", "ß", "z", "x", "zt", "st")) else "s"
    )


@dataclass(frozen=True)
class Name:
    """A person's name, with a title where it is a surname."""

    name: ProperNoun
    title: str = ""
    is_pronoun: bool = False
    agreement: Agreement = THIRD_SINGULAR

    @property
    def anaphor(self) -> Pronoun:
        """he or she."""
        return THIRD_PERSON[self.name.gender]

    def phrase(self, case: Case) -> Phrase:
        """The name in a case; only the title Herr has endings."""
        name = pair(self.name.german, self.name.english)
        if case == "gen":
            name = pair(self.name.german + "s", self.name.english + "'s")
        if not self.title:
            return name
        german, english = self.title.split(":")
        return pair(german + ("n" if german == "Herr" and case != "nom" else ""), english) + name


@dataclass(frozen=True)
class NounPhrase:
    """A noun with its determiner, adjective, owner in the genitive and relative clause."""

    noun: Noun
    determiner: Determiner = THE
    plural: bool = False
    adjective: Adjective | None = None
    is_very: bool = False
    owner: NounPhrase | Name | None = None
    is_pronoun: bool = False

    @property
    def gender(self) -> str:
        """m, f, n, or p for the plural."""
        return "p" if self.plural or self.noun.always_plural else self.noun.gender

    @property
    def agreement(self) -> Agreement:
        """Third person, singular or plural."""
        return Agreement(3, self.gender == "p")

    @property
    def anaphor(self) -> Pronoun:
        """The pronoun for it: German looks at the gender of the noun, English at what is meant."""
        english = self.gender
        if self.gender != "p":
            is_person = bool(self.noun.tags & {"person", "kin"})
            english = "f" if self.noun.singular == "Mädchen" else self.gender if is_person else "n"
        return Pronoun(THIRD_PERSON[self.gender].german, THIRD_PERSON[english].english, self.agreement)

    def phrase(self, case: Case) -> Phrase:
        """The noun phrase in a case."""
        if isinstance(self.owner, Name):
            return self.owner.phrase("gen") + self._description(case, STRONG) + self._noun(case)
        determiner = self.determiner.phrase(case, self.gender)
        description, noun = self._description(case, self.determiner.adjective), self._noun(case)
        if not self.owner:
            return absorb(determiner, description, noun)
        owner = self.owner.phrase("gen")
        if "part" in self.noun.tags:  # die Tür des Hauses ↔ the door of the house
            return determiner + description + noun + Phrase(owner.de, (Target("of", owner.de[:1]), *owner.en))
        owned = absorb(Phrase(determiner.de), description, noun)
        *words, last = owner.en  # das Auto meines Bruders ↔ my brother's car
        return Phrase(owned.de + owner.de, (*words, Target(last.text + "'s", last.sources), *owned.en))

    def _description(self, case: Case, endings: dict[str, str]) -> Phrase:
        if not self.adjective:
            return Phrase()
        inflected = self.adjective.stem + form(endings, case, self.gender)
        return (pair("sehr", "very") if self.is_very else Phrase()) + pair(inflected, self.adjective.english)

    def _noun(self, case: Case) -> Phrase:
        plural = self.gender == "p"
        return pair(
            decline(self.noun, case, plural=plural), self.noun.english_plural if plural else self.noun.english
        )


def absorb(determiner: Phrase, description: Phrase, noun: Phrase) -> Phrase:
    """A determiner, a description and a noun; an article that one side lacks is linked with the noun."""
    if determiner.de and not determiner.en:
        noun = Phrase(noun.de, tuple(Target(word.text, determiner.de + word.sources) for word in noun.en))
    if determiner.en and not determiner.de:
        determiner = Phrase((), tuple(Target(word.text, noun.de) for word in determiner.en))
    return determiner + description + noun


@dataclass(frozen=True)
class Both:
    """Two nominals joined by und ↔ and."""

    first: Nominal
    second: Nominal
    is_pronoun: bool = False
    agreement: Agreement = THIRD_PLURAL
    anaphor: Pronoun = THIRD_PERSON["p"]

    def phrase(self, case: Case) -> Phrase:
        """Both in a case."""
        return self.first.phrase(case) + pair("und", "and") + self.second.phrase(case)


@dataclass(frozen=True)
class Named:
    """What is called by a name of its own, mostly without an article: Deutsch, Berlin, die Schweiz."""

    name: ProperNoun
    is_pronoun: bool = False
    agreement: Agreement = THIRD_SINGULAR

    @property
    def anaphor(self) -> Pronoun:
        """it."""
        return THIRD_PERSON["n"]

    def phrase(self, case: Case) -> Phrase:
        """The name; its article, which English lacks, is linked with it."""
        article = Phrase((Source(form(DEFINITE, case, self.name.gender)),)) if self.name.article else Phrase()
        return absorb(article, Phrase(), pair(self.name.german, self.name.english))


# Prepositions

CONTRACTIONS = {
    ("in", "dem"): "im",
    ("in", "das"): "ins",
    ("an", "dem"): "am",
    ("an", "das"): "ans",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
    ("von", "dem"): "vom",
    ("bei", "dem"): "beim",
}


def prepositional(german: str, case: Case, english: str, nominal: Nominal) -> Phrase:
    """A preposition with its nominal; where it contracts with the article, the two share their links."""
    phrase = nominal.phrase(case)
    if (
        isinstance(nominal, Named) and german == "nach" and nominal.name.article
    ):  # nach Italien, in die Schweiz
        german, phrase = "in", nominal.phrase("acc")
    article, rest = phrase.de[0], phrase.de[1:]
    contraction = CONTRACTIONS.get((german, article.text))
    if not contraction:
        return pair(german, english) + phrase
    merged = Source(contraction)
    words = [
        Target(word.text, tuple(merged if source is article else source for source in word.sources))
        for word in phrase.en
    ]
    return Phrase((merged, *rest), (*(Target(word, (merged,)) for word in english.split()), *words))


# Raw text


@dataclass(frozen=True)
class SentencePair:
    """The words of both sides of a sentence and their links, source first, from 0."""

    de: tuple[str, ...]
    en: tuple[str, ...]
    links: tuple[tuple[int, int], ...]

    @property
    def german(self) -> str:
        """The German sentence as raw text."""
        return join(self.de)

    @property
    def english(self) -> str:
        """The English sentence as raw text."""
        return join(self.en)


def join(words: tuple[str, ...]) -> str:
    """Words as raw text: no space before punctuation."""
    text = words[0]
    for word in words[1:]:
        text += word if word in ".,!?" else " " + word
    return text


def capitalise(words: list[str]) -> tuple[str, ...]:
    """The words with a capital letter at the beginning."""
    return (words[0][0].upper() + words[0][1:], *words[1:])


def starts_with_vowel(word: str) -> bool:
    """Whether the English word takes `an`."""
    return word[0].lower() in VOWELS and not word.startswith(("use", "uni", "eu"))


def contracted(words: tuple[Target, ...]) -> list[Target]:
    """The English words with `can not` written as one."""
    result: list[Target] = []
    for word in words:
        if result and (result[-1].text, word.text) == ("can", "not"):
            word = Target("cannot", result.pop().sources + word.sources)
        result.append(word)
    return result


def spell(phrase: Phrase) -> SentencePair:
    """A finished sentence as words and links."""
    position = {source: index for index, source in enumerate(phrase.de)}
    targets = contracted(phrase.en)
    english = [word.text for word in targets]
    for index, following in enumerate(english[1:]):
        if english[index] == "a" and starts_with_vowel(following):
            english[index] = "an"
    links = sorted(
        {(position[source], index) for index, word in enumerate(targets) for source in word.sources}
    )
    return SentencePair(capitalise([word.text for word in phrase.de]), capitalise(english), tuple(links))
