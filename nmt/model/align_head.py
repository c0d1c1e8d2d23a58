"""The align head: how likely pieces of source and target belong together, from frozen states."""

# B pairs, S source pieces, T target pieces, D d_model, H width of the head, L width of its embeddings

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from nmt.model.dropout import dropout
from nmt.model.encoded import EncodedSources
from nmt.model.forced import PiecePair, read_pairs
from nmt.model.transformer import Transformer
from nmt.tokenizer import PAD_ID

WIDTH = 128
EMBEDDING_WIDTH = 256
CHANNELS = 16
NUM_OFFSETS = 33
"""Differences of relative positions, from one end of the other line to its other end, in so many steps."""
DROPOUT = 0.1
SCORE_RANGE = 16.0
"""Scores beyond it, either way, are alike to what corrects them."""
FAR_BELOW = -1e4  # a logit that no softmax takes notice of


@dataclass(frozen=True)
class View:
    """What a frozen network makes of pairs."""

    keys: Tensor  # (B, S, D): encoder states of the source
    queries: Tensor  # (B, T, D): decoder states, at the places that have the target's pieces as their input


@dataclass(frozen=True)
class LinkLogits:
    """Logits of links, to be normalised over either side; the last choice is NULL, none of them."""

    forward: Tensor  # (B, T, S + 1): which source piece a target piece belongs to
    backward: Tensor  # (B, T + 1, S): which target piece a source piece belongs to

    def probs(self) -> tuple[Tensor, Tensor]:
        """Both normalised: rows of the first and columns of the second sum to 1."""
        return self.forward.softmax(2), self.backward.softmax(1)

    def log_probs(self) -> tuple[Tensor, Tensor]:
        """Logarithms of the same."""
        return self.forward.log_softmax(2), self.backward.log_softmax(1)


@torch.no_grad()
def look(
    network: Transformer,
    pairs: Sequence[PiecePair],
    *,
    layer: int,
    encoded: EncodedSources | None = None,
) -> View:
    """The states of a batch of pairs at a decoder layer from 1.

    Sources that are in `encoded` are not encoded again.
    """
    forced = read_pairs(network, pairs, encoded)
    queries = network.queries(forced.tgt_tokens, forced.encoder_out, layer=layer - 1)
    return View(_own(forced.encoder_out.states, pairs), queries[:, 1:])


def _own(states: Tensor, pairs: Sequence[PiecePair]) -> Tensor:
    """The encoder states (B, S, D) of the sources themselves, without what stands before them."""
    starts = torch.tensor([len(pair.before) for pair in pairs], device=states.device)
    longest = max(len(pair.src) for pair in pairs)
    places = starts[:, None] + torch.arange(longest, device=states.device)  # (B, S)
    places = places.clamp(max=states.size(1) - 1)  # beyond there is only padding
    return states.gather(1, places[..., None].expand(-1, -1, states.size(2)))


