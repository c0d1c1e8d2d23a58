"""The sample corpus: it is reproducible, clean, worth learning, and its grammar says what it should."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from nmt.corpus.links import Links, parse_talp
from nmt.corpus.sample import sample_dir
from nmt.corpus.words import words
from nmt.sample_data import lexicon, patterns
from nmt.sample_data.clauses import Event, Setting, main_clause, question, request, subordinate
from nmt.sample_data.draw import Draw
from nmt.sample_data.grammar import (
    NOT_A,
    THE,
    A,
    Name,
    NounPhrase,
    Phrase,
    SentencePair,
    aligned,
    number,
    pair,
    possessive,
    prepositional,
    spell,
)
from nmt.sample_data.make_de_en import Corpus, make_corpus, write_corpus

PARTS = ("train", "dev", "test")
FILES = [f"{part}.{side}" for part in PARTS for side in ("de", "en")] + ["dev.talp", "test.talp"]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus()


@pytest.fixture(scope="module")
def corpus_dir() -> Path:
    return sample_dir() / "de-en"


def lines(path: Path) -> list[str]:
    return path.read_bytes().decode().removesuffix("\n").split("\n")


# The files


def test_the_program_makes_the_same_bytes_again(corpus: Corpus, corpus_dir: Path, tmp_path: Path) -> None:
    write_corpus(corpus, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (corpus_dir / name).read_bytes(), name


@pytest.mark.parametrize(("part", "size"), [("train", 20_000), ("dev", 500), ("test", 500)])
def test_parts_have_their_sizes(corpus_dir: Path, part: str, size: int) -> None:
    assert len(lines(corpus_dir / f"{part}.de")) == len(lines(corpus_dir / f"{part}.en")) == size


@pytest.mark.parametrize("side", ["de", "en"])
def test_no_sentence_stands_twice_on_either_side(corpus_dir: Path, side: str) -> None:
    sentences = [line for part in PARTS for line in lines(corpus_dir / f"{part}.{side}")]
    assert len(set(sentences)) == len(sentences)


def test_raw_text_splits_into_the_words_of_the_grammar(corpus: Corpus) -> None:
    for example in (example for part in PARTS for example in corpus.parts[part][:2000]):
        assert words(example.pair.german, "punct") == list(example.pair.de)
        assert words(example.pair.english, "punct") == list(example.pair.en)


def gold(corpus_dir: Path) -> Iterator[tuple[list[str], list[str], Links]]:
    """The words of both sides and the links of every pair of dev and test."""
    for part in ("dev", "test"):
        files = [lines(corpus_dir / f"{part}.{ending}") for ending in ("de", "en", "talp")]
        for line_number, (german, english, links) in enumerate(zip(*files, strict=True), start=1):
            parsed = parse_talp(links, where=f"{part}.talp:{line_number}")
            assert parsed.sure == parsed.possible
            yield words(german, "punct"), words(english, "punct"), set(parsed.sure)


def test_gold_links_cover_every_word_but_commas_that_only_german_has(corpus_dir: Path) -> None:
    for german, english, links in gold(corpus_dir):
        assert {j for _, j in links} == set(range(len(english)))
        linked = {i for i, _ in links}
        assert linked <= set(range(len(german)))
        assert {german[i] for i in range(len(german)) if i not in linked} <= {","}


def test_punctuation_is_linked_with_punctuation(corpus_dir: Path) -> None:
    for german, english, links in gold(corpus_dir):
        assert all((german[i] in ",.?!") == (english[j] in ",.?!") for i, j in links)


# Worth learning


def crosses(links: Links) -> bool:
    return any((i - k) * (j - m) < 0 for i, j in links for k, m in links)


def test_corpus_is_worth_learning(corpus_dir: Path) -> None:
    pairs = list(gold(corpus_dir))[-500:]
    german_length = sum(len(german) for german, _, _ in pairs) / len(pairs)
    english_length = sum(len(english) for _, english, _ in pairs) / len(pairs)
    crossing = sum(crosses(links) for _, _, links in pairs) / len(pairs)
    hits = num_diagonal = num_gold = 0
    for german, english, links in pairs:
        last = len(german) - 1
        diagonal = {(min(last, round(j * len(german) / len(english))), j) for j in range(len(english))}
        hits, num_diagonal = hits + len(diagonal & links), num_diagonal + len(diagonal)
        num_gold += len(links)
    diagonal_aer = 1 - 2 * hits / (num_diagonal + num_gold)
    print(  # noqa: T201
        f"mean length {german_length:.1f} de, {english_length:.1f} en; "
        f"crossing links in {crossing:.1%}; AER of the diagonal {diagonal_aer:.3f}"
    )
    assert min(german_length, english_length) >= 9
    assert crossing >= 0.3
    assert diagonal_aer >= 0.35


def test_lexicon_has_at_least_500_entries() -> None:
    nouns = {noun.singular for noun in lexicon.NOUNS} | {place.noun.singular for place in lexicon.PLACES}
    verbs = {verb.lemma for verb in [*lexicon.VERBS, *lexicon.SPECIAL_VERBS.values()]}
    adjectives = {adjective.german for adjective in lexicon.ADJECTIVES}
    names = {name.german for name in lexicon.MEN + lexicon.WOMEN + lexicon.SURNAMES}
    named = {name.german for names_ in lexicon.NAMED.values() for name in names_}
    sizes = [len(nouns), len(verbs), len(adjectives), len(names | named)]
    print("nouns, verbs, adjectives, names:", sizes)  # noqa: T201
    assert sum(sizes) >= 500


def test_train_has_every_pattern_at_least_20_times(corpus: Corpus) -> None:
    found = [example.pattern for example in corpus.parts["train"]]
    assert len(patterns.PATTERNS) >= 25
    assert min(found.count(pattern.__name__) for pattern in patterns.PATTERNS) >= 20


def test_every_name_noun_and_adjective_is_frequent_in_train(corpus: Corpus) -> None:
    count: dict[str, int] = {}
    for example in corpus.parts["train"]:
        for word in set(example.pair.en):
            count[word] = count.get(word, 0) + 1
    for noun in [*lexicon.NOUNS, *(place.noun for place in lexicon.PLACES)]:
        forms = {noun.english.split()[-1], noun.english_plural.split()[-1]}
        assert sum(count.get(form, 0) for form in forms) >= 25, noun.english
    for adjective in lexicon.ADJECTIVES:
        forms = {adjective.english, adjective.english_comparative}
        assert sum(count.get(form, 0) for form in forms) >= 25, adjective.english
    for name in lexicon.MEN + lexicon.WOMEN + lexicon.SURNAMES + lexicon.CITIES + lexicon.COUNTRIES:
        assert count[name.english] >= 25, name.english


def test_test_has_combinations_that_train_has_not(corpus: Corpus) -> None:
    assert not any(example.combinations & corpus.held_out for example in corpus.parts["train"])
    known_words = {
        w for example in corpus.parts["train"] for combination in example.combinations for w in combination
    }
    for part in ("dev", "test"):
        new = [example for example in corpus.parts[part] if example.combinations & corpus.held_out]
        assert len(new) == 250
    assert {word for combination in corpus.held_out for word in combination} <= known_words


def test_a_german_sentence_has_one_translation() -> None:
    draw, translations = Draw(Random(7)), dict[str, str]()
    for _ in range(4_000):
        sentence = patterns.draw_example(draw).pair
        assert translations.setdefault(sentence.german, sentence.english) == sentence.english


# Sentences worked by hand

NOUNS = {noun.singular: noun for noun in lexicon.NOUNS} | {p.noun.singular: p.noun for p in lexicon.PLACES}
VERBS = {verb.lemma: verb for verb in lexicon.VERBS}
ANNA = Name(next(name for name in lexicon.WOMEN if name.german == "Anna"))
TEACHER = NounPhrase(NOUNS["Lehrer"])
RED = next(adjective for adjective in lexicon.ADJECTIVES if adjective.german == "rot")
BROTHER = NounPhrase(NOUNS["Bruder"], possessive(patterns.ME))
PRESENT, PAST = Setting(), Setting("past")


def modal(german: str) -> Setting:
    return Setting(modal=next(modal for modal in lexicon.MODALS if german in modal.forms))


def shown(sentence: SentencePair) -> str:
    """Both sides, and every English word's German words."""
    sources: dict[int, list[str]] = {j: [] for j in range(len(sentence.en))}
    for i, j in sentence.links:
        sources[j].append(sentence.de[i])
    words_ = " ".join(f"{word}={'+'.join(sources[j])}" for j, word in enumerate(sentence.en))
    return f"{sentence.german} | {words_}"


