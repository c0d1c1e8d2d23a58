"""What else could come next in a translation: the likeliest pieces, each with its best hypothesis."""

from dataclasses import dataclass, replace

import torch

from nmt.decoding.constraints import begin, constrain
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
def next_options(engine: Engine, sentence: Sentence, rules: Rules, *, count: int) -> list[Option]:
    """The `count` likeliest tokens that may come after the prefix of a sentence, likeliest first.

    EOS is one of them where a translation may end. log P is the model's, whatever is forbidden.
    """
    log_probs = engine.next_log_probs(sentence)[None]  # (1, V)
    history = torch.tensor([sentence.prefix], dtype=torch.int64, device=log_probs.device)
    lengths = torch.full_like(history[:, :1].sum(1), len(sentence.prefix))
    owners, before = torch.zeros_like(lengths), log_probs.clone()
    forbid(log_probs, history, lengths, owners, [sentence], rules)
    standings = begin([sentence], 0)
    for token in sentence.prefix:
        standings = {row: standing.after(token) for row, standing in standings.items()}
    if standings:
        constrain(log_probs, before, standings, lengths, owners, [sentence], rules)
    values, tokens = log_probs[0].sort(descending=True, stable=True)
    allowed = values[:count].isfinite()
    likeliest = tokens[:count][allowed].tolist()
    continued = [replace(sentence, prefix=(*sentence.prefix, token), after_prefix=()) for token in likeliest]
    found = engine.find(continued, replace(rules, nbest=1, sampling=None))
    each = zip(likeliest, values[:count][allowed].tolist(), found, strict=True)
    return [Option(token, log_prob, best[0]) for token, log_prob, best in each if best]
