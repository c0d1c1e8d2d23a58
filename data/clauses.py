"""Clauses of the sample grammar: verbs in their tenses, and the order of words on both sides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from .grammar import Agreement, Nominal, Phrase, Source, Target, pair
from .lexicon import VOWELS, Modal, Verb

Tense = Literal[
    "present", "progressive", "past", "perfect", "since", "future", "becoming", "passive", "past passive"
]

# German verbs

IRREGULAR_PRESENT = {
    "sein": ("bin", "bist", "ist", "sind"),
    "haben": ("habe", "hast", "hat", "haben"),
    "werden": ("werde", "wirst", "wird", "werden"),
    "wissen": ("weiß", "weißt", "weiß", "wissen"),
}
# These say the past with one word; every other verb takes the perfect.
PRETERITE = {
    "sein": ("war", "warst", "war", "waren"),
    "haben": ("hatte", "hattest", "hatte", "hatten"),
    "wissen": ("wusste", "wusstest", "wusste", "wussten"),
}
WURDE = ("wurde", "wurdest", "wurde", "wurden")


def pick(forms: Iterable[str], agreement: Agreement) -> str:
    """One of the forms for ich, du, er and the plural."""
    return list(forms)[3 if agreement.plural else agreement.person - 1]


def present_forms(verb: Verb) -> tuple[str, ...]:
    """The present of a verb, without its prefix, for ich, du, er and the plural."""
    infinitive, third = verb.stem_infinitive, verb.third_person
    if infinitive in IRREGULAR_PRESENT:
        return IRREGULAR_PRESENT[infinitive]
    if infinitive.endswith("eln"):
        first = infinitive.removesuffix("eln") + "le"
    else:
        first = infinitive.removesuffix("n").removesuffix("e") + "e"
    second = third if third[-2] in "sßz" else third.removesuffix("t") + "st"
    return first, second, third, infinitive


def imperative(verb: Verb) -> str:
    """What one says to a friend, without the prefix: lies, ruf, warte, sammle."""
    stem, third = (
        verb.stem_infinitive.removesuffix("n").removesuffix("e"),
        verb.third_person.removesuffix("t"),
    )
    if third not in (stem, stem + "e") and "ä" not in third:
        return third
    if stem.endswith("el"):
        return stem.removesuffix("el") + "le"
    return stem + ("e" if stem.endswith(("t", "d", "chn", "ffn", "ig", "er")) else "")


# English verbs

DOUBLING = {
    "put",
    "run",
    "swim",
    "sit",
    "get",
    "begin",
    "forget",
    "win",
    "plan",
    "hug",
    "wrap",
    "shop",
    "chat",
    "stop",
    "travel",
}


def third_person(base: str) -> str:
    """he calls, goes, tries, has."""
    if base == "have":
        return "has"
    if base.endswith("y") and base[-2] not in VOWELS:
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def ing_form(base: str) -> str:
    """calling, lying, putting, taking."""
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base in DOUBLING:
        return base + base[-1] + "ing"
    return (base[:-1] if base.endswith("e") and not base.endswith("ee") and base != "be" else base) + "ing"


def be_form(agreement: Agreement, *, is_past: bool) -> str:
    """am, are, is, was, were."""
    is_singular = not agreement.plural and agreement.person != 2
    if is_past:
        return "was" if is_singular else "were"
    return "are" if not is_singular else "am" if agreement.person == 1 else "is"


def agree(base: str, agreement: Agreement) -> str:
    """The English present of a verb other than be."""
    return third_person(base) if agreement == Agreement(3) else base


# Verb complexes


@dataclass(frozen=True)
class Setting:
    """Tense and modal verb of a clause."""

    tense: Tense = "present"
    modal: Modal | None = None


@dataclass(frozen=True)
class VerbComplex:
    """All verbal words of a clause.

    `finite` stands second or last, `tail` at the end. `auxiliaries` are the English words before the verb;
    the first changes places with the subject in a question and is followed by `not`.
    """

    finite: Source
    tail: tuple[Source, ...]
    reflexive: Source | None
    auxiliaries: tuple[Target, ...]
    verb: tuple[Target, ...]


@dataclass(frozen=True)
class GermanVerb:
    """The German words of a verb complex: the finite one, the tail, and those that carry the meaning."""

    finite: Source
    tail: tuple[Source, ...]
    content: Source
    prefix: Source | None = None


def german_verb(verb: Verb, agreement: Agreement, setting: Setting, *, verb_final: bool) -> GermanVerb:
    """The German words of a verb in its tense."""
    is_past = setting.tense in ("past", "perfect")
    if setting.modal or setting.tense == "future":
        forms = setting.modal.forms if setting.modal else IRREGULAR_PRESENT["werden"]
        infinitive = Source(verb.infinitive)
        return GermanVerb(Source(pick(forms, agreement)), (infinitive,), infinitive)
    if setting.tense == "becoming":  # wird … zwölf Jahre alt ↔ will be twelve years old
        becomes = Source(pick(IRREGULAR_PRESENT["werden"], agreement))
        return GermanVerb(becomes, (), becomes)
    if setting.tense in ("passive", "past passive"):
        forms = WURDE if setting.tense == "past passive" else IRREGULAR_PRESENT["werden"]
        participle = Source(verb.participle)
        return GermanVerb(Source(pick(forms, agreement)), (participle,), participle)
    if is_past and verb.stem_infinitive not in PRETERITE:
        participle = Source(verb.participle)
        return GermanVerb(
            Source(pick(IRREGULAR_PRESENT[verb.auxiliary], agreement)), (participle,), participle
        )
    finite = pick(PRETERITE[verb.stem_infinitive] if is_past else present_forms(verb), agreement)
    if verb.prefix and not verb_final:
        stem, prefix = Source(finite), Source(verb.prefix)
        return GermanVerb(stem, (prefix,), stem, prefix)
    word = Source(verb.prefix + finite)
    return GermanVerb(word, (), word)


def english_words(
    verb: Verb, first: str, german: GermanVerb, extra: tuple[Source, ...] = ()
) -> tuple[Target, ...]:
    """The English verb and its particles: `ruft … an` ↔ `calls`, but `zieht … an` ↔ `puts` … `on`."""
    prefix = (german.prefix,) if german.prefix else ()
    sources = (german.content,) if verb.particles else (german.content, *prefix)
    particles = tuple(Target(word, prefix or (german.content,)) for word in verb.particles)
    return (Target(first, unique((*sources, *extra))), *particles)


def unique(sources: tuple[Source, ...]) -> tuple[Source, ...]:
    """The sources, each once."""
    return tuple(dict.fromkeys(sources))


def modal_words(modal: Modal, agreement: Agreement, german: GermanVerb, *, supported: bool) -> VerbParts:
    """The English of a modal verb: auxiliaries, and what stands before the main verb.

    `to` goes with the infinitive.
    """
    first, *rest = modal.english
    sources = (german.finite,)
    if first == "be":
        words, supported = [be_form(agreement, is_past=modal.is_past), *rest], True
    elif rest in (["to"],) and supported:
        words = [do_form(agreement, is_past=modal.is_past), first, *rest]
    elif rest == ["to"]:
        past = {"have": "had", "want": "wanted"}[first]
        words = [past if modal.is_past else agree(first, agreement), *rest]
    else:
        words, supported = [first, *rest], True
    targets = tuple(Target(word, german.tail if word == "to" else sources) for word in words)
    return (targets[:1], targets[1:]) if supported else ((), targets)


VerbParts = tuple[tuple[Target, ...], tuple[Target, ...]]


def do_form(agreement: Agreement, *, is_past: bool) -> str:
    """do, does or did."""
    return "did" if is_past else agree("do", agreement)


def english_verb(
    verb: Verb,
    agreement: Agreement,
    setting: Setting,
    german: GermanVerb,
    reflexive: tuple[Source, ...],
    *,
    supported: bool,
) -> VerbParts:
    """The English auxiliaries and verb; `supported` asks for an auxiliary, for a question or a negation."""
    tense, finite = setting.tense, (german.finite,)
    base = english_words(verb, verb.english, german, reflexive)
    if setting.modal:
        auxiliaries, words = modal_words(setting.modal, agreement, german, supported=supported)
        return auxiliaries, words + base
    if tense in ("future", "becoming"):
        return (Target("will", finite),), base
    if tense == "since" and "state" not in verb.options and verb.english != "be":
        words = (Target("been", finite), *english_words(verb, ing_form(verb.english), german, reflexive))
        return (Target(agree("have", agreement), finite),), words
    if tense in ("perfect", "since"):
        words = english_words(verb, verb.english_participle, german, reflexive)
        return (Target(agree("have", agreement), finite),), words
    if tense in ("passive", "past passive"):
        be = be_form(agreement, is_past=tense == "past passive")
        return (Target(be, finite),), english_words(verb, verb.english_participle, german)
    is_past = tense == "past"
    if verb.english == "be":
        words = english_words(verb, be_form(agreement, is_past=is_past), german, finite + reflexive)
        return words[:1], words[1:]
    if tense == "progressive":
        be_target = Target(be_form(agreement, is_past=False), finite)
        return (be_target,), english_words(verb, ing_form(verb.english), german, reflexive)
    if supported:
        return (Target(do_form(agreement, is_past=is_past), finite),), base
    first = verb.english_past if is_past else agree(verb.english, agreement)
    return (), english_words(verb, first, german, finite + reflexive if is_past else reflexive)


def verb_complex(
    verb: Verb, subject: Nominal, setting: Setting, *, verb_final: bool = False, supported: bool = False
) -> VerbComplex:
    """A verb with everything that its tense, its modal and its place in the clause ask for."""
    german = german_verb(verb, subject.agreement, setting, verb_final=verb_final)
    reflexive = Source(subject.anaphor.german.reflexive) if verb.reflexive else None
    auxiliaries, words = english_verb(
        verb, subject.agreement, setting, german, (reflexive,) if reflexive else (), supported=supported
    )
    return VerbComplex(german.finite, german.tail, reflexive, auxiliaries, words)


# Clauses

# The order of the German middle field and of what follows the English verb. A definite object stands after
# the time, but before it in a negated clause; an indefinite one comes late.
_BEGINNING, _REST = (
    "pronoun dative recipient",
    "already yet negation manner means place indefinite complement",
)
MIDDLE = f"{_BEGINNING} time frequency definite duration {_REST}"
NEGATED_MIDDLE = f"{_BEGINNING} definite duration time {_REST}"
ENGLISH_END = "pronoun dative definite indefinite recipient manner complement place means time duration yet"
ENGLISH_MIDDLE = "negation frequency already"

Slots = dict[str, Phrase]


@dataclass(frozen=True)
class Event:
    """A verb with its subject and everything else that is said, by slot (see MIDDLE)."""

    verb: Verb
    subject: Nominal
    slots: Slots = field(default_factory=dict)

    def plus(self, **slots: Phrase) -> Event:
        """The event with more slots filled."""
        return Event(self.verb, self.subject, self.slots | slots)

    def without(self, *names: str) -> Event:
        """The event with these slots empty."""
        return Event(
            self.verb, self.subject, {name: slot for name, slot in self.slots.items() if name not in names}
        )


def middle(
    event: Event, complex_: VerbComplex, *, subject: Phrase | None, fronted: str = ""
) -> tuple[Source, ...]:
    """The German middle field, with the subject where it is not in front."""
    reflexive: tuple[Source, ...] = (complex_.reflexive,) if complex_.reflexive else ()
    if subject is None:
        words = reflexive
    elif event.subject.is_pronoun or fronted == "final":
        words = subject.de + reflexive
    else:
        words = reflexive + subject.de
    for slot in (NEGATED_MIDDLE if "negation" in event.slots else MIDDLE).split():
        if slot in event.slots and slot != fronted:
            words += event.slots[slot].de
    return words


def english_side(
    event: Event,
    complex_: VerbComplex,
    subject: tuple[Target, ...],
    *,
    inverted: bool = False,
    fronted: str = "",
) -> tuple[Target, ...]:
    """The English clause: subject, auxiliary, not, adverb, verb and the rest."""

    def slots(names: str) -> tuple[Target, ...]:
        return tuple(
            word for name in names.split() if name != fronted for word in event.slots.get(name, Phrase()).en
        )

    first, others = complex_.auxiliaries[:1], complex_.auxiliaries[1:]
    head = first + subject if inverted else subject + first
    return head + slots(ENGLISH_MIDDLE) + others + complex_.verb + slots(ENGLISH_END)


def main_clause(event: Event, setting: Setting, front: str = "subject") -> Phrase:
    """A statement, verb second; `front` names what stands before the verb.

    English follows a fronted time; every other fronted phrase returns to its English place.
    """
    complex_ = verb_complex(event.verb, event.subject, setting, supported="negation" in event.slots)
    subject = event.subject.phrase("nom")
    front_phrase = subject if front == "subject" else event.slots[front]
    rest = middle(event, complex_, subject=None if front == "subject" else subject, fronted=front)
    is_first_in_both = front in ("time", "duration", "frequency")
    english = english_side(event, complex_, subject.en, fronted=front if is_first_in_both else "")
    return Phrase(
        (*front_phrase.de, complex_.finite, *rest, *complex_.tail),
        (front_phrase.en if is_first_in_both else ()) + english,
    )


def subordinate(event: Event, setting: Setting, opener: Phrase | None = None) -> Phrase:
    """A clause with the verb at the end, after a conjunction, a question word or a relative pronoun."""
    complex_ = verb_complex(
        event.verb, event.subject, setting, verb_final=True, supported="negation" in event.slots
    )
    subject, opener = event.subject.phrase("nom"), opener or Phrase()
    words = middle(event, complex_, subject=subject, fronted="final")
    return opener + Phrase(
        words + complex_.tail + (complex_.finite,), english_side(event, complex_, subject.en)
    )


def question(event: Event, setting: Setting, asked: Phrase | None = None) -> Phrase:
    """A question, with `asked` in front or with the verb first."""
    complex_ = verb_complex(event.verb, event.subject, setting, supported=True)
    subject, asked = event.subject.phrase("nom"), asked or Phrase()
    rest = middle(event, complex_, subject=subject)
    return asked + Phrase(
        (complex_.finite, *rest, *complex_.tail), english_side(event, complex_, subject.en, inverted=True)
    )


def verb_first_clause(event: Event, setting: Setting) -> Phrase:
    """A statement without what stands before its German verb."""
    complex_ = verb_complex(event.verb, event.subject, setting, supported="negation" in event.slots)
    subject = event.subject.phrase("nom")
    german = (complex_.finite, *middle(event, complex_, subject=subject), *complex_.tail)
    return Phrase(german, english_side(event, complex_, subject.en))


def infinitive_clause(event: Event, opener: Phrase | None = None) -> Phrase:
    """`das Buch zu lesen` ↔ `to read the book`, after `um` or a comma."""
    verb, opener = event.verb, opener or Phrase()
    reflexive = Source(event.subject.anaphor.german.reflexive) if verb.reflexive else None
    if verb.prefix:
        content = to = Source(verb.prefix + "zu" + verb.stem_infinitive)
        tail: tuple[Source, ...] = (content,)
    else:
        to, content = Source("zu"), Source(verb.infinitive)
        tail = (to, content)
    words = english_words(
        verb, verb.english, GermanVerb(content, (), content), (reflexive,) if reflexive else ()
    )
    complex_ = VerbComplex(content, (), reflexive, (), (Target("to", (to,)), *words))
    return opener + Phrase(middle(event, complex_, subject=None) + tail, english_side(event, complex_, ()))


def request(event: Event) -> Phrase:
    """`Ruf bitte deine Schwester an` ↔ `Please call your sister`."""
    verb = event.verb
    stem, prefix = Source(imperative(verb)), Source(verb.prefix) if verb.prefix else None
    reflexive = Source("dich") if verb.reflexive else None
    words = english_words(
        verb, verb.english, GermanVerb(stem, (), stem, prefix), (reflexive,) if reflexive else ()
    )
    complex_ = VerbComplex(stem, (), reflexive, (), words)
    please = pair("bitte", "please")
    rest = middle(event.without("pronoun"), complex_, subject=None)
    pronoun = event.slots.get("pronoun", Phrase()).de
    reflexives, rest = (rest[:1], rest[1:]) if reflexive else ((), rest)
    german = (stem, *reflexives, *pronoun, *please.de, *rest, *((prefix,) if prefix else ()))
    return Phrase(german, please.en + english_side(event, complex_, ()))