def says(phrase: Phrase, mark: str = ".") -> str:
    return shown(spell(patterns.end(phrase, mark)))


def accusative(noun: str, determiner: object = THE) -> Phrase:
    return NounPhrase(NOUNS[noun], determiner).phrase("acc")  # type: ignore[arg-type]


def test_a_separable_verb_takes_its_prefix_to_the_end() -> None:
    calling = Event(VERBS["anrufen/call"], TEACHER, {"definite": BROTHER.phrase("acc")})
    assert says(main_clause(calling, PRESENT)) == (
        "Der Lehrer ruft meinen Bruder an. | "
        "The=Der teacher=Lehrer calls=ruft+an my=meinen brother=Bruder .=."
    )
    clause = subordinate(calling, PRESENT, pair("dass", "that"))
    assert says(clause).startswith(
        "Dass der Lehrer meinen Bruder anruft. | That=Dass the=der teacher=Lehrer calls=anruft"
    )


def test_prefix_and_particle_are_linked_one_by_one() -> None:
    dressing = Event(VERBS["anziehen/put"], TEACHER, {"indefinite": accusative("Jacke", A)})
    assert says(main_clause(dressing, PRESENT)) == (
        "Der Lehrer zieht eine Jacke an. | The=Der teacher=Lehrer puts=zieht on=an a=eine jacket=Jacke .=."
    )


