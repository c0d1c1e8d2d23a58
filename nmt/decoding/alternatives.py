"""What else could come next in a translation: the likeliest pieces, each with its best hypothesis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from nmt.decoding.engine import Engine
from nmt.decoding.rules import Rules, Sentence, forbid
from nmt.decoding.search import Found


@dataclass(frozen=True)
class Option:
    """A token that may come next, log P of it alone, and the best hypothesis that goes on with it."""

    token: int
    log_prob: float
    found: Found


@torch.inference_mode()
def next_options(
    engine: Engine, sentence: Sentence, rules: Rules, *, count: int, excluded: Sequence[int] = ()
) -> list[Option]:
    """The `count` likeliest tokens after the prefix of a sentence that are not excluded, likeliest first.

    EOS is one of them where a translation may end. log P is the model's, whatever is forbidden.
    """
    log_probs = engine.next_log_probs(sentence)[None]  # (1, V)
    history = torch.tensor([sentence.prefix], dtype=torch.int64, device=log_probs.device)
    lengths = torch.full_like(history[:, :1].sum(1), len(sentence.prefix))
    forbid(log_probs, history, lengths, torch.zeros_like(lengths), [sentence], rules)
    log_probs[:, list(excluded)] = -torch.inf
    values, tokens = log_probs[0].sort(descending=True, stable=True)
    allowed = values[:count].isfinite()
    likeliest = tokens[:count][allowed].tolist()
    continued = [replace(sentence, prefix=(*sentence.prefix, token)) for token in likeliest]
    found = engine.find(continued, replace(rules, nbest=1, sampling=None))
    each = zip(likeliest, values[:count][allowed].tolist(), found, strict=True)
    return [Option(token, log_prob, best[0]) for token, log_prob, best in each if best]
