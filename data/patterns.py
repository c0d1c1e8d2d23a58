"""The sentence patterns of the sample grammar: every function makes one kind of sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace

from . import draw as drawing
from . import lexicon
from .clauses import (
    Event,
    Setting,
    VerbComplex,
    agree,
    be_form,
    english_side,
    english_verb,
    german_verb,
    infinitive_clause,
    main_clause,
    middle,
    question,
    request,
    subordinate,
    verb_complex,
    verb_first_clause,
)
from .draw import ANIMALS, HUMAN, PEOPLE, Draw, event, frequency, timed
from .grammar import (
    DEFINITE,
    HOW_MANY,
    ME,
    NO,
    SILENT_A,
    SILENT_THE,
    THE,
    THIRD_PERSON,
    THIRD_SINGULAR,
    THIS,
    WE,
    WHICH,
    YOU,
    Agreement,
    Case,
    Name,
    Nominal,
    NounPhrase,
    Phrase,
    Pronoun,
    SentencePair,
    Source,
    Target,
    aligned,
    comma,
    form,
    pair,
    possessive,
    prepositional,
    spell,
)
from .lexicon import CAUSES, MEN, MODALS, NOUNS, OCCASIONS, SPECIAL_VERBS, VERBS, WOMEN, Noun, Verb

PRESENT, PAST, FUTURE, PERFECT = Setting(), Setting("past"), Setting("future"), Setting("perfect")
QUESTION_MARK, EXCLAMATION_MARK = "?", "!"
NOT = "nicht:not"


def end(phrase: Phrase, mark: str = ".") -> Phrase:
    """The sentence with its last mark."""
    return phrase + pair(mark, mark)


def modal(draw: Draw, *, is_past: bool = False, says: tuple[str, ...] = ()) -> Setting:
    """A setting with a modal verb of the present or the past; `says` limits it by its first English word."""
    modals = [m for m in MODALS if m.is_past == is_past and (not says or m.english[0] in says)]
    return Setting(modal=draw.deal(("modal", is_past, says), modals))


def coming(draw: Draw) -> Setting:
    """What is to come: the future, or a modal verb."""
    return FUTURE if draw.chance(0.3) else modal(draw)


def is_momentary(verb: Verb) -> bool:
    """Whether the verb is said of single events rather than of habits and plans."""
    return bool({"past", "rare", "happens"} & set(verb.options))


def does_something_to_a_thing(verb: Verb) -> bool:
    """Whether the direct object is a thing, and the only object."""
    return not (
        (PEOPLE | ANIMALS) & set(verb.accusative) or verb.recipient or verb.dative or verb.prepositions
    )


def does_something_to_people(verb: Verb) -> bool:
    """Whether the direct object is somebody."""
    return set(verb.accusative) <= PEOPLE


def is_human(verb: Verb) -> bool:
    """Whether people do it."""
    return bool(HUMAN & set(verb.subject))


def time_or_subject(draw: Draw) -> str:
    """What stands first."""
    return draw.word("time subject")


# Statements


def habit(draw: Draw) -> Phrase:
    """Der Lehrer liest jeden Abend ein Buch."""
    return end(main_clause(timed(draw, event(draw), "habit"), PRESENT))


def habit_time_first(draw: Draw) -> Phrase:
    """Jeden Abend liest der Lehrer ein Buch."""
    return end(main_clause(timed(draw, event(draw), "habit"), PRESENT, "time"))


def how_often(draw: Draw) -> Phrase:
    """Der Lehrer liest oft ein Buch ↔ The teacher often reads a book."""
    return end(main_clause(event(draw).plus(frequency=frequency(draw)), PRESENT))


def sometimes_first(draw: Draw) -> Phrase:
    """Manchmal liest der Lehrer ein Buch."""
    adverb = aligned(draw.word("manchmal:sometimes meistens:usually"))
    return end(main_clause(event(draw).plus(frequency=adverb), PRESENT, "frequency"))


def past(draw: Draw) -> Phrase:
    """Der Lehrer hat gestern ein Buch gelesen."""
    return end(main_clause(timed(draw, event(draw, "past"), "past"), PAST))


def past_time_first(draw: Draw) -> Phrase:
    """Gestern hat der Lehrer ein Buch gelesen."""
    return end(main_clause(timed(draw, event(draw, "past"), "past"), PAST, "time"))


def place_first(draw: Draw) -> Phrase:
    """Im Garten hat der Lehrer gestern ein Buch gelesen ↔ The teacher read a book in the garden yesterday."""
    verb = draw.verb("past", draw.word("at at location"))
    happening = event(draw, verb=verb, is_plain=True)
    happening = happening.plus(place=drawing.some_place(draw, verb, verb.at or verb.location))
    if is_momentary(verb) or draw.chance(0.6):
        return end(main_clause(timed(draw, happening, "past"), PAST, "place"))
    return end(main_clause(happening.plus(frequency=frequency(draw)), PRESENT, "place"))


def object_first(draw: Draw) -> Phrase:
    """Den Brief hat der Lehrer gestern geschrieben ↔ The teacher wrote the letter yesterday."""
    verb = draw.verb("past", "accusative", lambda verb: not (verb.dative or verb.prepositions))
    while True:
        actor = drawing.subject(draw, verb)
        thing = drawing.nominal_for(draw, verb, verb.accusative, actor, "definite")
        if is_clear(actor, thing):
            break
        draw.start_sentence()
    happening = Event(verb, actor, {"definite": thing.phrase("acc")})
    if draw.chance(0.35) and not is_momentary(verb) and is_human(verb):
        return end(main_clause(timed(draw, happening, "future"), coming(draw), "definite"))
    return end(main_clause(timed(draw, happening, "past"), PAST, "definite"))


def is_clear(actor: Nominal, thing: Nominal) -> bool:
    """Whether the cases or the verb show which of the two is the object, so that it may stand first."""

    def shows_case(nominal: Nominal) -> bool:
        return nominal.phrase("nom").de[0].text != nominal.phrase("acc").de[0].text

    return shows_case(actor) or shows_case(thing) or actor.agreement != thing.agreement


def person_first(draw: Draw) -> Phrase:
    """Dem Kind hat die Mutter gestern ein Buch geschenkt ↔ The mother gave the child a book yesterday."""
    happening = event(draw, "past", frame="dative", is_plain=True)
    front = "dative" if "dative" in happening.slots else "time"
    return end(main_clause(timed(draw, happening, "past"), PAST, front))


def with_modal(draw: Draw) -> Phrase:
    """Der Lehrer will heute ein Buch lesen."""
    return end(main_clause(timed(draw, event(draw, "modal"), "future"), modal(draw)))


def modal_time_first(draw: Draw) -> Phrase:
    """Morgen muss der Lehrer einen Brief schreiben."""
    return end(main_clause(timed(draw, event(draw, "modal"), "future"), modal(draw), "time"))


def modal_past(draw: Draw) -> Phrase:
    """Gestern wollte der Lehrer einen Brief schreiben."""
    setting = modal(draw, is_past=True)
    return end(main_clause(timed(draw, event(draw, "modal"), "past"), setting, time_or_subject(draw)))


def future(draw: Draw) -> Phrase:
    """Morgen wird der Lehrer einen Brief schreiben."""
    return end(main_clause(timed(draw, event(draw, "modal"), "future"), FUTURE, time_or_subject(draw)))


def progressive(draw: Draw) -> Phrase:
    """Der Lehrer schreibt gerade einen Brief ↔ The teacher is writing a letter right now."""
    now = pair("gerade", "right now")
    return end(main_clause(event(draw, "active").plus(time=now), Setting("progressive")))


def already(draw: Draw) -> Phrase:
    """Der Lehrer hat den Brief schon geschrieben ↔ The teacher has already written the letter."""
    happening = event(draw, "active", kind="definite", frame="accusative", is_plain=True)
    return end(main_clause(happening.plus(already=pair("schon", "already")), PERFECT))


def not_yet(draw: Draw) -> Phrase:
    """Der Lehrer hat den Brief noch nicht geschrieben ↔ The teacher has not written the letter yet."""
    happening = event(draw, "active", kind="definite", frame="accusative", is_plain=True)
    return end(main_clause(happening.plus(yet=pair("noch", "yet"), negation=aligned(NOT)), PERFECT))


FUN = """lesen schreiben kaufen essen trinken kochen backen malen zeichnen fotografieren singen lernen spielen
pflanzen pflücken planen feiern fernsehen einkaufen tanzen"""


def is_fun(verb: Verb) -> bool:
    """Whether one says of it that somebody does it gern."""
    return verb.infinitive in FUN.split()


def feels(draw: Draw) -> Phrase:
    """Meine Schwester liebt ihren kleinen Hund; interessiert sie sich für Kunst?"""
    kind = draw.word("statement statement negated negated question")
    happening = event(draw, "state", kind="any" if kind == "statement" else "definite")
    if kind == "question":
        return end(question(happening, PRESENT), QUESTION_MARK)
    if kind == "negated" and "indefinite" not in happening.slots:
        happening = happening.plus(negation=aligned(NOT))
    return end(main_clause(happening, PRESENT))


def likes_to(draw: Draw) -> Phrase:
    """Der Lehrer liest gern spannende Bücher ↔ The teacher likes to read exciting books."""
    verb = draw.verb("active", "", is_fun)
    happening = event(draw, "human", verb=verb, kind="bare", third=True).without("manner")
    happening = happening.plus(manner=Phrase((Source("gern"),)))
    actor, clause = happening.subject.phrase("nom"), verb_complex(verb, happening.subject, PRESENT)
    first, *particles = clause.verb
    likes = Target(agree("like", happening.subject.agreement), happening.slots["manner"].de)
    words = (likes, Target("to", (clause.finite,)), Target(verb.english, first.sources), *particles)
    german = (*actor.de, clause.finite, *middle(happening, clause, subject=None), *clause.tail)
    return end(Phrase(german, english_side(happening, replace(clause, verb=words), actor.en)))


# Negation


def negated(draw: Draw, suitable: str) -> Event:
    """Something that is not done, with nicht."""
    while True:
        happening = event(draw, suitable, kind="definite", is_plain=True)
        if not {"indefinite", "place"} & set(happening.slots):
            return happening.plus(negation=aligned(NOT))
        draw.start_sentence()


def does_not(draw: Draw) -> Phrase:
    """Am Wochenende liest der Lehrer die Zeitung nicht."""
    return end(main_clause(timed(draw, negated(draw, "habit"), "denied"), PRESENT, time_or_subject(draw)))


def did_not(draw: Draw) -> Phrase:
    """Gestern hat der Lehrer die Zeitung nicht gelesen."""
    return end(main_clause(timed(draw, negated(draw, "past"), "past"), PAST, time_or_subject(draw)))


def must_not(draw: Draw) -> Phrase:
    """Der Lehrer will die Zeitung heute nicht lesen."""
    is_past = draw.chance(0.3)
    happening = timed(draw, negated(draw, "modal"), "past" if is_past else "future")
    return end(main_clause(happening, modal(draw, is_past=is_past), time_or_subject(draw)))


def no_thing(draw: Draw) -> Phrase:
    """Der Lehrer kauft heute kein Brot ↔ The teacher does not buy any bread today."""
    while True:
        happening = event(draw, "denied", frame="accusative", kind="negative", is_plain=True)
        if "negation" in happening.slots:
            break
        draw.start_sentence()
    if "state" in happening.verb.options:
        return end(main_clause(happening, PRESENT))
    kind, setting = draw.deal(
        "no", [("past", PAST), ("future", FUTURE), ("future", None), ("denied", PRESENT)]
    )
    return end(main_clause(timed(draw, happening, kind), setting or modal(draw), time_or_subject(draw)))


# Questions


def whether_habit(draw: Draw) -> Phrase:
    """Liest der Lehrer jeden Tag die Zeitung?"""
    happening = event(draw, "human", actor=drawing.person_asked_about(draw), verb=person_verb(draw, "habit"))
    return end(question(timed(draw, happening, "habit"), PRESENT), QUESTION_MARK)


def whether_past(draw: Draw) -> Phrase:
    """Hat der Lehrer gestern die Zeitung gelesen?"""
    happening = event(draw, "past", actor=drawing.person_asked_about(draw), verb=person_verb(draw, "past"))
    return end(question(timed(draw, happening, "past"), PAST), QUESTION_MARK)


def whether_modal(draw: Draw) -> Phrase:
    """Kann der Lehrer morgen den Brief schreiben?"""
    happening = event(draw, "modal", actor=drawing.person_asked_about(draw), verb=person_verb(draw, "modal"))
    return end(question(timed(draw, happening, "future"), modal(draw)), QUESTION_MARK)


def person_verb(draw: Draw, suitable: str) -> Verb:
    """A verb for any grown-up as the subject."""
    return draw.verb(suitable, "", lambda verb: bool({"person", "adult"} & set(verb.subject)))


def ask(draw: Draw, happening: Event, asked: Phrase) -> Phrase:
    """A question with a question word, about the past, the future or a habit."""
    kind, setting = draw.deal("asked", [("past", PAST), ("past", PAST), ("future", None), ("habit", PRESENT)])
    if is_momentary(happening.verb):
        kind, setting = "past", PAST
    return end(question(timed(draw, happening, kind), setting or modal(draw), asked), QUESTION_MARK)


def what(draw: Draw) -> Phrase:
    """Was hat der Lehrer gestern gelesen?"""
    verb = draw.verb("past", "accusative", lambda verb: is_human(verb) and does_something_to_a_thing(verb))
    happening = event(draw, verb=verb, actor=drawing.person_asked_about(draw), kind="none", is_plain=True)
    return ask(draw, happening, pair("was", "what"))


def whom(draw: Draw) -> Phrase:
    """Wen hat der Lehrer gestern besucht? Wem will der Lehrer morgen helfen?"""
    case = draw.word("wen wem")
    if case == "wen":
        verb = draw.verb("past", "accusative", does_something_to_people)
    else:
        verb = draw.verb("past", "dative", lambda verb: not verb.accusative)
    happening = event(draw, verb=verb, actor=drawing.person_asked_about(draw), kind="none", is_plain=True)
    return ask(draw, happening, pair(case, "who"))


@dataclass(frozen=True)
class Impersonal:
    """A subject that is only a word: wer ↔ who, or the es of es regnet ↔ it rains."""

    german: str
    english: str
    is_pronoun: bool = True
    agreement: Agreement = THIRD_SINGULAR
    anaphor: Pronoun = THIRD_PERSON["m"]

    def phrase(self, case: Case) -> Phrase:
        """The word, which has no other case."""
        assert case == "nom", "an impersonal subject stands in the nominative"
        return pair(self.german, self.english)


WHO, WEATHER = Impersonal("wer", "who"), Impersonal("es", "it")


def who(draw: Draw) -> Phrase:
    """Wer hat gestern die Zeitung gelesen?"""
    happening = event(draw, "past", verb=person_verb(draw, "past"), actor=WHO)
    if is_momentary(happening.verb) or draw.chance(0.7):
        return end(main_clause(timed(draw, happening, "past"), PAST), QUESTION_MARK)
    return end(main_clause(timed(draw, happening, "future"), modal(draw)), QUESTION_MARK)


def when_or_why(draw: Draw) -> Phrase:
    """Warum hat der Lehrer die Zeitung gekauft?"""
    asked = aligned(draw.word("wann:when warum:why"))
    actor = drawing.person_asked_about(draw)
    happening = event(
        draw, "past", verb=person_verb(draw, "past"), actor=actor, kind="definite", is_plain=True
    )
    if is_momentary(happening.verb) or draw.chance(0.6):
        return end(question(happening, PAST, asked), QUESTION_MARK)
    return end(question(happening, modal(draw, is_past=draw.chance(0.5)), asked), QUESTION_MARK)


def where(draw: Draw) -> Phrase:
    """Wo hat der Lehrer gestern gearbeitet? Wohin ist der Lehrer gestern gegangen?"""
    frame = draw.word("location direction at at")
    verb, actor = draw.verb("past", frame), None
    if is_human(verb):
        actor = drawing.person_asked_about(draw)
    happening = event(draw, verb=verb, actor=actor, kind="definite", is_plain=True).without("place")
    if frame == "direction":
        return ask(draw, happening.without("complement"), pair("wohin", "where"))
    return ask(draw, happening, pair("wo", "where"))


def which(draw: Draw) -> Phrase:
    """Welches Buch hat der Lehrer gestern gelesen? Wie viele Bücher will er morgen lesen?"""
    verb = draw.verb("past", "accusative", lambda verb: is_human(verb) and does_something_to_a_thing(verb))
    noun = draw.noun(verb.accusative)
    draw.combinations.add((verb.lemma, noun.singular))
    happening = event(draw, verb=verb, actor=drawing.person_asked_about(draw), kind="none", is_plain=True)
    if noun.is_mass or draw.chance(0.5):
        asked = drawing.described(draw, noun, WHICH)
    else:
        asked = NounPhrase(noun, HOW_MANY, plural=True)
    return ask(draw, happening, asked.phrase("acc"))


def how_old(draw: Draw) -> Phrase:
    """Wie alt wird deine Schwester im Mai?"""
    happening = Event(SPECIAL_VERBS["sein"], drawing.person_asked_about(draw))
    return end(question(happening, PRESENT, aligned("wie:how alt:old")), QUESTION_MARK)


# Subordinate clauses

GO = next(verb for verb in VERBS if verb.infinitive == "gehen")
ABLE_OR_WILLING, WISH = ("can", "could", "want"), ("want", "have", "would")
FEELINGS = "krank:ill müde:tired hungrig:hungry durstig:thirsty traurig:sad nervös:nervous"
WEATHERS = "regnen schneien kalt:cold warm:warm heiß:hot windig:windy neblig:foggy"


def be(draw: Draw, somebody: Nominal, noun: Noun | None = None, *, very: float = 0.25) -> Event:
    """Somebody who feels something, or somebody or something with a quality."""
    if not noun or ("person" in noun.tags and draw.chance(0.3)):
        quality = aligned(draw.word(FEELINGS))
    else:
        chosen = draw.deal(("adjective", noun), drawing.adjectives_for(noun))
        quality = pair(chosen.german, chosen.english)
        very = very if chosen.comparative else 0
    if draw.chance(very):
        quality = pair("sehr", "very") + quality
    return Event(SPECIAL_VERBS["sein"], somebody, {"complement": quality})


def weather(draw: Draw) -> Event:
    """es regnet, es ist sehr kalt."""
    kind = draw.word(WEATHERS)
    if kind in SPECIAL_VERBS:
        return Event(SPECIAL_VERBS[kind], WEATHER)
    quality = pair("sehr", "very") + aligned(kind) if draw.chance(0.3) else aligned(kind)
    return Event(SPECIAL_VERBS["sein"], WEATHER, {"complement": quality})


def can_be_referred_to(somebody: Nominal) -> bool:
    """Whether a pronoun for it is he, she or they: not it."""
    return somebody.anaphor.english.subject != "it"


def because(draw: Draw) -> Phrase:
    """Der Lehrer konnte nicht arbeiten, weil er krank war ↔ The teacher could not work because he was ill."""
    is_past = draw.chance(0.6)
    tense = PAST if is_past else PRESENT
    kind = draw.word("because although wish")
    if kind == "wish":
        return because_of_a_wish(draw, is_past=is_past)
    if kind == "because":
        happening, setting = negated(draw, "modal"), modal(draw, is_past=is_past, says=ABLE_OR_WILLING)
    else:
        happening, setting = event(draw, "past" if is_past else "human", is_plain=True), tense
    somebody = happening.subject.anaphor
    if can_be_referred_to(happening.subject) and draw.chance(0.7):
        reason = be(draw, somebody)
    else:
        reason = weather(draw)
        tense = Setting("progressive") if reason.verb.english != "be" and not is_past else tense
    opener = aligned("obwohl:although" if kind == "although" else "weil:because")
    return end(main_clause(happening, setting) + comma() + subordinate(reason, tense, opener))


def because_of_a_wish(draw: Draw, *, is_past: bool) -> Phrase:
    """Anna geht in die Stadt, weil sie ein Buch kaufen will."""
    verb, actor = draw.verb("willing", "at"), drawing.person(draw)
    going = Event(GO, actor, {"complement": drawing.some_place(draw, verb, verb.at, where_to=True)})
    wish = event(draw, "modal", actor=actor.anaphor, verb=verb, is_plain=True)
    setting = modal(draw, is_past=is_past, says=WISH)
    clause = subordinate(wish, setting, pair("weil", "because"))
    return end(main_clause(going, PAST if is_past else PRESENT) + comma() + clause)


def after(clause: Phrase, happening: Event, setting: Setting) -> Phrase:
    """The main clause after a subordinate clause, which counts as the first phrase of the German one."""
    return end(clause + pair(",", ",") + verb_first_clause(happening, setting))


def when_first(draw: Draw) -> Phrase:
    """Wenn der Lehrer müde ist, liest er ein Buch ↔ When the teacher is tired, he reads a book."""
    conjunction = draw.word("wenn:when wenn:when weil:because obwohl:although")
    if conjunction.startswith("weil"):
        happening, setting = negated(draw, "modal"), modal(draw, says=ABLE_OR_WILLING)
    else:
        happening, setting = event(draw, "human", is_plain=True), PRESENT
    somebody = happening.subject
    if somebody.is_pronoun or not can_be_referred_to(somebody) or draw.chance(0.35):
        condition, pronoun = weather(draw), somebody
    else:
        condition, pronoun = be(draw, somebody), somebody.anaphor
    is_now = condition.verb.english != "be" and not conjunction.startswith("wenn")
    clause = subordinate(condition, Setting("progressive") if is_now else PRESENT, aligned(conjunction))
    return after(clause, Event(happening.verb, pronoun, happening.slots), setting)


def says_that(draw: Draw) -> Phrase:
    """Der Lehrer glaubt, dass die Schüler den Ball verloren haben."""
    verb = SPECIAL_VERBS[draw.word("wissen glauben sagen hoffen hören")]
    speaker = Event(verb, drawing.person(draw))
    return end(main_clause(speaker, PRESENT) + comma() + reported(draw, pair("dass", "that")))


def reported(draw: Draw, opener: Phrase) -> Phrase:
    """A subordinate clause about the past, the future or a habit."""
    kind = draw.word("past past past future future future habit state")
    suitable = {"past": "past", "future": "modal", "habit": "human", "state": "state"}[kind]
    happening = event(draw, suitable, third=True)
    if kind != "state" and draw.chance(0.4):
        happening = timed(draw, happening, kind)
    setting = {"past": PAST, "future": modal(draw)}.get(kind, PRESENT)
    return subordinate(happening, setting, opener)


def asks_if(draw: Draw) -> Phrase:
    """Die Mutter fragt, ob die Kinder das Zimmer aufgeräumt haben."""
    verb = SPECIAL_VERBS[draw.word("fragen wissen")]
    slots = {"negation": aligned(NOT)} if verb.infinitive == "wissen" else {}
    opener = aligned(draw.word("ob:whether ob:whether warum:why"))
    return end(
        main_clause(Event(verb, drawing.person(draw), slots), PRESENT) + comma() + reported(draw, opener)
    )


def before_or_while(draw: Draw) -> Phrase:
    """Anna hat ein Buch gelesen, während Peter gekocht hat ↔ Anna read a book while Peter cooked."""
    opener = aligned(draw.word("während:while bevor:before"))
    setting, suitable = (PAST, "active") if draw.chance(0.75) else (PRESENT, "human")
    first = event(draw, suitable, is_plain=True, third=True, verb=person_verb(draw, "active"))
    second = event(draw, suitable, is_plain=True, third=True, verb=person_verb(draw, "active"))
    return end(main_clause(first, setting) + comma() + subordinate(second, setting, opener))


def but(draw: Draw) -> Phrase:
    """Anna will ein Buch lesen, aber Peter möchte Fußball spielen."""
    conjunction = draw.word("aber:but und:and")
    first = main_clause(event(draw, "modal", is_plain=True, third=True), modal(draw))
    second = main_clause(event(draw, "modal", is_plain=True, third=True), modal(draw))
    mark = pair(",", ",") if conjunction.startswith("aber") else Phrase()
    return end(first + mark + aligned(conjunction) + second)


# Relative clauses


def relative_form(antecedent: NounPhrase, case: Case) -> str:
    """The German relative pronoun."""
    is_dative_plural = case == "dat" and antecedent.gender == "p"
    return "denen" if is_dative_plural else form(DEFINITE, case, antecedent.gender)


@dataclass(frozen=True)
class Relative:
    """The relative pronoun as a subject, agreeing with the person it stands for."""

    antecedent: NounPhrase
    is_pronoun: bool = True

    @property
    def agreement(self) -> Agreement:
        """That of the antecedent."""
        return self.antecedent.agreement

    @property
    def anaphor(self) -> Pronoun:
        """That of the antecedent."""
        return self.antecedent.anaphor

    def phrase(self, case: Case) -> Phrase:
        """der ↔ who."""
        return pair(relative_form(self.antecedent, case), "who")


@dataclass(frozen=True)
class WithClause:
    """A noun phrase with its relative clause, between commas in German."""

    head: NounPhrase
    clause: Phrase
    is_pronoun: bool = False

    @property
    def agreement(self) -> Agreement:
        """That of the head."""
        return self.head.agreement

    @property
    def anaphor(self) -> Pronoun:
        """That of the head."""
        return self.head.anaphor

    def phrase(self, case: Case) -> Phrase:
        """The noun phrase in a case, with its clause."""
        return self.head.phrase(case) + comma() + self.clause + comma()


def who_does(draw: Draw) -> Phrase:
    """Der Mann, der im Garten arbeitet, ist mein Onkel."""
    somebody = NounPhrase(draw.noun(("adult",)), draw.deal("the", [THE, THE, THIS]), plural=draw.chance(0.15))
    suitable, setting = draw.deal("who does", [("human", PRESENT), ("past", PAST)])
    clause = subordinate(event(draw, actor=Relative(somebody), verb=person_verb(draw, suitable)), setting)
    whole = WithClause(somebody, clause)
    if draw.chance(0.3) and not somebody.plural:
        owner = possessive(draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]]))
        tags = {"m": ("Onkel", "Vater", "Bruder", "Cousin"), "f": ("Tante", "Mutter", "Schwester")}
        relation = draw.deal(
            ("is", somebody.gender), [n for n in NOUNS if n.singular in tags[somebody.gender]]
        )
        complement = NounPhrase(relation, owner).phrase("nom")
        return end(main_clause(Event(SPECIAL_VERBS["sein"], whole, {"complement": complement}), PRESENT))
    return end(main_clause(be(draw, whole, somebody.noun), PRESENT))


def describable(draw: Draw, tags: tuple[str, ...]) -> Noun:
    """A noun with one of the tags that adjectives go with, and that is not a dish (vegetables *are*)."""
    return draw.noun(
        tags, lambda noun: bool(drawing.adjectives_for(noun)) and not {"dish", "kin"} & noun.tags
    )


def thing_done(draw: Draw) -> Phrase:
    """Das Buch, das der Lehrer gelesen hat, ist spannend ↔ The book that the teacher read is exciting."""
    verb = draw.verb("past", "accusative", lambda verb: is_human(verb) and does_something_to_a_thing(verb))
    noun = describable(draw, verb.accusative)
    draw.combinations.add((verb.lemma, noun.singular))
    thing = NounPhrase(noun, THE, plural=not noun.is_mass and draw.chance(0.2))
    happening = event(draw, verb=verb, kind="none", is_plain=True)
    happening = timed(draw, happening, "past") if draw.chance(0.4) else happening
    clause = subordinate(happening, PAST, pair(relative_form(thing, "acc"), "that"))
    return end(main_clause(be(draw, WithClause(thing, clause), noun), PRESENT))


def seen_who(draw: Draw) -> Phrase:
    """Gestern hat Anna den Mann getroffen, der im Garten arbeitet."""
    verb = draw.verb("past", "accusative", does_something_to_people)
    somebody = NounPhrase(draw.noun(("adult",)), THE, plural=draw.chance(0.2))
    draw.combinations.add((verb.lemma, somebody.noun.singular))
    happening = Event(verb, drawing.person(draw), {"definite": somebody.phrase("acc")})
    doing = event(draw, verb=person_verb(draw, "human"), actor=Relative(somebody), is_plain=True)
    main = main_clause(timed(draw, happening, "past"), PAST, "time")
    return end(main + comma() + subordinate(doing, PRESENT))


def where_one_is(draw: Draw) -> Phrase:
    """Der Garten, in dem er arbeitet, ist schön ↔ The garden in which he works is beautiful."""
    verb = draw.verb("habit", "location")
    place = draw.place(verb.location)
    while not drawing.adjectives_for(place.noun):
        place = draw.place(verb.location)
    draw.combinations.add((verb.lemma, place.noun.singular))
    spot = NounPhrase(place.noun)
    opener = pair(*place.where) + pair(relative_form(spot, "dat"), "which")
    clause = subordinate(Event(verb, drawing.subject(draw, verb, third=True)), PRESENT, opener)
    return end(main_clause(be(draw, WithClause(spot, clause), place.noun), PRESENT))


# Infinitives


def in_order_to(draw: Draw) -> Phrase:
    """Anna geht in den Park, um ein Buch zu lesen ↔ Anna goes into the park in order to read a book."""
    verb, actor = draw.verb("willing", "at"), drawing.person(draw)
    going = Event(GO, actor, {"complement": drawing.some_place(draw, verb, verb.at, where_to=True)})
    purpose = event(draw, verb=verb, actor=actor, is_plain=True)
    kind = draw.word("past habit future")
    setting = {"past": PAST, "habit": PRESENT}.get(kind) or coming(draw)
    front = "subject"
    if kind != "habit":
        going, front = timed(draw, going, kind), "time"
    return end(
        main_clause(going, setting, front) + comma() + infinitive_clause(purpose, pair("um", "in order"))
    )


def tries_to(draw: Draw) -> Phrase:
    """Das Kind hat versucht, den Ball zu fangen ↔ The child tried to catch the ball."""
    verb, somebody = (
        SPECIAL_VERBS[draw.word("versuchen versprechen beschließen hoffen")],
        drawing.person(draw),
    )
    purpose = event(draw, "active", actor=somebody, verb=person_verb(draw, "willing"), is_plain=True)
    if verb.infinitive == "hoffen":
        return end(
            main_clause(Event(verb, somebody), PRESENT)
            + comma()
            + infinitive_clause(timed(draw, purpose, "future"))
        )
    trying = main_clause(timed(draw, Event(verb, somebody), "past"), PAST, "time")
    return end(trying + comma() + infinitive_clause(purpose))


def please(draw: Draw) -> Phrase:
    """Ruf bitte morgen deine Schwester an!"""
    happening = event(draw, verb=person_verb(draw, "willing"), actor=YOU)
    if draw.chance(0.6):
        happening = happening.plus(time=aligned(draw.deal("please", drawing.TIMES["future"][0])))
    return end(request(happening), EXCLAMATION_MARK)


# Passive


def passive(draw: Draw) -> Phrase:
    """Der Kuchen wurde gestern von der Mutter gebacken ↔ The cake was baked by the mother yesterday."""
    verb = draw.verb(
        "active",
        "accusative",
        lambda verb: is_human(verb) and not (verb.dative or verb.prepositions or verb.recipient),
    )
    agent = drawing.person(draw, third=True)
    noun = draw.noun(verb.accusative, lambda noun: "dish" not in noun.tags)
    draw.combinations.add((verb.lemma, noun.singular))
    patient = drawing.definite(draw, noun, ME)
    happening = Event(verb, patient, {"complement": prepositional("von", "dat", "by", agent)})
    if is_momentary(verb) or draw.chance(0.6):
        return end(
            main_clause(timed(draw, happening, "past"), Setting("past passive"), time_or_subject(draw))
        )
    return end(main_clause(timed(draw, happening, "habit"), Setting("passive"), time_or_subject(draw)))


# What things are like

QUALIFIED = (
    "clothes",
    "book",
    "thing",
    "food",
    "animal",
    "event",
    "building",
    "part",
    "flower",
    "public",
    "room",
)
COMPARED = (
    "clothes book furniture device carryable vehicle animal room building person fruit reading question"
)


def plain(thing: NounPhrase) -> NounPhrase:
    """The noun phrase without its adjective."""
    return replace(thing, adjective=None, is_very=False)


def quality(draw: Draw) -> Phrase:
    """Die Jacke meiner Schwester ist sehr schmutzig."""
    noun = describable(draw, QUALIFIED)
    thing = plain(drawing.definite(draw, noun, ME)) if draw.chance(0.7) else NounPhrase(noun, THIS)
    happening = be(draw, thing, noun, very=0.4)
    happening = happening.plus(negation=aligned(NOT)) if draw.chance(0.4) else happening
    return end(main_clause(happening, PAST if draw.chance(0.4) else PRESENT))


def comparison(draw: Draw) -> Phrase:
    """Dieser Koffer ist schwerer als deine Tasche ↔ This suitcase is heavier than your bag."""
    kind = draw.word(COMPARED)
    while True:
        noun, other = draw.noun((kind,)), draw.noun((kind,))
        options = [a for a in drawing.adjectives_for(noun) if a.comparative and a.fits & other.tags]
        if options:
            break
        draw.start_sentence()
    chosen = draw.random.choice(options)
    first = NounPhrase(noun, draw.deal("compared", [THE, THIS, THIS]), plural=draw.chance(0.15))
    second = plain(drawing.definite(draw, other, ME)).phrase("nom")
    slots = {}
    if draw.chance(0.65):
        measure = pair(chosen.comparative, chosen.english_comparative) + pair("als", "than")
    else:
        measure = pair("so", "as") + pair(chosen.german, chosen.english) + pair("wie", "as")
        slots = {"negation": aligned(NOT)} if draw.chance(0.5) else {}
    happening = Event(SPECIAL_VERBS["sein"], first, {**slots, "complement": measure + second})
    return end(main_clause(happening, PAST if draw.chance(0.2) else PRESENT))


def age(draw: Draw) -> Phrase:
    """Mein Bruder wird nächste Woche zwölf Jahre alt ↔ My brother will be twelve years old next week."""
    is_child = draw.chance(0.5)
    years = aligned(
        draw.word(lexicon.NUMBERS if is_child else lexicon.LARGE_NUMBERS) + " Jahre:years alt:old"
    )
    somebody = drawing.person(draw, ("child",) if is_child else ("adult",))
    happening = Event(SPECIAL_VERBS["sein"], somebody, {"complement": years})
    if draw.chance(0.5):
        return end(main_clause(timed(draw, happening, "future"), Setting("becoming"), time_or_subject(draw)))
    return end(main_clause(happening, PRESENT))


def price(draw: Draw) -> Phrase:
    """Das Fahrrad hat gestern hundert Euro gekostet ↔ The bicycle cost a hundred euros yesterday."""
    noun = draw.noun(("clothes", "device", "furniture", "book", "luggage"))
    thing = drawing.described(draw, noun, draw.deal("priced", [THE, THIS]))
    money = aligned(draw.word(lexicon.LARGE_NUMBERS) + " Euro:euros")
    happening = Event(SPECIAL_VERBS["kosten"], thing, {"complement": money})
    if draw.chance(0.4):
        return end(main_clause(timed(draw, happening, "past"), PAST, time_or_subject(draw)))
    return end(main_clause(happening, PRESENT))


RELATIVES = {
    "m": ("Vater", "Bruder", "Sohn", "Onkel", "Cousin", "Enkel"),
    "f": ("Mutter", "Schwester", "Tochter", "Tante"),
}
NO_PROFESSIONS = ("Mann", "Frau", "Gast", "Tourist", "Königin", "Nachbar", "Nachbarin", "Chef")
PROFESSIONS = [noun for noun in NOUNS if "adult" in noun.tags and noun.singular not in NO_PROFESSIONS]


def profession(draw: Draw) -> Phrase:
    """Meine Schwester will Ärztin werden ↔ My sister wants to become a doctor."""
    noun = draw.deal("professions", PROFESSIONS)
    somebody: Nominal
    if draw.chance(0.5):
        somebody = Name(draw.deal(("name", noun.gender), {"m": MEN, "f": WOMEN}[noun.gender]))
    else:
        relative = draw.deal(
            ("relative", noun.gender), [n for n in NOUNS if n.singular in RELATIVES[noun.gender]]
        )
        somebody = NounPhrase(relative, possessive(draw.deal("owners", [ME, YOU, WE, THIRD_PERSON["m"]])))
    job = {"complement": NounPhrase(noun, SILENT_A).phrase("nom")}
    kind = draw.word("modal past since")
    if kind == "modal":
        return end(main_clause(Event(SPECIAL_VERBS["werden"], somebody, job), modal(draw)))
    if kind == "past":
        happening = timed(draw, Event(SPECIAL_VERBS["werden"], somebody, job), "past")
        return end(main_clause(happening, PAST, time_or_subject(draw)))
    happening = Event(SPECIAL_VERBS["sein"], somebody, job | {"duration": for_some_time(draw, lexicon.UNITS)})
    return end(main_clause(happening, Setting("since"), draw.word("duration subject")))


EXISTING = (
    ("public", ("site",)),
    ("animal", ("garden", "nature")),
    ("plant", ("garden", "leisure")),
    ("flower", ("garden", "leisure")),
    ("furniture", ("room",)),
    ("device", ("room",)),
    ("building", ("site",)),
)


def exists(draw: Draw) -> Phrase:
    """In der Stadt gibt es drei Kirchen ↔ There are three churches in the city."""
    kind, places = draw.deal("exists", EXISTING)
    noun, place = draw.noun((kind,)), drawing.place_phrase(draw.place(places))
    draw.combinations.add(("geben/be", noun.singular))
    is_negative, is_past = draw.chance(0.25), draw.chance(0.3)
    thing = NounPhrase(noun, NO) if is_negative else drawing.indefinite(draw, noun)
    things = thing.phrase("acc")
    finite, there = Source("gab" if is_past else "gibt"), Source("es")
    front, rest = (place.de, (there,)) if draw.chance(0.5) else ((there,), place.de)
    be_word = Target(be_form(thing.agreement, is_past=is_past), (finite,))
    english = (Target("there", (there,)), be_word, *things.en, *place.en)
    return end(Phrase((*front, finite, *rest, *things.de), english))


def for_some_time(draw: Draw, units: str) -> Phrase:
    """seit drei Jahren ↔ for three years."""
    return pair("seit", "for") + aligned(f"{draw.word(lexicon.NUMBERS)} {draw.word(units)}")


LASTING = "wohnen arbeiten lernen kennen warten vermissen suchen schlafen sitzen"


def since(draw: Draw) -> Phrase:
    """Anna wohnt seit drei Jahren in Berlin ↔ Anna has lived in Berlin for three years."""
    infinitive = draw.word(LASTING)
    verb = next(verb for verb in VERBS if verb.infinitive == infinitive)
    happening = event(draw, "human", verb=verb, is_plain=True, kind="definite")
    units = lexicon.HOURS if "brief" in verb.options else lexicon.UNITS
    happening = happening.plus(duration=for_some_time(draw, units))
    return end(main_clause(happening, Setting("since"), draw.word("subject subject duration")))


def thing_for(draw: Draw, verb: Verb) -> NounPhrase:
    """Something certain that can be the subject of the verb."""
    noun = draw.noun(verb.subject, lambda noun: "dish" not in noun.tags)
    draw.combinations.add((noun.singular, verb.lemma))
    is_plural = not noun.is_mass and draw.chance(0.15)
    chosen, _ = drawing.adjective(draw, noun)
    return NounPhrase(noun, draw.deal("thing", [THE, THE, THIS]), is_plural, chosen)


def pleases(draw: Draw) -> Phrase:
    """Das Buch gefällt dem Kind ↔ The child likes the book: subject and object change places."""
    verb = SPECIAL_VERBS[draw.word("gefallen schmecken")]
    thing, somebody = thing_for(draw, verb), drawing.person(draw)
    liker = somebody.phrase("dat")
    if isinstance(somebody, Pronoun):
        liker = pair(somebody.german.dat, somebody.english.subject)
    setting, slots = PRESENT, {"definite": thing.phrase("nom")}
    if draw.chance(0.4):
        setting, slots = PAST, slots | {"time": drawing.time(draw, "past", verb)}
    if draw.chance(0.4):
        slots["negation"] = aligned(NOT)
    german = german_verb(verb, thing.agreement, setting, verb_final=False)
    parts = english_verb(verb, somebody.agreement, setting, german, (), supported="negation" in slots)
    english = english_side(
        Event(verb, somebody, slots), VerbComplex(german.finite, (), None, *parts), liker.en
    )
    front, rest = slots["definite"].de, liker.de
    if not somebody.is_pronoun and draw.chance(0.5):
        front, rest = rest, front
    adverbs = tuple(word for slot in ("time", "negation") if slot in slots for word in slots[slot].de)
    return end(Phrase((*front, german.finite, *rest, *adverbs, *german.tail), english))


def belongs(draw: Draw) -> Phrase:
    """Das Fahrrad gehört meinem Bruder."""
    verb = SPECIAL_VERBS["gehören"]
    happening = event(draw, verb=verb, actor=thing_for(draw, verb))
    if "dative" in happening.slots and draw.chance(0.3):
        return end(main_clause(happening, PRESENT, "dative"))
    if draw.chance(0.3):
        return end(question(happening, PRESENT), QUESTION_MARK)
    happening = happening.plus(negation=aligned(NOT)) if draw.chance(0.4) else happening
    return end(main_clause(happening, PRESENT))


def stands_somewhere(draw: Draw) -> Phrase:
    """Auf dem Tisch stehen drei Tassen ↔ Three cups stand on the table."""
    verb = SPECIAL_VERBS[draw.word("stehen liegen")]
    noun = draw.noun(verb.subject)
    is_first = draw.chance(0.6)
    thing = drawing.indefinite(draw, noun) if is_first else drawing.definite(draw, noun, ME)
    happening = event(draw, verb=verb, actor=thing)
    return end(
        main_clause(happening, PRESENT if draw.chance(0.6) else PAST, "complement" if is_first else "subject")
    )


FEW = "zwei:two drei:three vier:four"


def happens(draw: Draw) -> Phrase:
    """Das Konzert hat am Sonntag stattgefunden; der Zug fährt um acht Uhr ab."""
    verb = SPECIAL_VERBS[draw.word("stattfinden beginnen abfahren ankommen dauern")]
    happening = Event(verb, thing_for(draw, verb))
    if verb.infinitive == "dauern":
        units = {"Reise": lexicon.UNITS, "Ausflug": lexicon.HOURS, "Sprachkurs": lexicon.UNITS}
        unit = units.get(happening.subject.noun.singular, "Stunden:hours")  # type: ignore[attr-defined]
        happening = happening.plus(complement=aligned(f"{draw.word(FEW)} {draw.word(unit)}"))
        return end(main_clause(happening, PAST if draw.chance(0.5) else PRESENT))
    if draw.chance(0.4):
        return end(main_clause(timed(draw, happening, "past"), PAST, time_or_subject(draw)))
    if verb.infinitive == "stattfinden":
        happening, setting = timed(draw, happening, "future"), FUTURE
    else:
        happening, setting = happening.plus(time=drawing.o_clock(draw)), PRESENT
    if draw.chance(0.35):
        return end(question(happening, setting), QUESTION_MARK)
    return end(main_clause(happening, setting, time_or_subject(draw)))


def reason_phrase(draw: Draw, preposition: str) -> Phrase:
    """wegen des Regens, during the lesson: a preposition with the genitive."""
    cause = draw.deal(preposition, OCCASIONS if preposition.startswith("während") else CAUSES)
    return aligned(preposition) + pair(cause.article, "the") + pair(cause.german, cause.english)


def despite(draw: Draw) -> Phrase:
    """Trotz des Regens hat das Kind im Garten gespielt ↔ Despite the rain the child played in the garden."""
    verb = draw.verb(
        "active",
        draw.word("location at"),
        lambda verb: is_human(verb) and "leisure" in verb.at + verb.location,
    )
    happening = event(draw, verb=verb, is_plain=True)
    place = drawing.some_place(draw, verb, ("leisure",))
    happening = happening.plus(time=reason_phrase(draw, "trotz:despite"), place=place)
    return end(main_clause(happening, PAST if draw.chance(0.7) else coming(draw), "time"))


def because_of(draw: Draw) -> Phrase:
    """Wegen des Regens konnte das Kind nicht in den Park gehen."""
    happening = negated(draw, "modal").plus(time=reason_phrase(draw, "wegen:because_of"))
    setting = modal(draw, is_past=draw.chance(0.6), says=ABLE_OR_WILLING)
    return end(main_clause(happening, setting, "time"))


def during(draw: Draw) -> Phrase:
    """Während der Pause hat der Lehrer die Zeitung gelesen; nach dem Frühstück will er arbeiten."""
    happening = event(draw, "active", verb=person_verb(draw, "active"), is_plain=True)
    preposition = draw.word("während:during während:during nach:after vor:before")
    if preposition.startswith("während"):
        when = reason_phrase(draw, preposition)
    else:
        meal = NounPhrase(draw.noun(("meal",)), SILENT_THE)
        german, english = preposition.split(":")
        when = prepositional(german, "dat", english, meal)
    happening = happening.plus(time=when)
    return end(main_clause(happening, PAST if draw.chance(0.7) else coming(draw), "time"))


PATTERNS = {
    habit: 5, habit_time_first: 5, how_often: 5, sometimes_first: 2, past: 6, past_time_first: 6,
    place_first: 5, object_first: 5, person_first: 3, with_modal: 5, modal_time_first: 5, modal_past: 4,
    future: 5, progressive: 7, already: 3, not_yet: 3, likes_to: 3, feels: 6, does_not: 3, did_not: 3,
    must_not: 3, no_thing: 4, whether_habit: 3, whether_past: 3, whether_modal: 3, what: 2, whom: 2, who: 2,
    when_or_why: 3, where: 2, which: 3, how_old: 0.6, because: 6, when_first: 5, says_that: 7, asks_if: 5,
    before_or_while: 3, but: 4, who_does: 6, thing_done: 7, seen_who: 5, where_one_is: 3, in_order_to: 5,
    tries_to: 4, please: 3, passive: 4, quality: 4, comparison: 5, age: 2.5, price: 2.5, profession: 3,
    exists: 3.5, since: 3, pleases: 4, belongs: 2, stands_somewhere: 4, happens: 4, despite: 1.5,
    because_of: 1.2, during: 2.5,
}  # fmt: skip
"""Every pattern with its share."""


@dataclass(frozen=True)
class Example:
    """A sentence pair, its pattern, and its combinations: verb and noun, noun and verb, pattern and verb."""

    pair: SentencePair
    pattern: str
    combinations: frozenset[drawing.Combination]


def draw_example(draw: Draw) -> Example:
    """One sentence pair of any pattern."""
    pattern = draw.random.choices(list(PATTERNS), list(PATTERNS.values()))[0]
    draw.start_sentence()
    phrase = pattern(draw)
    combinations = draw.combinations | {(pattern.__name__, verb) for verb in draw.verbs}
    return Example(spell(phrase), pattern.__name__, frozenset(combinations))