def test_the_perfect_is_a_simple_past_linked_with_both_of_its_words() -> None:
    writing = Event(
        VERBS["schreiben/write"],
        ANNA,
        {"definite": accusative("Brief"), "time": aligned("gestern:yesterday")},
    )
    assert says(main_clause(writing, PAST, "time")) == (
        "Gestern hat Anna den Brief geschrieben. | "
        "Yesterday=Gestern Anna=Anna wrote=hat+geschrieben the=den letter=Brief .=."
    )
    assert says(main_clause(writing, PAST, "definite")) == (
        "Den Brief hat Anna gestern geschrieben. | "
        "Anna=Anna wrote=hat+geschrieben the=Den letter=Brief yesterday=gestern .=."
    )


def test_do_is_linked_with_the_finite_verb() -> None:
    reading = Event(VERBS["lesen/read"], ANNA, {"definite": accusative("Zeitung")})
    assert says(question(reading, PRESENT), "?") == (
        "Liest Anna die Zeitung? | Does=Liest Anna=Anna read=Liest the=die newspaper=Zeitung ?=?"
    )
    assert says(question(reading, PAST), "?") == (
        "Hat Anna die Zeitung gelesen? | Did=Hat Anna=Anna read=gelesen the=die newspaper=Zeitung ?=?"
    )
    denied = reading.plus(negation=aligned("nicht:not"))
    assert says(main_clause(denied, PRESENT)) == (
        "Anna liest die Zeitung nicht. | "
        "Anna=Anna does=liest not=nicht read=liest the=die newspaper=Zeitung .=."
    )


