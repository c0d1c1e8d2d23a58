"""Combine the links of both directions into one set."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import get_args

from nmt.alignment.merge import WordAlignment, turned
from nmt.corpus.links import Link, Links, Method
from nmt.errors import UsageError

METHODS: tuple[Method, ...] = get_args(Method)

NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))

_Rule = Callable[[Iterable[bool]], bool]
"""`any`: one of the two words must still be without a link; `all`: both must."""


def symmetrize(forward: Links, reverse: Links, method: Method) -> Links:
    """One set of links from those of both directions, both given source first.

    `grow-diag` adds neighbours in the union of which EITHER word is still without a link (Koehn et al., 2003,
    as in Moses); `grow-diag-strict` asks that BOTH words are, as behind many published error rates.
    `-final` then adds links of either direction with a free word, `-final-and` those with both words free.
    """
    if method == "union":
        return forward | reverse
    if method == "intersection":
        return forward & reverse
    growing = _Growing(forward & reverse)
    growing.grow(forward | reverse, all if method == "grow-diag-strict" else any)
    if method in ("grow-diag-final", "grow-diag-final-and"):
        growing.add_free(
            [*sorted(forward), *sorted(reverse)], all if method == "grow-diag-final-and" else any
        )
    return growing.links


class _Growing:
    """A set of links that takes up further ones while their words are free."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self.sources = {source for source, _ in links}
        self.targets = {target for _, target in links}

    def grow(self, union: Links, rule: _Rule) -> None:
        """Add neighbours of links, out of the union, until there are none."""
        ordered = sorted(union)
        num_before = -1
        while num_before < len(self.links):
            num_before = len(self.links)
            for i, j in ordered:
                if (i, j) in self.links:
                    neighbours = [(i + down, j + right) for down, right in NEIGHBOURS]
                    self.add_free([link for link in neighbours if link in union], rule)

    def add_free(self, links: Iterable[Link], rule: _Rule) -> None:
        for source, target in links:
            if rule((source not in self.sources, target not in self.targets)):
                self.links.add((source, target))
                self.sources.add(source)
                self.targets.add(target)


def symmetrize_alignments(forward: WordAlignment, reverse: WordAlignment, method: Method) -> WordAlignment:
    """One alignment from those of a model and of one in the other direction, whose source is our target.

    The probability of a link is the mean of both directions; one that does not have the link counts as 0.
    """
    other = turned(reverse)
    if (forward.src_words, forward.tgt_words) != (other.src_words, other.tgt_words):
        raise UsageError("the two models cut lines into different pieces; count links on words instead")
    links = symmetrize(set(forward.links), set(other.links), method)
    shares = {link: (forward.links.get(link, 0.0) + other.links.get(link, 0.0)) / 2 for link in sorted(links)}
    return replace(forward, links=shares)
