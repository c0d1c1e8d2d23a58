"""Random choice for the sample grammar: who does what, where, how and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import TypeVar

from . import lexicon
from .clauses import Event
from .grammar import (
    ME,
    NO_ARTICLE,
    NOT_A,
    NOT_ANY,
    SILENT_THE,
    THE,
    THIRD_PERSON,
    THIS,
    WE,
    YOU,
    A,
    Both,
    Case,
    Determiner,
    Name,
    Named,
    Nominal,
    NounPhrase,
    Phrase,
    Pronoun,
    Target,
    aligned,
    number,
    pair,
    possessive,
    prepositional,
)
from .lexicon import (
    ADJECTIVES,
    MEN,
    NAMED,
    NOUNS,
    PLACES,
    SURNAMES,
    VERBS,
    WOMEN,
    Adjective,
    Noun,
    Place,
    Preposition,
    Verb,
    lines,
)

T = TypeVar("T")
Combination = tuple[str, str]

HUMAN = {"person", "adult", "child"}
ANIMALS = {"pet", "farm", "wild", "prey"}
PEOPLE = {"person", "adult", "child", "kin", "relation"}
ALWAYS_DEFINITE = {"tidy", "cleanable", "part", "place", "waterable", "farm"}
POSSESSABLE = {
    "losable",
    "clothes",
    "vehicle",
    "device",
    "furniture",
    "tidy",
    "keepable",
    "luggage",
    "relation",
}
ADVERBS = {word.split(":")[0]: word for word in lexicon.MANNERS.split()}
HABITUAL_TIMES = (lines(lexicon.HABITUAL_TIMES), lines(lexicon.LONG_HABITUAL_TIMES))
TIMES = {
    "past": (lines(lexicon.PAST_TIMES), lines(lexicon.LONG_PAST_TIMES)),
    "habit": HABITUAL_TIMES,
    "future": (lines(lexicon.FUTURE_TIMES), lines(lexicon.LONG_FUTURE_TIMES)),
    "denied": tuple([time for time in times if not time.startswith("jede")] for times in HABITUAL_TIMES),
}
SUITABLE: dict[str, Callable[[Verb], bool]] = {
    "habit": lambda verb: not {"past", "rare", "state"} & set(verb.options),
    "active": lambda verb: not {"past", "state", "perceive"} & set(verb.options),
    "modal": lambda verb: (
        not {"past", "state", "happens"} & set(verb.options) and bool(HUMAN & set(verb.subject))
    ),
    "willing": lambda verb: SUITABLE["modal"](verb) and "perceive" not in verb.options,
    "human": lambda verb: (
        not {"past", "rare", "state"} & set(verb.options) and bool(HUMAN & set(verb.subject))
    ),
    "denied": lambda verb: not {"past", "rare"} & set(verb.options) and bool(HUMAN & set(verb.subject)),
    "state": lambda verb: "state" in verb.options,
    "past": lambda verb: "state" not in verb.options,
}


@cache
def verbs_for(suitable: str, frame: str) -> tuple[Verb, ...]:
    """The verbs of a kind (SUITABLE), of those that have the field `frame` filled where it is given."""
    verbs = [verb for verb in VERBS if SUITABLE[suitable](verb) and (not frame or getattr(verb, frame))]
    return tuple(verb for verb in verbs for _ in range(verb.weight))


@cache
def nouns_with(tags: tuple[str, ...]) -> tuple[Noun, ...]:
    """The nouns that have one of the tags."""
    nouns = NOUNS + [place.noun for place in PLACES]
    return tuple(noun for noun in nouns if noun.tags & set(tags))


@cache
def places_with(tags: tuple[str, ...]) -> tuple[Place, ...]:
    """The places that have one of the tags."""
    return tuple(place for place in PLACES if place.noun.tags & set(tags))


@cache
def adjectives_for(noun: Noun) -> tuple[Adjective, ...]:
    """The adjectives that go with a noun."""
    return tuple(adjective for adjective in ADJECTIVES if adjective.fits & noun.tags)


@dataclass
class Draw:
    """Random choice that deals every list like a deck of cards, so that all entries come up alike."""

    random: Random
    decks: dict[object, list[object]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    combinations: set[Combination] = field(default_factory=set)
    verbs: set[str] = field(default_factory=set)

    def start_sentence(self) -> None:
        """Forget which words the last sentence used."""
        self.used, self.combinations, self.verbs = set(), set(), set()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.random.random() < probability

    def deal(self, key: object, options: Sequence[T], is_allowed: Callable[[T], bool] = lambda _: True) -> T:
        """The next of the options from the deck named by the key."""
        deck: list[T] = self.decks.setdefault(key, [])  # type: ignore[assignment]
        for _ in range(2):
            for index in range(len(deck) - 1, -1, -1):
                if is_allowed(deck[index]):
                    return deck.pop(index)
            deck[:0] = self.random.sample(options, len(options))
        raise LookupError(f"nothing of {key} is allowed here")

    def word(self, text: str) -> str:
        """An entry of a list written as a string of words."""
        return self.deal(("word", text), text.split())

    def verb(self, suitable: str, frame: str = "", accept: Callable[[Verb], bool] = lambda _: True) -> Verb:
        """A verb of a kind (SUITABLE) that has the field `frame` filled and is accepted."""
        return self.deal(("verb", suitable, frame), verbs_for(suitable, frame), accept)

    def noun(self, tags: tuple[str, ...], accept: Callable[[Noun], bool] = lambda _: True) -> Noun:
        """A noun with one of the tags that is accepted and that the sentence has not used."""
        options = nouns_with(tags)
        noun = self.deal(tags, options, lambda noun: noun.english not in self.used and accept(noun))
        self.used.add(noun.english)
        return noun

    def place(self, tags: tuple[str, ...]) -> Place:
        """A place with one of the tags that the sentence has not used."""
        place = self.deal(
            ("place", tags), places_with(tags), lambda place: place.noun.english not in self.used
        )
        self.used.add(place.noun.english)
        return place


# Nominals


def adjective(
    draw: Draw, noun: Noun, probability: float = 0.35, *, is_new: bool = False
) -> tuple[Adjective | None, bool]:
    """An adjective for a noun now and then, and whether `sehr` stands before it."""
    options = adjectives_for(noun)
    if not options or not draw.chance(probability):
        return None, False
    chosen = draw.deal(("adjective", noun), options)
    if chosen.english in draw.used:
        return None, False
    draw.used.add(chosen.english)
    return chosen, is_new and bool(chosen.comparative) and draw.chance(0.3)


def described(draw: Draw, noun: Noun, determiner: Determiner, *, plural: bool = False) -> NounPhrase:
    """A noun with its determiner and now and then an adjective."""
    return NounPhrase(noun, determiner, plural, *adjective(draw, noun, is_new=determiner is A))


def name(draw: Draw) -> Name:
    """Somebody by name."""
    people = MEN + WOMEN
    chosen = draw.deal("names", people, lambda person: person.english not in draw.used)
    draw.used.add(chosen.english)
    return Name(chosen)


def titled_name(draw: Draw) -> Name:
    """Herr or Frau with a surname."""
    surname = draw.deal("surnames", SURNAMES)
    title = draw.word("Herr:Mr Frau:Mrs")
    gender = "f" if title.startswith("Frau") else "m"
    return Name(type(surname)(surname.german, surname.english, gender), title)


def kin(draw: Draw, owner: Pronoun | None, tags: tuple[str, ...] = ("kin",)) -> NounPhrase:
    """A relative, of somebody: meine Mutter, Annas Bruder."""
    noun = draw.noun(tags)
    if draw.chance(0.15) and not noun.always_plural:
        return NounPhrase(noun, owner=name(draw))
    owner = owner or draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]])
    return NounPhrase(noun, possessive(owner), "plural" in noun.tags and draw.chance(0.25))


def pronoun_subject(draw: Draw) -> Pronoun:
    """ich, du, er, sie, wir or sie."""
    return draw.deal("pronouns", [ME, YOU, WE, THIRD_PERSON["m"], THIRD_PERSON["f"], THIRD_PERSON["p"]])


def person_asked_about(draw: Draw) -> Nominal:
    """Somebody a question may be about: not the speaker."""
    options = [YOU, YOU, THIRD_PERSON["m"], THIRD_PERSON["f"], THIRD_PERSON["p"]]
    return draw.deal("asked about", options) if draw.chance(0.2) else person(draw, third=True)


def person(draw: Draw, tags: tuple[str, ...] = ("adult", "child"), *, third: bool = False) -> Nominal:
    """Somebody who does something."""
    chance = draw.random.random()
    if chance < 0.14 and not third:
        return pronoun_subject(draw)
    if chance < 0.28:
        return name(draw)
    if chance < 0.33 and "adult" in tags:
        return titled_name(draw)
    if chance < 0.36:
        return Both(name(draw), name(draw))
    if chance < 0.5 and "adult" in tags:
        return kin(draw, None)
    if chance < 0.56 and "adult" in tags:
        owner = draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]])
        return described(draw, draw.noun(("relation",)), possessive(owner))
    if chance < 0.6 and "adult" in tags:
        whose = possessive(draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]]))
        return NounPhrase(draw.noun(("kin",)), owner=NounPhrase(draw.noun(("relation",)), whose))
    return countable_person(draw, tags)


def countable_person(draw: Draw, tags: tuple[str, ...]) -> NounPhrase:
    """A person by profession and the like, one or several."""
    noun = draw.noun(tags)
    determiner = draw.random.choices([THE, A, THIS], [12, 2, 1])[0]
    plural = determiner is not A and draw.chance(0.22)
    if plural and draw.chance(0.3):
        determiner = number(draw.word(lexicon.NUMBERS))
    return described(draw, noun, determiner, plural=plural)


def animal(draw: Draw, tags: tuple[str, ...]) -> NounPhrase:
    """An animal, one or several."""
    noun = draw.noun(tags)
    if "keepable" in noun.tags and "pet" in noun.tags and draw.chance(0.25):
        return described(draw, noun, possessive(draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]])))
    return described(draw, noun, THE, plural=draw.chance(0.25))


def subject(draw: Draw, verb: Verb, *, third: bool = False, human: bool = False) -> Nominal:
    """Somebody or something that does what the verb says; `human` leaves out the animals where it can."""
    choices = tuple(tag for tag in verb.subject if tag in HUMAN) if human else verb.subject
    tags = (draw.word(" ".join(choices or verb.subject)),)
    if tags == ("person",):
        return person(draw, third=third)
    if tags in (("adult",), ("child",)):
        return person(draw, tags, third=third)
    return animal(draw, tags)


def pronoun_object(draw: Draw, case: Case, actor: Nominal) -> Pronoun:
    """A pronoun of another person than the subject; not acc. sie, which could be her or them."""
    options = [ME, YOU, WE, THIRD_PERSON["m"]]
    if case == "dat":
        options += [THIRD_PERSON["f"], THIRD_PERSON["p"]]
    person_of_actor = actor.agreement.person
    return draw.deal(
        ("object", case), options, lambda p: p.agreement.person == 3 or p.agreement.person != person_of_actor
    )


def owner_for(draw: Draw, actor: Nominal) -> Pronoun:
    """Whose thing the subject has to do with: mostly its own."""
    if actor.anaphor.english.subject != "it" and draw.chance(0.7):
        return actor.anaphor
    return draw.deal("object owners", [ME, YOU, WE])


def definite(draw: Draw, noun: Noun, actor: Nominal) -> NounPhrase:
    """A certain thing or person."""
    if "kin" in noun.tags:
        plural = "plural" in noun.tags and draw.chance(0.25)
        if draw.chance(0.15) and not noun.always_plural:
            return NounPhrase(noun, owner=name(draw))
        return NounPhrase(noun, possessive(owner_for(draw, actor)), plural)
    if noun.is_mass:
        return described(draw, noun, SILENT_THE if "meal" in noun.tags else THE)
    if noun.tags & POSSESSABLE and draw.chance(0.35):
        return described(draw, noun, possessive(owner_for(draw, actor)))
    if noun.tags & {"losable", "vehicle", "clothes"} and draw.chance(0.15):
        owner = (
            name(draw)
            if draw.chance(0.5)
            else NounPhrase(draw.noun(("kin",)), possessive(owner_for(draw, actor)))
        )
        is_single = not isinstance(owner, NounPhrase) or not owner.noun.always_plural
        return NounPhrase(noun, owner=owner if is_single else name(draw))
    if "opening" in noun.tags and draw.chance(0.35):
        return NounPhrase(noun, owner=NounPhrase(draw.noun(("doors",))))
    return described(draw, noun, draw.random.choices([THE, THIS], [5, 1])[0], plural=draw.chance(0.12))


def indefinite(draw: Draw, noun: Noun, *, is_counted: bool = True) -> NounPhrase:
    """Some thing or things, without saying which; `is_counted` allows a number."""
    if noun.is_mass:
        return described(draw, noun, NO_ARTICLE)
    if is_counted and draw.chance(0.2):
        return described(draw, noun, number(draw.word(lexicon.NUMBERS)), plural=True)
    if "plural" in noun.tags and draw.chance(0.4):
        return described(draw, noun, NO_ARTICLE, plural=True)
    return described(draw, noun, A)


def negative(draw: Draw, noun: Noun) -> NounPhrase:
    """kein ↔ not … a, not … any."""
    if noun.is_mass:
        return NounPhrase(noun, NOT_ANY)
    return NounPhrase(noun, NOT_A, plural="plural" in noun.tags and draw.chance(0.5))


def is_indefinite(nominal: Nominal) -> bool:
    """Whether the object stands late in the German clause."""
    if isinstance(nominal, Named):
        return True
    return (
        isinstance(nominal, NounPhrase)
        and not nominal.owner
        and nominal.determiner.adjective != THE.adjective
        and (
            nominal.determiner in (A, NO_ARTICLE, NOT_A, NOT_ANY)
            or nominal.determiner.adjective == NO_ARTICLE.adjective
        )
    )


def nominal_for(draw: Draw, verb: Verb, tags: tuple[str, ...], actor: Nominal, kind: str) -> NounPhrase:
    """Something the verb has to do with; kind is any, counted, definite, bare or negative."""
    noun = draw.noun(tags)
    draw.combinations.add((verb.lemma, noun.singular))
    if kind == "negative" and "kin" not in noun.tags:
        return negative(draw, noun)
    if kind == "bare":
        return described(draw, noun, NO_ARTICLE, plural=not noun.is_mass)
    if kind == "definite" or noun.tags & (ALWAYS_DEFINITE | {"kin", "meal"}):
        return definite(draw, noun, actor)
    likely_definite = 0.7 if noun.tags & PEOPLE else 0.5
    if draw.chance(likely_definite):
        return definite(draw, noun, actor)
    return indefinite(draw, noun, is_counted=kind == "counted")


# Events


def named(draw: Draw, verb: Verb, kind: str) -> Named:
    """A language, a game, a city, a country…"""
    chosen = draw.deal(("named", kind), NAMED[kind])
    draw.combinations.add((verb.lemma, chosen.german))
    return Named(chosen)


def place_phrase(place: Place, *, where_to: bool = False, phrase: NounPhrase | None = None) -> Phrase:
    """im Garten ↔ in the garden, or in den Garten ↔ into the garden."""
    german, english = place.where_to if where_to else place.where
    case: Case = "acc" if where_to and german in ("in", "an", "auf") else "dat"
    return prepositional(german, case, english, phrase or NounPhrase(place.noun))


def some_place(draw: Draw, verb: Verb, tags: tuple[str, ...], *, where_to: bool = False) -> Phrase:
    """A place that suits the verb, where or where to."""
    place = draw.place(tags)
    draw.combinations.add((verb.lemma, place.noun.singular))
    chosen, is_very = adjective(draw, place.noun, 0.2)
    determiner = THE
    if "tidy" in place.noun.tags and draw.chance(0.15):
        determiner = possessive(draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]]))
    return place_phrase(
        place, where_to=where_to, phrase=NounPhrase(place.noun, determiner, False, chosen, is_very)
    )


def complement(draw: Draw, verb: Verb, actor: Nominal) -> Phrase:
    """The prepositional phrase the verb asks for."""
    governed: Preposition = draw.random.choice(verb.prepositions)
    tags = draw.word(" ".join(governed.tags)) if set(governed.tags) & set(NAMED) else ""
    nominal: Nominal = (
        named(draw, verb, tags)
        if tags in NAMED
        else nominal_for(draw, verb, governed.tags, actor, "definite")
    )
    return prepositional(governed.german, governed.case, governed.english, nominal)  # type: ignore[arg-type]


def event(
    draw: Draw,
    suitable: str = "habit",
    *,
    frame: str = "",
    kind: str = "any",
    actor: Nominal | None = None,
    verb: Verb | None = None,
    is_plain: bool = False,
    third: bool = False,
) -> Event:
    """Somebody doing something.

    `kind` is that of the direct object, `none` to leave objects out; `is_plain` leaves out place and manner.
    """
    verb = verb or draw.verb(suitable, frame)
    draw.verbs.add(verb.lemma)
    actor = actor or subject(draw, verb, third=third, human=suitable in ("modal", "human"))
    if isinstance(actor, NounPhrase):
        draw.combinations.add((actor.noun.singular, verb.lemma))
    slots: dict[str, Phrase] = {}
    kind = "counted" if kind == "any" and suitable in ("past", "modal") else kind
    _objects(draw, verb, actor, kind, slots)
    if verb.prepositions:
        slots["complement"] = complement(draw, verb, actor)
    if verb.direction:
        slots["complement"] = some_place(draw, verb, verb.direction, where_to=True)
    if verb.location:
        slots["place"] = some_place(draw, verb, verb.location)
    if "by" in verb.options and draw.chance(0.7):
        slots["means"] = means(draw)
    manners = [option for option in verb.options if option in ADVERBS]
    if not is_plain and manners and draw.chance(0.35):
        slots["manner"] = aligned(ADVERBS[draw.word(" ".join(manners))])
    elif not is_plain and verb.at and draw.chance(0.35):
        slots["place"] = some_place(draw, verb, verb.at)
    return Event(verb, actor, slots)


def _objects(draw: Draw, verb: Verb, actor: Nominal, kind: str, slots: dict[str, Phrase]) -> None:
    """The objects of the verb, put into their slots."""
    if kind == "none":
        return
    takes_pronoun = not (verb.particles and verb.prefix)
    if verb.dative:
        _person_object(draw, verb, actor, "dat", verb.dative, slots, takes_pronoun=takes_pronoun)
    if verb.recipient:
        slots["recipient"] = _to_recipient(nominal_for(draw, verb, verb.recipient, actor, "definite"))
    if verb.named:
        slots["indefinite"] = named(draw, verb, verb.named).phrase("acc")
    if not verb.accusative:
        return
    if set(verb.accusative) <= PEOPLE and kind != "negative":
        _person_object(draw, verb, actor, "acc", verb.accusative, slots, takes_pronoun=takes_pronoun)
        return
    nominal = nominal_for(draw, verb, verb.accusative, actor, kind)
    slot = "indefinite" if is_indefinite(nominal) else "definite"
    slots[slot] = nominal.phrase("acc")
    if kind == "negative" and slot == "indefinite":
        not_ = Target("not", slots[slot].de[:1])
        slots["negation"] = Phrase((), (not_,))


def _person_object(
    draw: Draw,
    verb: Verb,
    actor: Nominal,
    case: Case,
    tags: tuple[str, ...],
    slots: dict[str, Phrase],
    *,
    takes_pronoun: bool,
) -> None:
    """A person as an object: a pronoun, a name or a noun."""
    slot = "dative" if case == "dat" else "definite"
    if takes_pronoun and draw.chance(0.15):
        slots["pronoun"] = pronoun_object(draw, case, actor).phrase(case)
    elif "adult" in tags and draw.chance(0.15):
        slots[slot] = (name(draw) if draw.chance(0.7) else titled_name(draw)).phrase(case)
    else:
        slots[slot] = nominal_for(draw, verb, tags, actor, "definite").phrase(case)


def _to_recipient(nominal: NounPhrase) -> Phrase:
    """erklärt dem Schüler die Regel ↔ explains the rule to the pupil; `to` goes with the first word."""
    phrase = nominal.phrase("dat")
    return Phrase(phrase.de, (Target("to", phrase.de[:1]), *phrase.en))


def means(draw: Draw) -> Phrase:
    """mit dem Bus ↔ by bus; the German article goes with the noun."""
    return prepositional("mit", "dat", "by", NounPhrase(draw.noun(("by",)), SILENT_THE))


# Times


def time(draw: Draw, kind: str, verb: Verb) -> Phrase:
    """A time in the past, in the future, or again and again, that suits the verb."""
    chance, is_brief = draw.random.random(), "brief" in verb.options
    if kind in ("habit", "denied"):
        if is_brief and chance < 0.15 and kind == "habit":
            return o_clock(draw)
    elif chance < 0.15 and "long" not in verb.options:
        return aligned("am:on " + draw.word(lexicon.WEEKDAYS))
    elif chance < 0.25:
        long_units = lexicon.UNITS if kind == "past" else lexicon.COMING_UNITS
        return some_time_away(draw, kind, lexicon.SHORT_UNITS if is_brief else long_units)
    is_long = not is_brief and ("long" in verb.options or draw.chance(0.6))
    return aligned(draw.deal((kind, is_long), TIMES[kind][is_long]))


def some_time_away(draw: Draw, kind: str, units: str) -> Phrase:
    """vor drei Tagen ↔ three days ago; in drei Tagen ↔ in three days."""
    span = aligned(f"{draw.word(lexicon.NUMBERS)} {draw.word(units)}")
    if kind == "future":
        return pair("in", "in") + span
    ago = pair("vor", "ago")
    return Phrase(ago.de + span.de, span.en + ago.en)


def o_clock(draw: Draw) -> Phrase:
    """um acht Uhr ↔ at eight o'clock."""
    return pair("um", "at") + pair(*draw.word(lexicon.NUMBERS).split(":")) + pair("Uhr", "o'clock")


def frequency(draw: Draw) -> Phrase:
    """How often."""
    return aligned(draw.word(lexicon.FREQUENCIES))


def timed(draw: Draw, happening: Event, kind: str) -> Event:
    """The event with a time."""
    return happening.plus(time=time(draw, kind, happening.verb))