def test_kein_is_not_and_the_article() -> None:
    umbrella = accusative("Regenschirm", NOT_A)
    negation = Phrase((), (type(umbrella.en[0])("not", umbrella.de[:1]),))
    buying = Event(VERBS["kaufen/buy"], ANNA, {"indefinite": umbrella, "negation": negation})
    assert says(main_clause(buying, PRESENT)) == (
        "Anna kauft keinen Regenschirm. | "
        "Anna=Anna does=kauft not=keinen buy=kauft an=keinen umbrella=Regenschirm .=."
    )


def test_a_modal_sends_the_infinitive_to_the_end() -> None:
    helping = Event(VERBS["helfen/help"], TEACHER, {"dative": BROTHER.phrase("dat")})
    assert says(main_clause(helping, modal("will"))) == (
        "Der Lehrer will meinem Bruder helfen. | "
        "The=Der teacher=Lehrer wants=will to=helfen help=helfen my=meinem brother=Bruder .=."
    )
    denied = helping.plus(negation=aligned("nicht:not"))
    assert "cannot=kann+nicht help=helfen" in says(main_clause(denied, modal("kann")))


def test_contractions_and_compounds_share_their_links() -> None:
    garden = prepositional("in", "dat", "in", NounPhrase(NOUNS["Garten"]))
    picking = Event(
        VERBS["pflanzen/plant"], ANNA, {"indefinite": accusative("Apfelbaum", A), "place": garden}
    )
    assert says(main_clause(picking, PAST, "place")) == (
        "Im Garten hat Anna einen Apfelbaum gepflanzt. | Anna=Anna planted=hat+gepflanzt "
        "an=einen apple=Apfelbaum tree=Apfelbaum in=Im the=Im garden=Garten .=."
    )


def test_adjectives_take_the_ending_that_the_determiner_leaves_them() -> None:
    def phrase(determiner: object, case: str, *, plural: bool = False) -> str:
        noun_phrase = NounPhrase(NOUNS["Mantel"], determiner, plural, RED)  # type: ignore[arg-type]
        return " ".join(word.text for word in noun_phrase.phrase(case).de)  # type: ignore[arg-type]

    assert phrase(THE, "nom") == "der rote Mantel"
    assert phrase(THE, "dat") == "dem roten Mantel"
    assert phrase(THE, "gen") == "des roten Mantels"
    assert phrase(A, "nom") == "ein roter Mantel"
    assert phrase(A, "acc") == "einen roten Mantel"
    assert phrase(number("drei:three"), "nom", plural=True) == "drei rote Mäntel"
    assert phrase(THE, "dat", plural=True) == "den roten Mänteln"


def test_a_genitive_becomes_the_english_possessive() -> None:
    car = NounPhrase(NOUNS["Auto"], owner=BROTHER)
    assert says(car.phrase("nom")) == (
        "Das Auto meines Bruders. | My=meines brother's=Bruders car=Das+Auto .=."
    )
    door = NounPhrase(NOUNS["Tür"], owner=NounPhrase(NOUNS["Haus"]))
    assert (
        says(door.phrase("nom")) == "Die Tür des Hauses. | The=Die door=Tür of=des the=des house=Hauses .=."
    )


def test_a_reflexive_pronoun_is_linked_with_the_verb() -> None:
    resting = Event(VERBS["ausruhen/rest"], TEACHER, {"time": aligned("heute:today")})
    assert says(main_clause(resting, PAST, "time")) == (
        "Heute hat sich der Lehrer ausgeruht. | "
        "Today=Heute the=der teacher=Lehrer rested=hat+sich+ausgeruht .=."
    )


def test_a_request_is_an_imperative() -> None:
    calling = Event(VERBS["anrufen/call"], patterns.YOU, {"definite": BROTHER.phrase("acc")})
    assert says(request(calling), "!") == (
        "Ruf bitte meinen Bruder an! | Please=bitte call=Ruf+an my=meinen brother=Bruder !=!"
    )
