"""Presets: sizes by name, and what to choose by the number of sentence pairs."""

from collections.abc import Mapping
from typing import Any, Literal

from nmt.errors import ConfigError

SizeName = Literal["tiny", "small", "base", "big", "fast"]
PresetName = Literal["auto", SizeName]
Options = dict[str, dict[str, Any]]

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"encoder_layers": 4, "decoder_layers": 4, "d_model": 128, "d_ff": 256, "num_heads": 4},
    "small": {"encoder_layers": 4, "decoder_layers": 4, "d_model": 256, "d_ff": 1024, "num_heads": 4},
    "base": {"encoder_layers": 6, "decoder_layers": 6, "d_model": 512, "d_ff": 2048, "num_heads": 8},
    "big": {"encoder_layers": 6, "decoder_layers": 6, "d_model": 1024, "d_ff": 4096, "num_heads": 16},
    "fast": {"encoder_layers": 8, "decoder_layers": 1, "d_model": 256, "d_ff": 1024, "num_heads": 4},
}
"""`fast` has as many weights as `small`, most of them where a sentence passes once (Kasai et al., 2021)."""
SMALLEST = next(iter(SIZES))
LARGEST_CORPUS = {"tiny": 50_000, "small": 200_000, "base": 5_000_000}  # sentence pairs; more: big
VOCAB_SIZES = ((15_000, 2_000), (50_000, 4_000), (300_000, 8_000), (2_000_000, 16_000))  # up to pairs, pieces
LARGEST_VOCAB = 32_000
BATCH_TOKENS = ((50_000, 2048), (999_999, 4096))  # up to pairs, target tokens
LARGEST_BATCH = 25_000
FEW_TOKENS = 1024  # of a batch, where there is time for few steps
MANY_PAIRS = 1_000_000  # from here on little regularisation is needed
LITTLE_DROPOUT = 0.1
DROPOUTS = ((15, LITTLE_DROPOUT), (30, 0.2))  # for few pairs: up to so many passes over them
MUCH_DROPOUT = 0.3


def preset(name: str, *, num_pairs: int) -> Options:
    """Options of a preset for a corpus of this many pairs; `auto` takes the size that suits it."""
    if name == "auto":
        name = suiting_size(num_pairs)
    if name not in SIZES:
        raise ConfigError(f"--preset {name}: expected one of auto, {', '.join(SIZES)}")
    return {
        "model": dict(SIZES[name]),
        "training": {
            "batch_tokens": next((size for most, size in BATCH_TOKENS if num_pairs <= most), LARGEST_BATCH),
            "warmup_steps": 2000 if num_pairs < MANY_PAIRS else 4000,
        },
    }


def suiting_size(num_pairs: int) -> str:
    """The name of the size for a corpus of this many pairs."""
    return next((size for size, most in LARGEST_CORPUS.items() if num_pairs <= most), "big")


def size_name(sizes: Mapping[str, Any]) -> str:
    """The name of the size that has these options of a model; empty if none has."""
    return next((name for name, options in SIZES.items() if sizes.items() >= options.items()), "")


def smaller_sizes(name: str) -> list[str]:
    """The names of the sizes that are for fewer pairs than this one, from the smallest on."""
    names = [*LARGEST_CORPUS, "big"]
    return names[: names.index(name)] if name in names else []


def typical_pairs(name: str) -> int:
    """Sentence pairs of the largest corpus that a size is for; of the largest size, twice the one before."""
    same_weights = "small" if name == "fast" else name
    return LARGEST_CORPUS.get(same_weights, 2 * max(LARGEST_CORPUS.values()))


def vocab_size(num_pairs: int) -> int:
    """Pieces of a joint vocabulary for this many pairs (after Gowda & May, 2020: fewer for small data)."""
    return next((pieces for most, pieces in VOCAB_SIZES if num_pairs <= most), LARGEST_VOCAB)


def dropout(num_pairs: int, num_passes: float) -> float:
    """Dropout for so many passes over so many pairs: what is seen seldom is not learnt by heart."""
    if num_pairs >= MANY_PAIRS:
        return LITTLE_DROPOUT
    return next((rate for most, rate in DROPOUTS if num_passes <= most), MUCH_DROPOUT)


def learning_rate(d_model: int, *, is_fresh: bool = True) -> float:
    """Peak learning rate of AdamW and Muon: 5e-3 at width 128, 6e-4 at 512, falling with width ** 1.5.

    Three tenths of that for weights that have learnt before, so that they do not lose it all.
    """
    return float(f"{(5e-3 if is_fresh else 1.5e-3) * (128 / d_model) ** 1.5:.2g}")


def merge(*layers: Options) -> Options:
    """Options by section, later layers over earlier ones."""
    merged: Options = {}
    for layer in layers:
        for section, options in layer.items():
            merged[section] = {**merged.get(section, {}), **options}
    return merged
