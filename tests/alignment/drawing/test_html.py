"""The page for the browser: one file, safe whatever is in the text, and used in a browser as people do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from nmt.alignment.drawing.html import PageFacts, page_lines, pair_record
from nmt.alignment.drawing.marks import Reference
from nmt.alignment.drawing.pair import Pair
from nmt.alignment.merge import WordAlignment
from nmt.corpus.links import Link, parse_talp
from nmt.corpus.words import word_spans

NUM_PAIRS = 1000
SECONDS_TO_DRAW = 5.0
"""Generous: on two free cores a fiftieth of it."""
EVIL = "<script>alert(1)</script> </script><!-- &amp; \"q\" 'q' a\u2028b \u202ec \x1b[0m"


def pair(number: int, source: str, target: str, links: dict[Link, float], *, gold: str | None = None) -> Pair:
    spans = (tuple(word_spans(line)) for line in (source, target))
    reference = None if gold is None else Reference(parse_talp(gold, where="gold:1"))
    return Pair(number, WordAlignment(source, target, *spans, links), "from: attention", reference)


def page_of(pairs: list[Pair], **facts) -> str:
    return "".join(page_lines(pairs, PageFacts("a.de – a.en", "a.links", **facts)))


def records(page: str) -> list[dict]:
    """The pairs that stand in a page, as a browser finds them."""
    data = re.search(r'<script type="application/json" id="pairs">\n(.*?)</script>', page, re.DOTALL)[1]
    return [json.loads(line) for line in data.split("\n") if line]


def test_text_is_data_and_never_markup() -> None:
    one = pair(1, EVIL, "x", {(0, 0): 0.5})
    page = page_of([one])
    assert EVIL.split()[0] not in page
    assert page.count("</script>") == 3
    assert not re.search("[\u2028\u202e\x1b]", page)
    assert records(page) == [json.loads(json.dumps(pair_record(one)))]
    assert "alert" in records(page)[0]["source"]


def test_gaps_and_words_put_together_are_the_line() -> None:
    for line in ("Er ruft  an.", " 私は本を借りました。", "كتب الولد", "e\u0301te\u0301 👩‍👩‍👧", ""):
        parts = pair_record(pair(1, line, line, {}))["source"]
        assert "".join(parts) == re.sub(" +", " ", line)
        assert parts[1::2] == [line[start:end] for start, end in word_spans(line)]


def test_a_link_says_whose_it_is() -> None:
    one = pair(1, "a b c d", "A B C", {(0, 0): 0.9, (1, 1): 0.4, (3, 0): 0.2}, gold="0-0 1p1 2-2")
    assert pair_record(one)["links"] == [[0, 0, 0.9, 1], [1, 1, 0.4, 0], [2, 2, None, 1], [3, 0, 0.2, None]]


def test_the_page_asks_for_nothing_from_outside() -> None:
    page = page_of([])
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[^\"' ]*", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\bsrc=|<link|@import|url\(", page)


# In the browser


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory: pytest.TempPathFactory):
    """The browser with a page of many pairs, beside gold."""
    first = pair(
        1,
        "Er ruft heute an.",
        "He calls today.",
        {(0, 0): 1.0, (1, 1): 0.97, (3, 1): 0.4, (2, 2): 0.83, (4, 3): 0.2},
        gold="0-0 1-1 3p1 2-2",
    )
    second = pair(2, EVIL, "كتب الولد", {(0, 0): 0.5}, gold="0-0")
    source, target = "der Hund schläft , " * 8, "the dog is sleeping , " * 8
    links = {
        (4 * k + i, 5 * k + j): 0.9 - i / 10 for k in range(8) for i, j in ((0, 0), (1, 1), (2, 3), (3, 4))
    }
    many = [pair(number, source, target, links, gold="0-0") for number in range(3, NUM_PAIRS + 1)]
    path: Path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(
        page_of([first, second, *many], theirs="a.talp", is_gold=True), encoding="utf-8", newline="\n"
    )
    browser.requests.clear()
    browser.resize(1200, 900)
    browser.open(path)
    return browser


@pytest.fixture
def page(opened) -> Iterator:
    """The page as it is at first."""
    opened.press("Escape", "Escape", "l")
    opened.value("scrollTo(0, 0)")
    yield opened
    assert opened.complaints == []


ARTICLE = "document.getElementById('1')"
CHOOSE = "$('{0}').value = '{1}'; $('{0}').dispatchEvent(new Event('input'))"
LIT = f"[...{ARTICLE}.querySelectorAll('.word.on')].map(e => e.textContent).sort().join(' ')"
NUMBERS = f"[...{ARTICLE}.querySelectorAll('text.number')].map(e => e.textContent).join(' ')"


def shown(browser) -> int:
    return browser.value("document.querySelectorAll('article').length")


def test_only_pairs_near_the_view_are_drawn_and_that_is_fast(page) -> None:
    assert shown(page) == NUM_PAIRS
    assert 0 < page.wait("document.querySelectorAll('.curves').length") < 50
    assert page.value("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 1000 * (
        SECONDS_TO_DRAW
    )
    seconds = page.value(
        "new Promise(done => {"
        "  const start = performance.now(); document.getElementById('900').scrollIntoView();"
        "  const look = () => document.querySelector('[id=\"900\"] .curves')"
        "    ? done((performance.now() - start) / 1000) : requestAnimationFrame(look); look(); })"
    )
    assert seconds < SECONDS_TO_DRAW
    assert page.wait("document.getElementById('1').childElementCount === 0")  # what left the view is let go
    assert page.value("document.querySelectorAll('.curves').length") < 50


@pytest.mark.parametrize("view", ["l", "g"])
def test_pointing_at_a_word_lights_its_links_and_the_words_they_lead_to(page, view: str) -> None:
    page.press(view)
    page.wait(f"{ARTICLE}.querySelectorAll('.link').length === 5")
    page.hover('[id="1"] [data-key="t1"]' + (" text" if view == "g" else ""))
    assert page.wait(LIT) == "an calls ruft"
    assert page.value(NUMBERS) == "0.97 0.40"
    assert page.value(f"{ARTICLE}.querySelectorAll('.link.on').length") == 2
    assert "calls" in page.value("document.getElementById('status').textContent")
    page.hover('[id="1"] [data-key="s2"]' + (" text" if view == "g" else ""))
    assert page.wait(LIT) == "heute today"
    page.hover("h1")
    page.wait(f"{LIT} === ''")


def test_the_arrow_keys_go_from_word_to_word_and_j_from_pair_to_pair(page) -> None:
    page.press("j", "k", "ArrowRight", "ArrowRight")
    assert page.wait(LIT) == "calls ruft"
    label = page.value("document.activeElement.getAttribute('aria-label')")
    assert re.sub("[\u2068\u2069]", "", label) == "ruft, linked to calls 0.97 (both)"
    page.press("j", "j")
    assert page.value("document.activeElement.id") == "3"
    page.press("?")
    assert page.value("document.getElementById('keys').open")
    page.value("document.getElementById('keys').close()")


def test_the_address_leads_to_a_word(page) -> None:
    page.value("location.hash = '#700:t1'")
    page.wait("document.querySelector('.lit')?.id === '700'")
    assert page.value("document.querySelector('.word.origin').textContent") == "dog"
    page.value("location.hash = ''")


def test_a_search_shows_only_the_pairs_that_have_it(page) -> None:
    page.press("/", *"Calls")
    page.wait("document.querySelectorAll('article').length === 1")
    assert page.wait("document.querySelector('.word.found').textContent") == "calls"
    assert page.value("document.getElementById('count').textContent").startswith("1 of 1000 pairs")
    page.press("Escape")
    page.wait(f"document.querySelectorAll('article').length === {NUM_PAIRS}")


def test_the_least_probability_hides_links_and_changes_the_error_rate(page) -> None:
    def facts_at(least: float) -> str:
        page.value(CHOOSE.format("min", least))
        page.wait(f"state.min === {least} && {ARTICLE}.querySelector('.curves') !== null")
        return page.value(f"{ARTICLE}.querySelector('.facts').textContent")

    assert facts_at(0.9) == "AER 0.200 · 2 both · 0 only here · 1 only there"
    assert page.value(f"{ARTICLE}.querySelectorAll('.both').length") == 2
    assert facts_at(0) == "AER 0.125 · 4 both (1 possible) · 1 only here · 0 only there"
    assert page.value(f"{ARTICLE}.querySelectorAll('.link').length") == 5


def test_pairs_can_be_sorted_by_error_rate(page) -> None:
    page.value(CHOOSE.format("order", "AER"))
    assert int(page.value("document.querySelector('article').id")) >= 3
    page.value(CHOOSE.format("order", "given"))
    assert page.value("document.querySelector('article').id") == "1"


def test_it_is_dark_where_that_is_preferred_and_d_turns_it(page) -> None:
    paper = "getComputedStyle(document.body).backgroundColor"
    page.prefer("light")
    light = page.value(paper)
    page.prefer("dark")
    dark = page.value(paper)
    assert light != dark
    page.press("d")
    assert page.value(paper) == light
    page.press("d")
    assert page.value(paper) == dark


def test_text_from_right_to_left_runs_so_and_nothing_in_it_is_run(page) -> None:
    page.wait("document.querySelector('[id=\"2\"] .row.target') !== null")
    row = "document.querySelector('[id=\"2\"] .row.target')"
    assert page.value(f"getComputedStyle({row}).direction") == "rtl"
    left, right = (f"document.querySelector('[id=\"2\"] [data-key={key}]')" for key in ("t1", "t0"))
    assert page.value(f"{left}.getBoundingClientRect().left < {right}.getBoundingClientRect().left")
    assert page.value("document.querySelectorAll('script').length") == 3
    assert "alert" in page.value("document.getElementById('2').textContent")


def test_nothing_was_asked_of_the_network(page) -> None:
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []
    assert len(page.requests) == 1
