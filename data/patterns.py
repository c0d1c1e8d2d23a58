"""The sentence patterns of the sample grammar."""

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
)
from .draw import Draw, event, frequency, time
from .entries import CAUSES, MODALS, OCCASIONS, SPECIAL_VERBS, Noun, Verb
from .grammar import (
    DEFINITE,
    HOW_MANY,
    SILENT_A,
    THE,
    THIRD_PERSON,
    THIS,
    WHICH,
    Agreement,
    Case,
    I,
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

PRESENT, PAST, FUTURE = Setting(), Setting("past"), Setting("future")
PRESENT_MODALS = [modal for modal in MODALS if not modal.is_past]
PAST_MODALS = [modal for modal in MODALS if modal.is_past]
FULL_STOP, QUESTION_MARK, EXCLAMATION_MARK = ".", "?", "!"


def end(phrase: Phrase, mark: str = FULL_STOP) -> Phrase:
    """The sentence with its last mark."""
    return phrase + pair(mark, mark)


def modal(draw: Draw, *, is_past: bool = False) -> Setting:
    """A setting with a modal verb."""
    modals = PAST_MODALS if is_past else PRESENT_MODALS
    return Setting("present", draw.deal(("modal", is_past), modals))


# Statements


def habit(draw: Draw) -> Phrase:
    """Der Lehrer liest jeden Abend ein Buch."""
    return end(main_clause(event(draw).plus(time=time(draw, "habit")), PRESENT))


def habit_time_first(draw: Draw) -> Phrase:
    """Jeden Abend liest der Lehrer ein Buch."""
    return end(main_clause(event(draw).plus(time=time(draw, "habit")), PRESENT, "time"))


def how_often(draw: Draw) -> Phrase:
    """Der Lehrer liest oft ein Buch."""
    return end(main_clause(event(draw).plus(frequency=frequency(draw)), PRESENT))


def sometimes_first(draw: Draw) -> Phrase:
    """Manchmal liest der Lehrer ein Buch."""
    adverb = aligned(draw.word("manchmal:sometimes meistens:usually"))
    return end(main_clause(event(draw).plus(frequency=adverb), PRESENT, "frequency"))


def past(draw: Draw) -> Phrase:
    """Der Lehrer hat gestern ein Buch gelesen."""
    return end(main_clause(event(draw, "past").plus(time=time(draw, "past")), PAST))


def past_time_first(draw: Draw) -> Phrase:
    """Gestern hat der Lehrer ein Buch gelesen."""
    return end(main_clause(event(draw, "past").plus(time=time(draw, "past")), PAST, "time"))


def place_first(draw: Draw) -> Phrase:
    """Im Garten hat der Lehrer gestern ein Buch gelesen."""
    frame = draw.word("at at location")
    happening = event(draw, "past", frame=frame, is_plain=True)
    if "place" not in happening.slots:
        happening = happening.plus(place=drawing.some_place(draw, happening.verb, happening.verb.at))
    if draw.chance(0.5):
        return end(main_clause(happening.plus(time=time(draw, "past")), PAST, "place"))
    if {"past", "rare"} & set(happening.verb.options):
        return end(main_clause(happening, PAST, "place"))
    return end(main_clause(happening.plus(time=time(draw, "habit")), PRESENT, "place"))


def is_clear(actor: Nominal, thing: Phrase, plain: Phrase) -> bool:
    """Whether the case shows which of the two is the object, so that it may stand first."""
    return [word.text for word in thing.de] != [word.text for word in plain.de] or (
        actor.phrase("nom").de[0].text != actor.phrase("acc").de[0].text
    )


def object_first(draw: Draw) -> Phrase:
    """Den Brief hat der Lehrer gestern geschrieben."""
    verb = draw.deal("object first", [v for v in drawing.verbs_for("past", "accusative") if not v.dative and not v.prepositions])
    while True:
        actor = drawing.subject(draw, verb)
        nominal = drawing.nominal_for(draw, verb, verb.accusative, actor, "definite")
        thing = nominal.phrase("acc")
        if is_clear(actor, thing, nominal.phrase("nom")):
            break
        draw.start_sentence()
    happening = Event(verb, actor, {"definite": thing, "time": time(draw, "past")})
    if draw.chance(0.35) and not {"past", "rare"} & set(verb.options):
        happening = happening.plus(time=time(draw, "future"))
        return end(main_clause(happening, FUTURE if draw.chance(0.5) else modal(draw), "definite"))
    return end(main_clause(happening, PAST, "definite"))


def person_first(draw: Draw) -> Phrase:
    """Dem Kind hat die Mutter gestern ein Buch geschenkt."""
    verb = draw.deal("person first", list(drawing.verbs_for("past", "dative")))
    happening = event(draw, verb=verb, is_plain=True)
    if "dative" not in happening.slots:
        return end(main_clause(happening.plus(time=time(draw, "past")), PAST))
    return end(main_clause(happening.plus(time=time(draw, "past")), PAST, "dative"))


def with_modal(draw: Draw) -> Phrase:
    """Der Lehrer will heute ein Buch lesen."""
    return end(main_clause(event(draw, "modal").plus(time=time(draw, "future")), modal(draw)))


def modal_time_first(draw: Draw) -> Phrase:
    """Morgen muss der Lehrer einen Brief schreiben."""
    return end(main_clause(event(draw, "modal").plus(time=time(draw, "future")), modal(draw), "time"))


def modal_past(draw: Draw) -> Phrase:
    """Gestern wollte der Lehrer einen Brief schreiben."""
    front = draw.word("time subject")
    return end(main_clause(event(draw, "modal").plus(time=time(draw, "past")), modal(draw, is_past=True), front))


def future(draw: Draw) -> Phrase:
    """Morgen wird der Lehrer einen Brief schreiben."""
    front = draw.word("time subject")
    return end(main_clause(event(draw, "modal").plus(time=time(draw, "future")), FUTURE, front))


def progressive(draw: Draw) -> Phrase:
    """Der Lehrer schreibt gerade einen Brief."""
    now = pair("gerade", "right now")
    return end(main_clause(event(draw, "active").plus(time=now), Setting("progressive")))


def already(draw: Draw) -> Phrase:
    """Der Lehrer hat den Brief schon geschrieben."""
    happening = event(draw, "active", kind="definite", frame=draw.word("accusative accusative participle"), is_plain=True)
    return end(main_clause(happening.plus(already=pair("schon", "already")), Setting("perfect")))


def not_yet(draw: Draw) -> Phrase:
    """Der Lehrer hat den Brief noch nicht geschrieben."""
    happening = event(draw, "active", kind="definite", frame=draw.word("accusative accusative participle"), is_plain=True)
    if "indefinite" in happening.slots:
        return already(draw)
    happening = happening.plus(yet=pair("noch", "yet"), negation=pair("nicht", "not"))
    return end(main_clause(happening, Setting("perfect")))


def likes_to(draw: Draw) -> Phrase:
    """Der Lehrer liest gern Bücher ↔ The teacher likes to read books."""
    verb = draw.deal("gern", [v for v in drawing.verbs_for("active", "") if can_be_liked(v)])
    happening = event(draw, verb=verb, kind="indefinite", third=True)
    happening = Event(verb, happening.subject, {k: v for k, v in happening.slots.items() if k != "manner"})
    gladly, clause = Source("gern"), verb_complex(verb, happening.subject, PRESENT)
    base, *particles = clause.verb
    like = Target(agree("like", happening.subject.agreement), (gladly,))
    to = Target("to", (clause.finite,))
    clause = replace(clause, verb=(like, to, Target(verb.english, base.sources), *particles))
    happening = happening.plus(manner=Phrase((gladly,)))
    actor = happening.subject.phrase("nom")
    german = actor.de + (clause.finite,) + middle(happening, clause, subject=None) + clause.tail
    return end(Phrase(german, english_side(happening, clause, actor.en)))


def can_be_liked(verb: Verb) -> bool:
    """Whether one can do it gern: with something indefinite, or without an object."""
    return not (verb.dative or verb.recipient or verb.prepositions or "rare" in verb.options) and (
        not verb.accusative or not drawing.PEOPLE & set(verb.accusative)
    )


# Negation


def negated(draw: Draw, suitable: str) -> Event:
    """Something that is not done, with nicht."""
    while True:
        happening = event(draw, suitable, kind="definite", is_plain=True)
        if "indefinite" not in happening.slots and "place" not in happening.slots:
            return happening.plus(negation=pair("nicht", "not"))
        draw.start_sentence()


def does_not(draw: Draw) -> Phrase:
    """Heute liest der Lehrer die Zeitung nicht."""
    return end(main_clause(negated(draw, "habit").plus(time=time(draw, "habit")), PRESENT, draw.word("time subject")))


def did_not(draw: Draw) -> Phrase:
    """Gestern hat der Lehrer die Zeitung nicht gelesen."""
    return end(main_clause(negated(draw, "past").plus(time=time(draw, "past")), PAST, draw.word("time subject")))


def must_not(draw: Draw) -> Phrase:
    """Der Lehrer will die Zeitung heute nicht lesen."""
    setting = modal(draw, is_past=draw.chance(0.3))
    kind = "past" if setting.modal and setting.modal.is_past else "future"
    return end(main_clause(negated(draw, "modal").plus(time=time(draw, kind)), setting, draw.word("time subject")))


def no_thing(draw: Draw) -> Phrase:
    """Der Lehrer kauft heute kein Brot ↔ The teacher does not buy any bread."""
    while True:
        happening = event(draw, "habit", frame="accusative", kind="negative", is_plain=True)
        if "negation" in happening.slots:
            break
        draw.start_sentence()
    chance = draw.random.random()
    front = draw.word("time subject")
    if "state" in happening.verb.options:
        return end(main_clause(happening, PRESENT))
    if chance < 0.4:
        return end(main_clause(happening.plus(time=time(draw, "past")), PAST, front))
    if chance < 0.7:
        return end(main_clause(happening.plus(time=time(draw, "future")), modal(draw), front))
    return end(main_clause(happening.plus(time=time(draw, "habit")), PRESENT, front))


# Questions


def asks_whether(draw: Draw) -> Phrase:
    """Liest der Lehrer jeden Tag die Zeitung?"""
    return end(question(event(draw).plus(time=time(draw, "habit")), PRESENT), QUESTION_MARK)


def asks_whether_past(draw: Draw) -> Phrase:
    """Hat der Lehrer gestern die Zeitung gelesen?"""
    return end(question(event(draw, "past").plus(time=time(draw, "past")), PAST), QUESTION_MARK)


def asks_whether_modal(draw: Draw) -> Phrase:
    """Kann der Lehrer morgen den Brief schreiben?"""
    return end(question(event(draw, "modal").plus(time=time(draw, "future")), modal(draw)), QUESTION_MARK)


def asks_what(draw: Draw) -> Phrase:
    """Was hat der Lehrer gestern gelesen?"""
    verbs = [v for v in drawing.verbs_for("past", "accusative") if not drawing.PEOPLE & set(v.accusative) and not v.recipient]
    happening = event(draw, verb=draw.deal("what", verbs)).without("definite", "indefinite")
    return end(in_some_time(draw, happening, pair("was", "what")), QUESTION_MARK)


def in_some_time(draw: Draw, happening: Event, asked: Phrase) -> Phrase:
    """A question about the past, the present or the future."""
    chance = draw.random.random()
    if chance < 0.5 or {"past", "rare"} & set(happening.verb.options):
        return question(happening.plus(time=time(draw, "past")), PAST, asked)
    if chance < 0.75 and "state" not in happening.verb.options:
        return question(happening.plus(time=time(draw, "future")), modal(draw), asked)
    return question(happening.plus(time=time(draw, "habit")), PRESENT, asked)


def asks_whom(draw: Draw) -> Phrase:
    """Wen hat der Lehrer gestern besucht? Wem hilft der Lehrer?"""
    if draw.chance(0.5):
        verbs = [v for v in drawing.verbs_for("past", "accusative") if set(v.accusative) <= drawing.PEOPLE]
        happening, asked = event(draw, verb=draw.deal("wen", verbs)), pair("wen", "who")
    else:
        verbs = [v for v in drawing.verbs_for("past", "dative") if not v.accusative]
        happening, asked = event(draw, verb=draw.deal("wem", verbs)), pair("wem", "who")
    return end(in_some_time(draw, happening.without("definite", "dative", "pronoun"), asked), QUESTION_MARK)


@dataclass(frozen=True)
class Who:
    """wer ↔ who."""

    is_pronoun: bool = True
    agreement: Agreement = Agreement()
    anaphor: Pronoun = THIRD_PERSON["m"]

    def phrase(self, case: Case) -> Phrase:
        """The question word as a subject."""
        assert case == "nom", "wer is a subject"
        return pair("wer", "who")


def asks_who(draw: Draw) -> Phrase:
    """Wer hat gestern die Zeitung gelesen?"""
    verb = draw.deal("who", [v for v in drawing.verbs_for("past", "") if {"person", "adult"} & set(v.subject)])
    happening = event(draw, verb=verb, actor=Who())
    if draw.chance(0.7) or {"past", "rare"} & set(verb.options):
        return end(main_clause(happening.plus(time=time(draw, "past")), PAST), QUESTION_MARK)
    return end(main_clause(happening.plus(time=time(draw, "future")), modal(draw)), QUESTION_MARK)


def asks_when_or_why(draw: Draw) -> Phrase:
    """Warum hat der Lehrer die Zeitung gekauft?"""
    asked = aligned(draw.word("wann:when warum:why"))
    happening = event(draw, "past", kind="definite", is_plain=True)
    chance = draw.random.random()
    if chance < 0.6 or {"past", "rare"} & set(happening.verb.options):
        return end(question(happening, PAST, asked), QUESTION_MARK)
    return end(question(happening, modal(draw, is_past=chance < 0.75), asked), QUESTION_MARK)


def asks_where(draw: Draw) -> Phrase:
    """Wo hat der Lehrer gestern gearbeitet? Wohin ist der Lehrer gestern gegangen?"""
    frame = draw.word("location direction at")
    verb = draw.deal(("where", frame), drawing.verbs_for("past", frame))
    happening = event(draw, verb=verb, is_plain=True, kind="definite").without("place")
    asked = pair("wo", "where")
    if frame == "direction":
        happening, asked = happening.without("complement"), pair("wohin", "where")
    return end(in_some_time(draw, happening, asked), QUESTION_MARK)


def asks_which(draw: Draw) -> Phrase:
    """Welches Buch hat der Lehrer gestern gelesen? Wie viele Bücher hat er gelesen?"""
    verbs = [v for v in drawing.verbs_for("past", "accusative") if not drawing.PEOPLE & set(v.accusative) and not v.recipient]
    verb = draw.deal("which", verbs)
    happening = event(draw, verb=verb, is_plain=True).without("definite", "indefinite")
    noun = draw.noun(verb.accusative)
    draw.combinations.add((verb.lemma, noun.singular))
    if noun.is_mass or noun.always_plural or draw.chance(0.5):
        asked = drawing.described(draw, noun, WHICH)
    else:
        asked = NounPhrase(noun, HOW_MANY, plural=True)
    return end(in_some_time(draw, happening, asked.phrase("acc")), QUESTION_MARK)


def asks_how_old(draw: Draw) -> Phrase:
    """Wie alt ist deine Schwester?"""
    who = drawing.person(draw)
    happening = Event(SPECIAL_VERBS["sein"], who)
    return end(question(happening, PRESENT, aligned("wie:how alt:old")), QUESTION_MARK)


# Subordinate clauses


def be(draw: Draw, who: Nominal, noun: Noun | None = None, *, very: float = 0.25) -> Event:
    """Somebody or something with a quality: sein with an adjective."""
    options = drawing.adjectives_for(noun) if noun else ()
    if not noun or ("person" in noun.tags and draw.chance(0.3)):
        feelings = "krank:ill müde:tired hungrig:hungry traurig:sad glücklich:happy nervös:nervous zufrieden:satisfied"
        quality = aligned(draw.word(feelings))
    else:
        chosen = draw.deal(("adjective", noun), options)
        quality = pair(chosen.german, chosen.english)
    if draw.chance(very):
        quality = pair("sehr", "very") + quality
    return Event(SPECIAL_VERBS["sein"], who, {"complement": quality})


@dataclass(frozen=True)
class Weather:
    """The es of es regnet ↔ it rains."""

    is_pronoun: bool = True
    agreement: Agreement = Agreement()
    anaphor: Pronoun = THIRD_PERSON["n"]

    def phrase(self, case: Case) -> Phrase:
        """es ↔ it."""
        assert case == "nom", "es is a subject"
        return pair("es", "it")


def weather(draw: Draw) -> Event:
    """es regnet, es ist sehr kalt."""
    kind = draw.word("regnen schneien kalt:cold warm:warm heiß:hot windig:windy neblig:foggy")
    if kind in SPECIAL_VERBS:
        return Event(SPECIAL_VERBS[kind], Weather())
    quality = pair("sehr", "very") + aligned(kind) if draw.chance(0.3) else aligned(kind)
    return Event(SPECIAL_VERBS["sein"], Weather(), {"complement": quality})


def circumstance(draw: Draw, who: Nominal) -> Event:
    """What may be the reason: how somebody is, the weather, or what somebody else does."""
    chance = draw.random.random()
    if chance < 0.5 and who.anaphor.english.subject != "it":
        return be(draw, who.anaphor)
    if chance < 0.75:
        return weather(draw)
    return event(draw, "past", is_plain=True, third=True)


def because(draw: Draw) -> Phrase:
    """Der Lehrer ist nicht gekommen, weil er krank war ↔ … because he was ill."""
    setting = PAST if draw.chance(0.6) else PRESENT
    happening = event(draw, "past" if setting is PAST else "habit", is_plain=True)
    reason = circumstance(draw, happening.subject)
    if {"past", "rare"} & set(reason.verb.options):
        reason = be(draw, happening.subject.anaphor)
    opener = aligned(draw.word("weil:because obwohl:although"))
    return end(main_clause(happening, setting) + comma() + subordinate(reason, setting, opener))


def when_first(draw: Draw) -> Phrase:
    """Wenn es regnet, liest der Lehrer ein Buch ↔ When it rains, the teacher reads a book."""
    conjunction = aligned(draw.word("wenn:when wenn:when weil:because obwohl:although"))
    happening = event(draw, is_plain=True)
    who = happening.subject
    if who.is_pronoun or who.anaphor.english.subject == "it" or draw.chance(0.35):
        return end(after(subordinate(weather(draw), PRESENT, conjunction), happening, PRESENT))
    condition = be(draw, who)
    return end(after(subordinate(condition, PRESENT, conjunction), Event(happening.verb, who.anaphor, happening.slots), PRESENT))


def after(clause: Phrase, happening: Event, setting: Setting) -> Phrase:
    """The main clause after a subordinate clause, which counts as the first phrase of the German one."""
    return clause + pair(",", ",") + question_order(happening, setting)


def question_order(happening: Event, setting: Setting) -> Phrase:
    """A main clause without what stands before its German verb."""
    clause = verb_complex(happening.verb, happening.subject, setting, supported="negation" in happening.slots)
    actor = happening.subject.phrase("nom")
    german = (clause.finite, *middle(happening, clause, subject=actor), *clause.tail)
    return Phrase(german, english_side(happening, clause, actor.en))


def says_that(draw: Draw) -> Phrase:
    """Der Lehrer glaubt, dass die Schüler den Ball verloren haben."""
    verb = SPECIAL_VERBS[draw.word("wissen glauben sagen hoffen hören")]
    speaker = Event(verb, drawing.person(draw))
    return end(main_clause(speaker, PRESENT) + comma() + reported(draw, pair("dass", "that")))


def reported(draw: Draw, opener: Phrase, *, third: bool = True) -> Phrase:
    """A subordinate clause about the past, the present or the future."""
    chance = draw.random.random()
    if chance < 0.45:
        happening = event(draw, "past", third=third)
        slots = {"time": time(draw, "past")} if draw.chance(0.4) else {}
        return subordinate(happening.plus(**slots), PAST, opener)
    if chance < 0.75:
        slots = {"time": time(draw, "future")} if draw.chance(0.4) else {}
        return subordinate(event(draw, "modal", third=third).plus(**slots), modal(draw), opener)
    return subordinate(event(draw, "habit", third=third), PRESENT, opener)


def asks_if(draw: Draw) -> Phrase:
    """Die Mutter fragt, ob die Kinder das Zimmer aufgeräumt haben."""
    verb = SPECIAL_VERBS[draw.word("fragen wissen")]
    who = drawing.person(draw)
    speaker = Event(verb, who, {"negation": pair("nicht", "not")} if verb.infinitive == "wissen" else {})
    opener = aligned(draw.word("ob:whether ob:whether warum:why wann:when wo:where"))
    return end(main_clause(speaker, PRESENT) + comma() + reported(draw, opener))


def before_or_while(draw: Draw) -> Phrase:
    """Anna liest ein Buch, während Peter kocht ↔ Anna reads a book while Peter cooks."""
    opener = aligned(draw.word("während:while bevor:before"))
    setting, kind = (PAST, "past") if draw.chance(0.5) else (PRESENT, "habit")
    first = event(draw, "active" if kind == "habit" else "past", is_plain=True, third=True)
    second = event(draw, "active", is_plain=True, third=True)
    return end(main_clause(first, setting) + comma() + subordinate(second, setting, opener))


def but(draw: Draw) -> Phrase:
    """Anna will ein Buch lesen, aber Peter spielt Fußball."""
    first, second = modal(draw), modal(draw)
    conjunction = draw.word("aber:but und:and")
    one, other = event(draw, "modal", is_plain=True, third=True), event(draw, "modal", is_plain=True, third=True)
    mark = pair(",", ",") if conjunction.startswith("aber") else Phrase()
    return end(main_clause(one, first) + mark + aligned(conjunction) + main_clause(other, second))


# Relative clauses


@dataclass(frozen=True)
class Relative:
    """The relative pronoun as a subject, agreeing with what it stands for."""

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
        """der ↔ who, or that for a thing."""
        return pair(relative_form(self.antecedent, case), "who" if is_somebody(self.antecedent) else "that")


def relative_form(antecedent: NounPhrase, case: Case) -> str:
    """The German relative pronoun."""
    word = form(DEFINITE, case, antecedent.gender)
    return "denen" if case == "dat" and antecedent.gender == "p" else word


def is_somebody(nominal: NounPhrase) -> bool:
    """Whether English says who."""
    return bool(nominal.noun.tags & {"person", "kin"})


def who_does(draw: Draw) -> Phrase:
    """Der Mann, der im Garten arbeitet, ist mein Onkel."""
    who = NounPhrase(draw.noun(("adult",)), draw.deal("the", [THE, THE, THIS]))
    if draw.chance(0.5):
        clause = subordinate(event(draw, "habit", actor=Relative(who), verb=person_verb(draw, "habit")), PRESENT)
    else:
        clause = subordinate(event(draw, "past", actor=Relative(who), verb=person_verb(draw, "past")), PAST)
    whole = Clausal(who, comma() + clause + comma())
    if draw.chance(0.4):
        relation = drawing.kin(draw, None, ("uncle", "relation"))
        return end(main_clause(Event(SPECIAL_VERBS["sein"], whole, {"complement": relation.phrase("nom")}), PRESENT))
    return end(main_clause(be(draw, whole, who.noun), PRESENT))


def person_verb(draw: Draw, suitable: str) -> Verb:
    """A verb for a person as the subject."""
    verbs = [v for v in drawing.verbs_for(suitable, "") if {"person", "adult"} & set(v.subject)]
    return draw.deal(("person verb", suitable), verbs)


@dataclass(frozen=True)
class Clausal:
    """A noun phrase with its relative clause."""

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
        return self.head.phrase(case) + self.clause


def thing_done(draw: Draw) -> Phrase:
    """Das Buch, das der Lehrer gelesen hat, ist sehr spannend."""
    verbs = [v for v in drawing.verbs_for("past", "accusative") if not v.dative and not v.prepositions and not v.recipient]
    verb = draw.deal("thing done", verbs)
    while True:
        noun = draw.noun(verb.accusative)
        if drawing.adjectives_for(noun) and "dish" not in noun.tags and "kin" not in noun.tags:
            break
    draw.combinations.add((verb.lemma, noun.singular))
    thing = NounPhrase(noun, THE, plural=not noun.is_mass and draw.chance(0.2))
    happening = event(draw, verb=verb, is_plain=True, third=True).without("definite", "indefinite", "pronoun")
    happening = happening.plus(time=time(draw, "past")) if draw.chance(0.4) else happening
    opener = pair(relative_form(thing, "acc"), "that")
    whole = Clausal(thing, comma() + subordinate(happening, PAST, opener) + comma())
    return end(main_clause(be(draw, whole, noun), PRESENT))


def seen_who(draw: Draw) -> Phrase:
    """Gestern hat Anna den Mann getroffen, der im Garten arbeitet."""
    verb = draw.deal("seen who", [v for v in drawing.verbs_for("past", "accusative") if set(v.accusative) <= drawing.PEOPLE])
    actor = drawing.person(draw)
    who = NounPhrase(draw.noun(("adult",)), THE, plural=draw.chance(0.2))
    clause_verb = person_verb(draw, "habit")
    clause = subordinate(event(draw, verb=clause_verb, actor=Relative(who), is_plain=True), PRESENT)
    happening = Event(verb, actor, {"definite": who.phrase("acc"), "time": time(draw, "past")})
    return end(main_clause(happening, PAST, "time") + comma() + clause)


def where_one_is(draw: Draw) -> Phrase:
    """Der Stuhl, auf dem die Katze schläft, ist alt ↔ The chair on which the cat sleeps is old."""
    verb = draw.deal("where", [v for v in drawing.verbs_for("habit", "location")])
    place = draw.place(verb.location)
    while not drawing.adjectives_for(place.noun):
        place = draw.place(verb.location)
    actor = drawing.subject(draw, verb, third=True)
    spot = NounPhrase(place.noun)
    german, english = place.where
    opener = pair(german, english) + pair(relative_form(spot, "dat"), "which")
    clause = subordinate(Event(verb, actor), PRESENT, opener)
    return end(main_clause(be(draw, Clausal(spot, comma() + clause + comma()), place.noun), PRESENT))


# Infinitives


def in_order_to(draw: Draw) -> Phrase:
    """Anna geht in die Stadt, um ein Buch zu kaufen ↔ Anna goes into the city in order to buy a book."""
    verb = next(v for v in drawing.VERBS if v.infinitive == "gehen")
    going = event(draw, verb=verb)
    purpose = event(draw, "active", actor=going.subject, verb=person_verb(draw, "active"), is_plain=True)
    clause = infinitive_clause(purpose, pair("um", "in order"))
    chance = draw.random.random()
    if chance < 0.4:
        main = main_clause(going.plus(time=time(draw, "past")), PAST, "time").__add__(comma())
    elif chance < 0.7:
        main = main_clause(going, PRESENT) + comma()
    else:
        main = main_clause(going, modal(draw)) + comma()
    return end(main + clause)


def tries_to(draw: Draw) -> Phrase:
    """Das Kind versucht, den Ball zu fangen ↔ The child tries to catch the ball."""
    verb = SPECIAL_VERBS[draw.word("versuchen versprechen beschließen hoffen")]
    who = drawing.person(draw)
    purpose = event(draw, "active", actor=who, verb=person_verb(draw, "active"), is_plain=True)
    if verb.infinitive != "versuchen" and draw.chance(0.5):
        purpose = purpose.plus(time=time(draw, "future"))
    setting = PRESENT if draw.chance(0.5) else PAST
    return end(main_clause(Event(verb, who), setting) + comma() + infinitive_clause(purpose))


def asks_to(draw: Draw) -> Phrase:
    """Ruf bitte deine Schwester an!"""
    verb = person_verb(draw, "active")
    speaker = drawing.YOU
    happening = event(draw, verb=verb, actor=speaker)
    if draw.chance(0.6):
        happening = happening.plus(time=time(draw, "future"))
    return end(request(happening), EXCLAMATION_MARK)


# Passive


def passive(draw: Draw) -> Phrase:
    """Der Kuchen wurde gestern von der Mutter gebacken ↔ The cake was baked by the mother yesterday."""
    verbs = [v for v in drawing.verbs_for("active", "accusative") if not (v.dative or v.recipient or v.prepositions or v.reflexive)]
    verb = draw.deal("passive", [v for v in verbs if not set(v.subject) - {"person", "adult"}])
    agent = drawing.person(draw, third=True)
    while True:
        noun = draw.noun(verb.accusative)
        if "dish" not in noun.tags:
            break
    draw.combinations.add((verb.lemma, noun.singular))
    patient = drawing.definite(draw, noun, agent if "kin" not in noun.tags else I)
    by = prepositional("von", "dat", "by", agent)
    if draw.chance(0.6):
        happening, setting = Event(verb, patient, {"complement": by, "time": time(draw, "past")}), Setting("past passive")
    else:
        happening, setting = Event(verb, patient, {"complement": by, "time": time(draw, "habit")}), Setting("passive")
    return end(main_clause(happening, setting, draw.word("time subject")))


# What things are like


def quality(draw: Draw) -> Phrase:
    """Die Jacke deiner Schwester ist heute sehr schmutzig."""
    noun = draw.noun(("thing", "clothes", "book", "food", "place", "animal", "event", "building", "part", "flower"))
    if not drawing.adjectives_for(noun):
        noun = draw.noun(("clothes", "book", "furniture"))
    thing = drawing.definite(draw, noun, I) if draw.chance(0.7) else NounPhrase(noun, THIS)
    thing = replace(thing, adjective=None, is_very=False)
    setting = PAST if draw.chance(0.4) else PRESENT
    happening = be(draw, thing, noun, very=0.4)
    if draw.chance(0.4):
        happening = happening.plus(negation=pair("nicht", "not"))
    return end(main_clause(happening, setting))


def comparison(draw: Draw) -> Phrase:
    """Dieser Koffer ist schwerer als die Tasche ↔ This suitcase is heavier than the bag."""
    kind = draw.word("clothes book furniture device carryable vehicle animal room building person fruit story question")
    noun = draw.noun((kind,))
    options = [a for a in drawing.adjectives_for(noun) if a.comparative]
    other = draw.noun((kind,))
    options = [a for a in options if a.fits & other.tags]
    if not options:
        return comparison(draw)
    chosen = draw.random.choice(options)
    first = NounPhrase(noun, draw.deal("compared", [THE, THIS, THIS]), plural=draw.chance(0.15))
    second = replace(drawing.definite(draw, other, I), adjective=None, is_very=False)
    if draw.chance(0.65):
        than = pair(chosen.comparative, chosen.english_comparative) + pair("als", "than")
    else:
        than = pair("so", "as") + pair(chosen.german, chosen.english) + pair("wie", "as")
        than = pair("nicht", "not") + than if draw.chance(0.4) else than
    setting = PAST if draw.chance(0.2) else PRESENT
    happening = Event(SPECIAL_VERBS["sein"], first, {"complement": than + second.phrase("nom")})
    return end(main_clause(happening, setting))


def age(draw: Draw) -> Phrase:
    """Anna ist seit gestern … zwölf Jahre alt ↔ Anna is twelve years old."""
    who = drawing.person(draw)
    years = aligned(draw.deal("age", (lexicon.NUMBERS + " " + lexicon.LARGE_NUMBERS).split()) + " Jahre:years alt:old")
    if draw.chance(0.5):
        happening = Event(SPECIAL_VERBS["werden"], who, {"time": time(draw, "future"), "complement": years})
        return end(main_clause(happening, FUTURE, draw.word("time subject")))
    return end(main_clause(Event(SPECIAL_VERBS["sein"], who, {"complement": years}), PRESENT))


def price(draw: Draw) -> Phrase:
    """Das Fahrrad kostet hundert Euro ↔ The bicycle costs a hundred euros."""
    noun = draw.noun(("clothes", "device", "furniture", "book", "luggage"))
    thing = drawing.described(draw, noun, draw.deal("priced", [THE, THIS]))
    money = aligned(draw.deal("money", lexicon.LARGE_NUMBERS.split()) + " Euro:euros")
    happening = Event(SPECIAL_VERBS["kosten"], thing, {"complement": money})
    if draw.chance(0.4):
        return end(main_clause(happening.plus(time=time(draw, "past")), PAST, draw.word("time subject")))
    return end(main_clause(happening, PRESENT))


def profession(draw: Draw) -> Phrase:
    """Meine Schwester will Ärztin werden ↔ My sister wants to become a doctor."""
    noun = draw.noun(("adult",))
    while "relation" in noun.tags - {"artist"} and noun.singular not in ("Lehrer", "Lehrerin") or noun.singular in ("Mann", "Frau"):
        noun = draw.noun(("adult",))
    women = noun.gender == "f"
    who: Nominal
    if draw.chance(0.5):
        person_name = draw.deal(("named", women), drawing.WOMEN if women else drawing.MEN)
        who = drawing.Name(person_name)
    else:
        relatives = ["Mutter", "Schwester", "Tochter", "Tante", "Cousine", "Enkelin"]
        if not women:
            relatives = ["Vater", "Bruder", "Sohn", "Onkel", "Cousin", "Enkel"]
        chosen = draw.deal(("relative", women), [n for n in drawing.NOUNS if n.singular in relatives])
        who = NounPhrase(chosen, possessive(draw.deal("owners", [I, drawing.YOU, drawing.WE, THIRD_PERSON["m"]])))
    become, be_ = SPECIAL_VERBS["werden"], SPECIAL_VERBS["sein"]
    job = NounPhrase(noun, SILENT_A).phrase("nom")
    chance = draw.random.random()
    if chance < 0.4:
        return end(main_clause(Event(become, who, {"complement": job}), modal(draw)))
    if chance < 0.6:
        return end(main_clause(Event(become, who, {"complement": job, "time": time(draw, "past")}), PAST))
    happening = Event(be_, who, {"complement": job})
    workplace = drawing.some_place(draw, be_, ("work",))
    job_there = NounPhrase(noun, SILENT_A).phrase("nom") + workplace
    return end(main_clause(Event(be_, who, {"complement": job_there}), PRESENT if chance < 0.8 else PAST))


def exists(draw: Draw) -> Phrase:
    """In der Stadt gibt es drei Kirchen ↔ There are three churches in the city."""
    noun, tags = draw.deal(
        "exists",
        [("public", ("shop",)), ("animal", ("nature", "garden")), ("plant", ("garden", "leisure")), ("furniture", ("room",)),
         ("flower", ("garden", "leisure")), ("building", ("shop",)), ("device", ("room",))],
    )
    where = drawing.place_phrase(draw.place(tags))
    thing = drawing.indefinite(draw, draw.noun((noun,)))
    negation = Phrase()
    if draw.chance(0.25):
        thing = drawing.negative(draw, thing.noun)
        negation = Phrase((), (Target("not", thing.phrase("acc").de[:1]),))
    object_ = thing.phrase("acc")
    if negation.en:
        negation = Phrase((), (Target("not", object_.de[:1]),))
    is_past = draw.chance(0.3)
    finite, expletive = Source("gab" if is_past else "gibt"), Source("es")
    head = (Target("there", (expletive,)), Target(be_form(thing.agreement, is_past=is_past), (finite,)), *negation.en)
    if draw.chance(0.5):
        german = (*where.de, finite, expletive, *object_.de)
    else:
        german = (expletive, finite, *where.de, *object_.de)
    return end(Phrase(german, (*head, *object_.en, *where.en)))


def since(draw: Draw) -> Phrase:
    """Anna wohnt seit drei Jahren in Berlin ↔ Anna has lived in Berlin for three years."""
    infinitive = draw.word("wohnen arbeiten lernen kennen warten haben sammeln vermissen suchen schlafen")
    verb = next(v for v in drawing.VERBS if v.infinitive == infinitive)
    happening = event(draw, verb=verb, is_plain=True, kind="definite")
    units = "Minuten:minutes Stunden:hours" if infinitive in ("warten", "suchen", "schlafen") else lexicon.UNITS
    duration = pair("seit", "for") + aligned(f"{draw.word(lexicon.NUMBERS)} {draw.word(units)}")
    return end(main_clause(happening.plus(time=duration), Setting("since"), draw.word("subject subject time")))


def thing_for(draw: Draw, verb: Verb) -> NounPhrase:
    """Something certain that can be the subject of the verb."""
    noun = draw.noun(tuple(tag for tag in verb.subject if tag))
    draw.combinations.add((noun.singular, verb.lemma))
    return NounPhrase(noun, draw.deal("thing", [THE, THE, THIS]), plural=not noun.is_mass and draw.chance(0.15))


def pleases(draw: Draw) -> Phrase:
    """Das Buch gefällt dem Kind ↔ The child likes the book."""
    verb = SPECIAL_VERBS[draw.word("gefallen schmecken")]
    thing, who = thing_for(draw, verb), drawing.person(draw)
    if who.is_pronoun:
        who = drawing.pronoun_object(draw, "dat", thing)
        liker = pair(who.german.dat, who.english.subject)
    else:
        liker = who.phrase("dat")
    setting, slots = PRESENT, {"definite": thing.phrase("nom")}
    if draw.chance(0.4):
        setting, slots = PAST, slots | {"time": time(draw, "past")}
    if draw.chance(0.4):
        slots["negation"] = pair("nicht", "not")
    german = german_verb(verb, thing.agreement, setting, verb_final=False)
    parts = english_verb(verb, who.agreement, setting, german, (), supported="negation" in slots)
    english = english_side(Event(verb, who, slots), VerbComplex(german.finite, (), None, *parts), liker.en)
    adverbs = tuple(word for slot in ("time", "negation") if slot in slots for word in slots[slot].de)
    front, middle_ = slots["definite"].de, liker.de
    if not who.is_pronoun and draw.chance(0.5):
        front, middle_ = middle_, front
    return end(Phrase((*front, german.finite, *middle_, *adverbs, *german.tail), english))


def belongs(draw: Draw) -> Phrase:
    """Das Fahrrad gehört meinem Bruder."""
    verb = SPECIAL_VERBS["gehören"]
    thing = thing_for(draw, verb)
    happening = event(draw, verb=verb, actor=replace(thing, adjective=drawing.adjective(draw, thing.noun)[0]))
    if "pronoun" not in happening.slots and draw.chance(0.3):
        return end(main_clause(happening, PRESENT, "dative"))
    happening = happening.plus(negation=pair("nicht", "not")) if draw.chance(0.4) else happening
    return end(main_clause(happening, PRESENT) if draw.chance(0.7) else question(happening, PRESENT), FULL_STOP)


def stands_somewhere(draw: Draw) -> Phrase:
    """Auf dem Tisch stehen drei Tassen ↔ Three cups stand on the table."""
    verb = SPECIAL_VERBS[draw.word("stehen liegen")]
    noun = draw.noun(verb.subject)
    draw.combinations.add((noun.singular, verb.lemma))
    first = draw.chance(0.6)
    thing = drawing.indefinite(draw, noun) if first else drawing.definite(draw, noun, I)
    happening = event(draw, verb=verb, actor=thing)
    return end(main_clause(happening, PRESENT if draw.chance(0.7) else PAST, "complement" if first else "subject"))


def happens(draw: Draw) -> Phrase:
    """Das Konzert findet am Sonntag statt; der Zug fährt um acht Uhr ab."""
    verb = SPECIAL_VERBS[draw.word("stattfinden beginnen abfahren ankommen dauern")]
    happening = Event(verb, thing_for(draw, verb))
    if verb.infinitive == "dauern":
        unit = "Minuten:minutes Stunden:hours" if "film" in happening.subject.noun.tags else "Stunden:hours"
        duration = aligned(f"{draw.word(lexicon.NUMBERS)} {draw.word(unit)}")
        setting = PAST if draw.chance(0.4) else PRESENT
        return end(main_clause(happening.plus(complement=duration), setting))
    if verb.infinitive == "stattfinden":
        when = time(draw, "future")
    else:
        when = drawing.o_clock(draw)
    if draw.chance(0.35):
        return end(main_clause(happening.plus(time=time(draw, "past")), PAST, draw.word("time subject")))
    if draw.chance(0.3):
        return end(question(happening.plus(time=when), FUTURE), QUESTION_MARK)
    setting = FUTURE if verb.infinitive == "stattfinden" else PRESENT
    return end(main_clause(happening.plus(time=when), setting, draw.word("time subject")))


def despite(draw: Draw) -> Phrase:
    """Trotz des Regens hat das Kind im Garten gespielt ↔ Despite the rain the child played in the garden."""
    chance = draw.random.random()
    if chance < 0.65:
        german, english = draw.word("wegen:because_of trotz:despite").replace("_", " ").split(":")
        cause = draw.deal("cause", CAUSES)
    else:
        german, english, cause = "während", "during", draw.deal("occasion", OCCASIONS)
    phrase = pair(german, english) + pair(cause.article, "the") + pair(cause.german, cause.english)
    happening = event(draw, "past", is_plain=True).plus(time=phrase)
    if chance > 0.9:
        return end(main_clause(event(draw, "modal", is_plain=True).plus(time=phrase), modal(draw), "time"))
    return end(main_clause(happening, PAST, "time"))


PATTERNS = {
    habit: 5, habit_time_first: 5, how_often: 5, sometimes_first: 2, past: 6, past_time_first: 6, place_first: 4,
    object_first: 5, person_first: 3, with_modal: 5, modal_time_first: 5, modal_past: 3, future: 5, progressive: 4,
    already: 3, not_yet: 3, likes_to: 3, does_not: 3, did_not: 3, must_not: 3, no_thing: 4, asks_whether: 3,
    asks_whether_past: 3, asks_whether_modal: 2, asks_what: 2, asks_whom: 2, asks_who: 2, asks_when_or_why: 3,
    asks_where: 2, asks_which: 3, asks_how_old: 0.3, because: 6, when_first: 5, says_that: 7, asks_if: 5,
    before_or_while: 4, but: 4, who_does: 6, thing_done: 6, seen_who: 5, where_one_is: 2, in_order_to: 5, tries_to: 4,
    asks_to: 3, passive: 4, quality: 3, comparison: 4, age: 1.5, price: 1.5, profession: 3, exists: 2.5, since: 3,
    pleases: 3, belongs: 2, stands_somewhere: 3, happens: 3, despite: 3,
}  # fmt: skip
"""Every pattern with its share."""


@dataclass(frozen=True)
class Example:
    """A sentence pair, the pattern it came from and the combinations of words it holds."""

    pair: SentencePair
    pattern: str
    combinations: frozenset[tuple[str, str]]


def draw_example(draw: Draw) -> Example:
    """One sentence pair of any pattern."""
    pattern = draw.random.choices(list(PATTERNS), list(PATTERNS.values()))[0]
    draw.start_sentence()
    phrase = pattern(draw)
    return Example(spell(phrase), pattern.__name__, frozenset(draw.combinations))
