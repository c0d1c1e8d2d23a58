"""Trains the align head on the frozen network, with labels from the text aligner: no gold links needed."""

# B pairs, S source pieces, T target pieces

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nmt.alignment.text_aligner import CutPair
from nmt.checkpoint import TranslationModel, build_align_head
from nmt.corpus.batching import plan_batches
from nmt.model.align_head import AlignHead, LinkLogits, View, look
from nmt.model.dropout import seeded
from nmt.model.forced import PiecePair, pad

EPOCHS = 4
BATCH_TOKENS = 2048
LEARNING_RATE = 1e-2
WARMUP_STEPS = 50
KEPT_BYTES = 2**30
"""States and labels of so many bytes are kept from the first epoch on; the others are made anew."""

Label = Callable[[Sequence[CutPair]], tuple[Tensor, Tensor]]
"""Gives what is to be found in a batch: `forward` and `backward` of an Example."""


@dataclass(frozen=True)
class Example:
    """A batch as the head takes it, and the links it is to find; zero at padding."""

    src: Tensor  # (B, S)
    tgt: Tensor  # (B, T)
    view: View
    forward: Tensor  # (B, T, S + 1): probabilities, laid out as in LinkLogits
    backward: Tensor  # (B, T + 1, S)

    def to(self, dtype: torch.dtype) -> "Example":
        """The same with all that is not a number of a piece in another precision."""
        view = View(self.view.keys.to(dtype), self.view.queries.to(dtype))
        return Example(self.src, self.tgt, view, self.forward.to(dtype), self.backward.to(dtype))

    @property
    def num_bytes(self) -> int:
        """Size of all tensors."""
        parts = (self.forward, self.backward, self.view.keys, self.view.queries)
        return sum(part.nbytes for part in parts)


def head_loss(found: Sequence[LinkLogits], example: Example) -> Tensor:
    """Cross-entropy to the wanted links, the mean over all pieces; the sum over all that was found."""
    losses = [
        (example.forward * forward).sum() + (example.backward * backward).sum()
        for forward, backward in (each.log_probs() for each in found)
    ]
    return -torch.stack(losses).sum() / (example.forward.sum() + example.backward.sum())


def train_align_head(
    model: TranslationModel,
    pairs: Sequence[CutPair],
    label: Label,
    *,
    head: AlignHead,
    seed: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> AlignHead:
    """Train a head for a model, whose own weights stay as they are, and return it.

    `pairs` are in the model's first direction. `on_progress` hears of every batch how many pairs it has, and
    may raise to stop. The same pairs and seed give the same head.
    """
    batches = _batches(pairs, seed)
    examples = _Examples(model, label, pairs, head.layer)
    num_steps = EPOCHS * len(batches)
    optimizer = torch.optim.AdamW(
        head.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=model.device.type in ("cpu", "cuda")
    )
    generator = torch.Generator().manual_seed(seed)
    with seeded(seed, model.device):
        for step in range(num_steps):
            if step % len(batches) == 0:
                order = torch.randperm(len(batches), generator=generator).tolist()
            number = order[step % len(batches)]
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(step, num_steps)
            example = examples.make(number, batches[number])
            loss = head_loss(head(example.view, example.src, example.tgt), example)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimizer.step()
            on_progress(len(batches[number]))
    return head.eval()


def fresh_head(model: TranslationModel, *, layer: int, seed: int) -> AlignHead:
    """A head for a decoder layer (from 1) of a model, not trained yet."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
        return build_align_head(model.config, layer=layer, vocab_sizes=sizes).to(model.device)


def _learning_rate(step: int, num_steps: int) -> float:
    """Linear warm-up, then half a cosine to zero."""
    warmup = min(1.0, (step + 1) / WARMUP_STEPS)
    return LEARNING_RATE * warmup * 0.5 * (1 + math.cos(math.pi * step / num_steps))


def _batches(pairs: Sequence[CutPair], seed: int) -> list[list[int]]:
    src_lengths, tgt_lengths = torch.tensor([[len(side.piece_ids) for side in pair] for pair in pairs]).T
    planned = plan_batches(src_lengths, tgt_lengths, batch_tokens=BATCH_TOKENS, seed=seed, epoch=0)
    return [numbers.tolist() for numbers in planned]


class _Examples:
    """Makes batches, and keeps what there is room for."""

    def __init__(self, model: TranslationModel, label: Label, pairs: Sequence[CutPair], layer: int) -> None:
        self.model = model
        self.label = label
        self.pairs = pairs
        self.layer = layer
        self.kept: dict[int, Example] = {}
        self.num_bytes = 0

    def make(self, number: int, indices: Sequence[int]) -> Example:
        """The batch with this number."""
        if number in self.kept:
            return self.kept[number].to(torch.float32)
        batch = [self.pairs[i] for i in indices]
        tags = self.model.directions[0].tag_ids
        pieces = [PiecePair(src.piece_ids, tgt.piece_ids, src.before).tagged(tags) for src, tgt in batch]
        device = self.model.device
        forward, backward = self.label(batch)
        example = Example(
            pad([pair.src for pair in pieces], device),
            pad([pair.tgt for pair in pieces], device),
            look(self.model.network, pieces, layer=self.layer),
            forward.to(device),
            backward.to(device),
        )
        small = example.to(torch.float16)
        if self.num_bytes + small.num_bytes <= KEPT_BYTES:
            self.kept[number] = small
            self.num_bytes += small.num_bytes
        return example


def make_labels(posteriors: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Padded probabilities to learn, (B, T, S + 1) and (B, T + 1, S), out of those of links both ways (T, S).

    Both sides are asked for the mean of what the two ways say; what is left of a piece is for NULL.
    """
    sizes = torch.tensor([links.shape for links, _ in posteriors])  # (B, 2): T and S
    longest_tgt, longest_src = sizes.amax(0).tolist()
    mean = torch.zeros(len(posteriors), longest_tgt, longest_src)
    for row, (from_src, from_tgt) in zip(mean, posteriors, strict=True):
        num_tgt, num_src = from_src.shape
        torch.add(from_src, from_tgt, out=row[:num_tgt, :num_src])
    mean /= 2
    forward = mean / mean.sum(2, keepdim=True).clamp_min(1)
    backward = mean / mean.sum(1, keepdim=True).clamp_min(1)
    is_tgt, is_src = (torch.arange(most) < sizes[:, [side]] for side, most in enumerate(mean.shape[1:]))
    of_tgt, of_src = is_tgt.float() - forward.sum(2), is_src.float() - backward.sum(1)  # left for NULL
    return torch.cat((forward, of_tgt[:, :, None]), 2), torch.cat((backward, of_src[:, None]), 1)
