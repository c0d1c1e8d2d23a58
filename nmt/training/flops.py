"""How many floating-point operations a step of training takes at least, counted from sizes and lengths."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import reduce

from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.corpus.batching import Batch
from nmt.tokenizer import PAD_ID
from nmt.training.loss import TELL_EVERY

FLOPS_PER_PRODUCT = 6  # a multiplication and an addition: once forward, and backward for input and weight


@dataclass(frozen=True)
class TrainingFlops:
    """Operations of matrix products, forward and backward, by what they are for; padding is no work.

    Everything else (norms, softmax, dropout, the optimiser) is left out, as is what is computed twice to save
    memory, so that dividing by the seconds gives model FLOP/s (Chowdhery et al., 2022).
    """

    source: float = 0.0  # weights that meet source tokens: the encoder, and keys and values of the source
    target: float = 0.0  # weights of the decoder
    attention: float = 0.0  # queries by keys, weights by values; causal attention counts in full
    output: float = 0.0  # logits over the vocabulary
    reconstruction: float = 0.0  # see `nmt.training.loss.reconstruction_loss`

    @property
    def total(self) -> float:
        """All of them."""
        return self.source + self.target + self.attention + self.output + self.reconstruction

    def __add__(self, other: "TrainingFlops") -> "TrainingFlops":
        return TrainingFlops(
            *(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True))
        )

    def per(self, count: int) -> "TrainingFlops":
        """The average over so many."""
        return TrainingFlops(*(part / count for part in astuple(self)))


def flops_of_batches(
    batches: Iterable[Batch],
    config: ModelConfig,
    *,
    src_vocab_size: int,
    tgt_vocab_size: int,
    reconstruction: bool,
    num_passes: int = 1,
) -> TrainingFlops:
    """Operations of training once on these batches; with consistency there are two passes over them."""
    each = (
        training_flops(
            (batch.src_tokens != PAD_ID).sum(1),
            (batch.tgt_out != PAD_ID).sum(1),
            config=config,
            src_vocab_size=src_vocab_size,
            tgt_vocab_size=tgt_vocab_size,
            reconstruction=reconstruction,
            num_passes=num_passes,
        )
        for batch in batches
    )
    return reduce(TrainingFlops.__add__, each, TrainingFlops())


def training_flops(
    src_lengths: Tensor,
    tgt_lengths: Tensor,
    *,
    config: ModelConfig,
    src_vocab_size: int,
    tgt_vocab_size: int,
    reconstruction: bool,
    num_passes: int = 1,
) -> TrainingFlops:
    """Operations of training once on pairs of these lengths (B,), EOS included.

    With S and T for the lengths of a pair, D for d_model, F for d_ff (½ more of it where the feed-forward
    layers are gated), V for the vocabulary and one piece in four told in the reconstruction, a pair takes
    6 operations for each of, all but the last in every pass,

    - source: S · (encoder layers · (4 D² + 2 D F) + decoder layers · 2 D²)
    - target: T · decoder layers · (6 D² + 2 D F)
    - attention: 2 D · (encoder layers · S² + decoder layers · (T² + S T))
    - output: T · V D
    - reconstruction: ¼ (T - 1) · V D + ¼ (S - 1) · (V D + D²) + 2 S T D
    """
    src, tgt = src_lengths.double(), tgt_lengths.double()  # whole numbers overflow, in float32 they are lost
    d_model, d_ff = config.d_model, config.d_ff * (1.5 if config.gated else 1)
    encoder_layers, decoder_layers = config.encoder_layers, config.decoder_layers
    feed_forward = 2 * d_model * d_ff
    source = encoder_layers * (4 * d_model**2 + feed_forward) + decoder_layers * 2 * d_model**2
    target = decoder_layers * (6 * d_model**2 + feed_forward)
    attention = 2 * d_model * (encoder_layers * src**2 + decoder_layers * (tgt**2 + src * tgt))
    told = (tgt - 1) * tgt_vocab_size * d_model + (src - 1) * (src_vocab_size * d_model + d_model**2)
    from_attention = 2 * src * tgt * d_model
    products = (
        *(num_passes * part for part in (source * src, target * tgt, attention)),
        num_passes * tgt_vocab_size * d_model * tgt,
        (told / TELL_EVERY + from_attention) if reconstruction else 0 * tgt,
    )
    return TrainingFlops(*(FLOPS_PER_PRODUCT * float(part.sum()) for part in products))
