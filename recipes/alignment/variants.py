"""Align heads with one part taken away or changed, and what they are compared with."""

# B pairs, S source pieces, T target pieces

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from time import process_time

import torch
from settings import Setting
from torch import Tensor, nn

from nmt.alignment import Alignment, align_layers
from nmt.alignment.attention import attend_both_ways
from nmt.alignment.choice import Probe, choose_layer, choose_threshold
from nmt.alignment.linking import Probabilities, link_by_head
from nmt.alignment.origin import Origin
from nmt.alignment.symmetrize import symmetrize
from nmt.alignment.text_aligner import CutPair, TextAligner, train_text_aligner
from nmt.checkpoint import TranslationModel
from nmt.corpus.links import Links
from nmt.errors import DataError
from nmt.model.align_head import EMBEDDING_WIDTH, AlignHead
from nmt.model.forced import PiecePair, in_batches
from nmt.training.align_head import fresh_head, make_labels, train_align_head
from nmt.training.links import cut_pair, encode_pair, usable_pairs

FULL = "full"

Find = Callable[[], list[Alignment]]
"""Finds the alignments of the gold pairs."""
BothWays = tuple[Tensor, Tensor]
"""Two (T, S) of a pair: `forward` and `backward` of Alignment."""
Labels = tuple[Tensor, Tensor]
"""(B, T, S + 1) and (B, T + 1, S) of a batch: what the head is to find."""


class Ground:
    """What all variants share: the model, its text in pieces, the text aligner, the layer, the gold."""

    def __init__(self, model: TranslationModel, setting: Setting, *, num_pairs: int | None) -> None:
        self.model = model
        self.gold = setting.gold()
        self.gold_pairs = setting.gold_pairs()
        used = list(usable_pairs(model, setting.pairs()[:num_pairs]))
        self.pairs = [cut_pair(pair) for pair in used]
        self.encoded = [encode_pair(model, pair.source, pair.target) for pair in self.gold_pairs]
        if not all(pair.ids for pair in self.encoded):
            raise DataError(f"{setting.folder}: a gold pair is blank or too long for the model to link")
        sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
        began = process_time()
        self.aligner: TextAligner = train_text_aligner(
            self.pairs, vocab_sizes=sizes, is_joint=model.config.tokenizer.joint
        )
        self.aligner_seconds = process_time() - began
        self.probe = Probe.of(model, [(pair.source, pair.target) for pair in used], self.aligner)
        self.layer = choose_layer(model, self.probe).layer

    @cached_property
    def full(self) -> AlignHead:
        """The head as it is trained at the end of a run."""
        return self.train(self.model, self.from_text)

    def train(
        self,
        model: TranslationModel,
        label: Callable[[Sequence[CutPair]], Labels],
        *,
        layer: int | None = None,
        change: Callable[[AlignHead], None] = lambda _: None,
    ) -> AlignHead:
        """A head, changed before it is trained."""
        seed = model.config.training.seed
        head = fresh_head(model, layer=layer or self.layer, seed=seed)
        change(head)
        return train_align_head(model, self.pairs, label, head=head, seed=seed)

    def alignments(self, found: Sequence[Probabilities | None], origin: Origin) -> list[Alignment]:
        """Alignments of the gold pairs."""
        return [
            Alignment(pair.source, pair.target, tuple(pair.src.spans), tuple(pair.tgt.spans), *each, origin)
            for pair, each in zip(self.encoded, found, strict=True)
            if each
        ]

    def links(self, alignments: Sequence[Alignment], threshold: float = 0.0) -> list[Links]:
        """Links on the tokens of the gold."""
        return [
            set(alignment.words(pair.tokens, threshold).links)
            for alignment, pair in zip(alignments, self.gold_pairs, strict=True)
        ]

    def from_text(self, batch: Sequence[CutPair]) -> Labels:
        """The labels of the product: the mean of both HMM aligners."""
        return make_labels(self.aligner.posteriors(batch))

    def voted(self, batch: Sequence[CutPair]) -> Labels:
        """Those on which the best link of the model's own attention is the aligners' best one, or NULL."""
        forward, backward = self.from_text(batch)
        for row, (by_tgt, by_src) in enumerate(self.attention(batch)):
            num_tgt, num_src = by_tgt.shape
            best = forward[row, :num_tgt].argmax(1)
            forward[row, :num_tgt] *= ((best == by_tgt.argmax(1)) | (best == forward.size(2) - 1))[:, None]
            best = backward[row, :, :num_src].argmax(0)
            backward[row, :, :num_src] *= (best == by_src.argmax(0)) | (best == backward.size(1) - 1)
        return forward, backward

    def from_attention(self, batch: Sequence[CutPair]) -> Labels:
        """The model's own links, symmetrised; pieces without any do not count (Chen et al., 2020)."""
        hard = list(map(symmetrised, self.attention(batch)))
        forward, backward = make_labels([(links, links) for links in hard])
        forward[:, :, -1], backward[:, -1] = 0, 0
        return forward, backward

    def attention(self, batch: Sequence[CutPair]) -> list[BothWays]:
        """The model's own attention in both directions."""
        found = attend_both_ways(self.model, piece_pairs(batch), (self.layer,))
        return [(there, back) for each in found for there, back in each.values() if back is not None]

    def taught_again(self, batch: Sequence[CutPair]) -> Labels:
        """The mean of the text aligner and the full head."""
        model = replace(self.model, align_head=self.full)
        both = zip(self.aligner.posteriors(batch), link_by_head(model, piece_pairs(batch)), strict=True)
        return make_labels(
            [((text[0] + head[0]) / 2, (text[1] + head[1]) / 2) for text, head in both if head[1] is not None]
        )


