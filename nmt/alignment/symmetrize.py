"""Combine the links of both directions into one set."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import get_args

from nmt.alignment.formats import LinkLine
from nmt.alignment.merge import WordAlignment, turned
from nmt.corpus.links import Link, Links, Method
from nmt.errors import UsageError

METHODS: tuple[Method, ...] = get_args(Method)

SIDES: tuple[Link, ...] = ((0, -1), (-1, 0), (0, 1), (1, 0))
CORNERS: tuple[Link, ...] = ((-1, -1), (1, -1), (-1, 1), (1, 1))
"""Neighbours of a link (source, target), in the order in which symal of Moses looks at them."""

_Rule = Callable[[Iterable[bool]], bool]
"""`any`: one of the two words must still be without a link; `all`: both must."""


def symmetrize(forward: Links, reverse: Links, method: Method) -> Links:
    """One set of links from those of both directions, both given source first.

    `grow` takes the intersection and adds neighbours, in the union, of links that are in; `grow-diag` also
    those across a corner. EITHER word of what is added must be free, still without a link (Koehn et al.,
    2003; symal of Moses, atools); with `-strict` BOTH must, as behind many published error rates (Zenkel et
    al., 2019). `-final` then adds links anywhere with a free word, `-final-and` those with two, first the
    forward ones. All in the order of symal: by target, then by source.
    """
    if method == "union":
        return forward | reverse
    growing = _Growing(forward & reverse)
    if method == "intersection":
        return growing.links
    neighbours = SIDES + CORNERS if method.startswith("grow-diag") else SIDES
    growing.grow(forward | reverse, neighbours, all if "-strict" in method else any)
    if "-final" in method:
        rule = all if method.endswith("-and") else any
        growing.add_free([*_in_order(forward), *_in_order(reverse)], rule)
    return growing.links


def _in_order(links: Links) -> list[Link]:
    return sorted(links, key=lambda link: link[::-1])


class _Growing:
    """A set of links that takes up further ones while their words are free."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.sources = {source for source, _ in links}
        self.targets = {target for _, target in links}

    def grow(self, union: Links, neighbours: Iterable[Link], rule: _Rule) -> None:
        """Add neighbours of links, out of the union, until there are none."""
        ordered = _in_order(union)
        num_before = -1
        while num_before < len(self.links):
            num_before = len(self.links)
            for i, j in ordered:
                if (i, j) in self.links:
                    near = [(i + right, j + down) for right, down in neighbours]
                    self.add_free([link for link in near if link in union], rule)

    def add_free(self, links: Iterable[Link], rule: _Rule) -> None:
        for source, target in links:
            if rule((source not in self.sources, target not in self.targets)):
                self.links.add((source, target))
                self.sources.add(source)
                self.targets.add(target)


def symmetrize_probabilities(
    forward: Mapping[Link, float], reverse: Mapping[Link, float], method: Method
) -> dict[Link, float]:
    """One set of links with the mean of the probabilities of both directions, where no link counts as 0."""
    links = symmetrize(set(forward), set(reverse), method)
    return {link: (forward.get(link, 0.0) + reverse.get(link, 0.0)) / 2 for link in sorted(links)}


def symmetrize_lines(forward: LinkLine, reverse: LinkLine, method: Method) -> LinkLine:
    """The same of two lines; a link is only possible if neither of them has it as a sure one."""
    links = symmetrize_probabilities(forward.probabilities, reverse.probabilities, method)
    unknown = frozenset(links) if forward.unknown or reverse.unknown else frozenset()
    possible = frozenset(links) - forward.gold.sure - reverse.gold.sure
    words = forward.alignment or reverse.alignment
    return LinkLine(links, unknown, possible, words and replace(words, links=links))


def symmetrize_alignments(forward: WordAlignment, reverse: WordAlignment, method: Method) -> WordAlignment:
    """One alignment from those of a model and of one in the other direction, whose source is our target."""
    other = turned(reverse)
    if (forward.src_words, forward.tgt_words) != (other.src_words, other.tgt_words):
        raise UsageError("the two models cut lines into different pieces; count links on words instead")
    return replace(forward, links=symmetrize_probabilities(forward.links, other.links, method))