class AlignHead(nn.Module):
    """Scores for every target and source piece, normalised over both sides.

    A score is the product of a query, made of the decoder state that has seen the target piece, and a key,
    made of the encoder state of the source piece (Chen et al., 2020), plus that of embeddings of the two,
    plus biases for their places and for being equal. Then every score is corrected by those around it, as
    links run along diagonals. Both normalisations and NULL are as in Mask-Align (Chen et al., 2021).
    """

    def __init__(self, d_model: int, *, layer: int, src_vocab_size: int, tgt_vocab_size: int) -> None:
        """`layer` is the decoder layer, from 1, whose states are the queries."""
        super().__init__()
        self.layer = layer
        self.threshold = 0.0  # words that fit each other less well are not linked; 0: none was chosen
        self.key_norm, self.query_norm = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.key_proj, self.query_proj = nn.Linear(d_model, WIDTH), nn.Linear(d_model, WIDTH)
        self.key_null, self.query_null = nn.Linear(d_model, 1), nn.Linear(d_model, 1)
        self.src_embedding = nn.Embedding(src_vocab_size, EMBEDDING_WIDTH + 1)
        self.tgt_embedding = nn.Embedding(tgt_vocab_size, EMBEDDING_WIDTH + 1)  # the last: of NULL
        self.offset_bias = nn.Parameter(torch.zeros(NUM_OFFSETS))
        self.equal_bias = nn.Parameter(torch.zeros(()))
        self.neighbours = nn.ModuleList(
            [
                nn.Conv2d(3, CHANNELS, 5, padding=2),
                nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
                nn.Conv2d(CHANNELS, 1, 1),
            ]
        )
        for embedding in (self.src_embedding, self.tgt_embedding):
            nn.init.normal_(embedding.weight, std=0.1)
            nn.init.zeros_(embedding.weight[:, -1])
        for parameter in self.neighbours[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, view: View, src: Tensor, tgt: Tensor) -> tuple[LinkLogits, LinkLogits]:
        """Links of source (B, S) and target pieces (B, T): first each by itself, then among the others."""
        scores = self._scores(view, src, tgt)
        is_real = (tgt != PAD_ID)[:, :, None] & (src != PAD_ID)[:, None, :]
        alone = scores.with_null(is_real)
        corrected = replace(scores, links=scores.links + self._correction(scores.links, alone, is_real))
        return alone, corrected.with_null(is_real)

    def _scores(self, view: View, src: Tensor, tgt: Tensor) -> "_Scores":
        """Every score by itself."""
        keys, queries = self._dropped(self.key_norm(view.keys)), self._dropped(self.query_norm(view.queries))
        src_embedded, tgt_embedded = self.src_embedding(src), self.tgt_embedding(tgt)  # (B, S or T, L + 1)
        links = self.query_proj(queries) @ self.key_proj(keys).transpose(1, 2) / math.sqrt(WIDTH)
        links = links + self._dropped(tgt_embedded[..., :-1]) @ self._dropped(src_embedded[..., :-1]).mT
        links = links + self.offset_bias[_offset_buckets(src, tgt)]
        links = links + self.equal_bias * (tgt[:, :, None] == src[:, None, :])
        return _Scores(
            links,
            self.key_null(keys)[..., 0] + src_embedded[..., -1],
            self.query_null(queries)[..., 0] + tgt_embedded[..., -1],
        )

    def _correction(self, scores: Tensor, alone: LinkLogits, is_real: Tensor) -> Tensor:
        """What the surroundings of every place add to its score (B, T, S)."""
        forward, backward = alone.probs()
        squashed = (scores / SCORE_RANGE).clamp(-1, 1)
        x = torch.stack((forward[:, :, :-1], backward[:, :-1], squashed), -1)  # (B, T, S, 3)
        mask = is_real[..., None].to(x.dtype)
        x = (x * mask).permute(0, 3, 1, 2)  # (B, 3, T, S), channels last in memory: as it is fastest
        first, second, last = self.neighbours
        x = functional.relu(first(x))
        x = functional.relu(second(x * mask.permute(0, 3, 1, 2)))
        out: Tensor = last(x)[:, 0]
        return out

    def _dropped(self, x: Tensor) -> Tensor:
        return dropout(x, DROPOUT) if self.training else x


@dataclass(frozen=True)
class _Scores:
    """Logits of links and of having none."""

    links: Tensor  # (B, T, S)
    src_null: Tensor  # (B, S)
    tgt_null: Tensor  # (B, T)

    def with_null(self, is_real: Tensor) -> LinkLogits:
        """As they are to be normalised; `is_real` (B, T, S) is false where a padded piece takes part."""
        links = self.links.masked_fill(~is_real, FAR_BELOW)
        return LinkLogits(
            torch.cat((links, self.tgt_null[:, :, None]), 2), torch.cat((links, self.src_null[:, None, :]), 1)
        )


def _offset_buckets(src: Tensor, tgt: Tensor) -> Tensor:
    """How far the places of target and source pieces are apart (B, T, S), as numbers of `offset_bias`."""
    src_places, tgt_places = (
        torch.arange(side.size(1), device=side.device) / (side != PAD_ID).sum(1, keepdim=True).clamp_min(1)
        for side in (src, tgt)
    )  # (B, S) and (B, T): from 0 to below 1
    offsets = (tgt_places[:, :, None] - src_places[:, None, :]).clamp(-1, 1)
    return ((offsets + 1) * ((NUM_OFFSETS - 1) // 2)).round().long()