def piece_pairs(batch: Sequence[CutPair]) -> list[PiecePair]:
    """A batch as the network takes it."""
    return [PiecePair(src.piece_ids, tgt.piece_ids) for src, tgt in batch]


def symmetrised(attention: BothWays) -> Tensor:
    """The best link of every piece in both directions, grown from their intersection: (T, S) of 0 and 1."""
    forward, backward = attention
    links = symmetrize(
        {(i, j) for j, i in enumerate(forward.argmax(1).tolist())},
        {(i, j) for i, j in enumerate(backward.argmax(0).tolist())},
        "grow-diag",
    )
    matrix = torch.zeros(forward.shape)
    for i, j in links:
        matrix[j, i] = 1
    return matrix


def without_embeddings(head: AlignHead) -> None:
    """Take the head's own embeddings away for good."""
    freeze_at_zero(head.src_embedding, head.tgt_embedding)


def narrow_embeddings(head: AlignHead) -> None:
    """Give the head embeddings of a quarter of their width."""
    for side in (head.src_embedding, head.tgt_embedding):
        side.embedding_dim = EMBEDDING_WIDTH // 4 + 1
        side.weight = nn.Parameter(side.weight[:, -side.embedding_dim :].detach().clone())


def without_neighbours(head: AlignHead) -> None:
    """Leave every score as it is by itself."""
    freeze_at_zero(head.neighbours[-1])


def freeze_at_zero(*modules: nn.Module) -> None:
    """Make weights zero, which they stay."""
    for module in modules:
        for parameter in module.parameters():
            nn.init.zeros_(parameter).requires_grad_(False)


def by_head(ground: Ground, model: TranslationModel, train: Callable[[], AlignHead]) -> list[Alignment]:
    """Alignments of the gold pairs by a head that is trained now."""
    model = replace(model, align_head=train())
    threshold = choose_threshold(model, ground.probe)
    found = in_batches(
        [pair.ids for pair in ground.encoded],
        partial(link_by_head, model),
        batch_tokens=model.config.decoding.batch_tokens,
    )
    return ground.alignments(found, Origin("head", ground.layer, threshold=threshold))


def variants(ground: Ground) -> dict[str, Callable[[], list[Alignment]]]:
    """What finds the alignments of the gold pairs, by name; the full head comes first."""
    model, text, aligner = ground.model, ground.from_text, ground.aligner

    def head(*arguments: object, model: TranslationModel = model, **changes: object) -> Find:
        return partial(by_head, ground, model, partial(ground.train, model, *arguments, **changes))

    def hmm(posteriors: Callable[[Sequence[CutPair]], list[BothWays]]) -> Find:
        pairs = list(map(cut_pair, ground.encoded))
        return lambda: ground.alignments(posteriors(pairs), Origin("hmm", is_both_ways=True))

    def labels_of(posteriors: Callable[[Sequence[CutPair]], list[BothWays]]) -> Find:
        return head(lambda batch: make_labels(posteriors(batch)))

    layers = range(1, model.config.model.decoder_layers + 1)
    return {
        FULL: partial(by_head, ground, model, lambda: ground.full),
        "no-embeddings": head(text, change=without_embeddings),
        "narrow-embeddings": head(text, change=narrow_embeddings),
        "no-neighbours": head(text, change=without_neighbours),
        "labels-hmm-pieces": labels_of(aligner.by_pieces),
        "labels-hmm-words": labels_of(aligner.by_words),
        "labels-voted": head(ground.voted),
        "labels-attention": head(ground.from_attention),
        "self-training": head(ground.taught_again),
        **{f"layer-{layer}": head(text, layer=layer) for layer in layers if layer != ground.layer},
        "hmm-pieces": hmm(aligner.by_pieces),
        "hmm-words": hmm(aligner.by_words),
        "hmm": hmm(aligner.posteriors),
        "attention": partial(by_attention, ground),
    }


def by_attention(ground: Ground) -> list[Alignment]:
    """Alignments of the gold pairs by the model's attention as it is."""
    pairs = [(pair.source, pair.target) for pair in ground.gold_pairs]
    return [found[ground.layer] for found in align_layers(ground.model, pairs, (ground.layer,))]
