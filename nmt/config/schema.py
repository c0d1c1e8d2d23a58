"""Every option, declared once: name, type, default, unit and one sentence. No torch here."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal

from nmt.config.languages import CODE, file_languages
from nmt.errors import ConfigError
from nmt.files import InvalidUtf8

OnLong = Literal["split", "truncate", "error"]
LinksFrom = Literal["auto", "attention", "head", "hmm"]


@dataclass(frozen=True)
class DataConfig:
    """Which text to train on and which pairs of it to keep."""

    src: tuple[str, ...] = ()
    """Source-language files, one sentence a line; `.gz`, `.xz` and `.zst` are read as they are."""
    tgt: tuple[str, ...] = ()
    """Target-language files, line by line the translations of `src`."""
    weights: tuple[float, ...] = ()
    """How many times an epoch has the pairs of each file of `src`; 0.5: half of them, drawn anew for each
    epoch. A pair that several files have is of the first. Empty: all once."""
    dev_src: str = ""
    """Source side of the development set; empty: held out from the training pairs."""
    dev_tgt: str = ""
    """Target side of the development set."""
    max_length: int = 200
    """Longest sentence in pieces, either side; longer: dropped in training, see `on_long` for translation."""
    max_ratio: float = 6.0
    """Largest ratio between the two lengths in pieces, after adding 5 to both."""
    invalid_utf8: InvalidUtf8 = "error"
    """A line that is not UTF-8 is an error; `skip` drops the pair, `replace` mends it with U+FFFD."""
    remove_duplicates: bool = True
    """Drop a pair that occurred before, both sides equal, and their context, if there is any."""
    bidirectional: bool = False
    """Train one model for both directions: a tag before a source says which language is wanted."""
    context: int = 0
    """Sentences of the same document that are read before each source (2-to-1 and more of Tiedemann &
    Scherrer, 2017). Lines in a row are a document; a blank one on the side of the source, or the end of a
    file, ends it. Of a source and its context together the last `max_length` pieces are read; as they are
    longer, fewer pairs fit into a batch."""
    src_lang: str = ""
    """Code of the source language, such as `de`; empty: the ending of the files, if it is one, else `src`."""
    tgt_lang: str = ""
    """Code of the target language; empty: likewise, else `tgt`."""

    @property
    def languages(self) -> tuple[str, str]:
        """Codes of source and target language."""
        src, tgt = file_languages(self.src, self.tgt)
        return self.src_lang or src, self.tgt_lang or tgt

    @property
    def contexts(self) -> tuple[int, int]:
        """How many lines before it a line of either side has where it is a source."""
        return self.context, self.context if self.bidirectional else 0

    @property
    def most_places(self) -> int:
        """Of the pieces of a sentence, BOS or EOS, and a tag."""
        return self.max_length + 1 + self.bidirectional

    def __post_init__(self) -> None:
        if len(self.src) != len(self.tgt):
            raise ConfigError(
                f"data: {len(self.src)} source files and {len(self.tgt)} target files; "
                "give one target file for each source file"
            )
        if self.weights and len(self.weights) != len(self.src):
            raise ConfigError(
                f"data.weights: {len(self.weights)} numbers for {len(self.src)} source files; give one each"
            )
        for weight in self.weights:
            _require(
                0 < weight <= 10_000, "data.weights", weight, "above 0, at most 10000, or leave the file out"
            )
        if bool(self.dev_src) != bool(self.dev_tgt):
            raise ConfigError("data: dev_src and dev_tgt go together; give both or neither")
        for path in (*self.src, *self.tgt, self.dev_src, self.dev_tgt):
            _refuse_bytes(path, "data")
        for name in ("src_lang", "tgt_lang"):
            code = getattr(self, name)
            _require(not code or bool(CODE.fullmatch(code)), f"data.{name}", repr(code), "a code such as de")
        if self.bidirectional and len(set(self.languages)) < 2:
            raise ConfigError(
                f"data.bidirectional: both languages are {self.languages[0]!r}; "
                "give two with --set data.src_lang=… --set data.tgt_lang=…"
            )
        _require(self.max_length >= 1, "data.max_length", self.max_length, "at least 1")
        _require(0 <= self.context <= 100, "data.context", self.context, "0 to 100")
        _require(self.max_ratio >= 1.0, "data.max_ratio", self.max_ratio, "at least 1")


@dataclass(frozen=True)
class TokenizerConfig:
    """How raw text is cut into pieces (Kudo & Richardson, 2018)."""

    model: str = ""
    """An existing SentencePiece model to use instead of training one."""
    type: Literal["unigram", "bpe"] = "unigram"
    """Unigram language model (Kudo, 2018) or byte-pair encoding (Sennrich et al., 2016)."""
    vocab_size: int = 0
    """Number of pieces; 0 chooses by the number of training pairs."""
    joint: bool = True
    """One vocabulary for both languages; false trains one for each."""
    normalization: Literal["identity", "nfkc"] = "identity"
    """`identity` keeps every character; `nfkc` folds compatibility forms before cutting."""
    character_coverage: float = 1.0
    """Share of the characters in the text that get pieces of their own; the rest is spelt in bytes."""
    byte_fallback: bool = True
    """Spell unknown characters as UTF-8 bytes instead of `<unk>`."""
    sampling_alpha: float = 0.0
    """Subword regularisation in training: unigram smoothing (Kudo, 2018), of which less is more noise, or
    BPE-dropout probability (Provilkov et al., 2020); 0 switches both off. Batches have as many pairs as
    without, and more pieces."""

    def __post_init__(self) -> None:
        _require(self.vocab_size >= 0, "tokenizer.vocab_size", self.vocab_size, "0 or more")
        _require(
            0.9 <= self.character_coverage <= 1.0,
            "tokenizer.character_coverage",
            self.character_coverage,
            "0.9 to 1",
        )
        _require(0.0 <= self.sampling_alpha <= 1.0, "tokenizer.sampling_alpha", self.sampling_alpha, "0 to 1")


@dataclass(frozen=True)
class ModelConfig:
    """The encoder-decoder Transformer (Vaswani et al., 2017)."""

    encoder_layers: int = 4
    """Layers of the encoder."""
    decoder_layers: int = 4
    """Layers of the decoder."""
    d_model: int = 256
    """Width of the residual stream."""
    d_ff: int = 1024
    """Width inside the feed-forward layers."""
    num_heads: int = 4
    """Attention heads in every layer; must divide d_model."""
    norm_position: Literal["pre", "post"] = "pre"
    """Normalise before each sub-layer (Xiong et al., 2020) or after its residual (Vaswani et al., 2017)."""
    norm: Literal["layer", "rms"] = "layer"
    """LayerNorm (Ba et al., 2016) or RMSNorm (Zhang & Sennrich, 2019)."""
    activation: Literal["relu", "gelu", "silu"] = "relu"
    """Nonlinearity of the feed-forward layers."""
    gated: bool = False
    """Gated feed-forward (Shazeer, 2020): activation(x W) * (x V), then out."""
    qk_norm: bool = False
    """RMSNorm of the queries and keys of each head (Henry et al., 2020; Dehghani et al., 2023)."""
    positions: Literal["rotary", "sinusoidal", "learned"] = "rotary"
    """Rotations in self-attention (Su et al., 2021), or fixed or learned embeddings added to the input."""
    max_positions: int = 1024
    """Longest sequence of learned positions; the others have no limit."""
    bias: bool = True
    """Biases in linear layers and norms."""
    tied_embeddings: Literal["all", "target", "none"] = "all"
    """Share embeddings (Press & Wolf, 2017): source, target and output; target and output; or none."""
    dropout: float | Literal["auto"] = "auto"
    """Dropout (Srivastava et al., 2014) on embeddings and on the output of every sub-layer; `auto`: by the
    number of pairs, and how often they will be seen."""
    attention_dropout: float = 0.0
    """Dropout on attention weights."""
    activation_dropout: float = 0.0
    """Dropout inside the feed-forward layers."""

    @property
    def dropout_rate(self) -> float:
        """The dropout, and as long as that is open a usual one."""
        return 0.1 if self.dropout == "auto" else self.dropout

    @property
    def alignment_layer(self) -> int:
        """The decoder layer, from 1, that training shapes for alignment: the middle one."""
        return (self.decoder_layers + 1) // 2

    def __post_init__(self) -> None:
        for name in ("encoder_layers", "decoder_layers", "d_model", "d_ff", "num_heads", "max_positions"):
            _require(1 <= getattr(self, name) <= 65_536, f"model.{name}", getattr(self, name), "1 to 65536")
        _require(0.0 <= self.dropout_rate < 1.0, "model.dropout", self.dropout, "0 to below 1, or 'auto'")
        for name in ("attention_dropout", "activation_dropout"):
            _require(0.0 <= getattr(self, name) < 1.0, f"model.{name}", getattr(self, name), "0 to below 1")
        if self.d_model % self.num_heads:
            raise ConfigError(f"model: d_model {self.d_model} is not divisible by num_heads {self.num_heads}")
        if self.positions == "rotary" and (self.d_model // self.num_heads) % 2:
            raise ConfigError(
                f"model: rotary positions need an even head width, found {self.d_model // self.num_heads}"
            )


@dataclass(frozen=True)
class TrainingConfig:
    """The optimiser, its schedule, and when to look, save and stop."""

    seed: int = 1
    """Seed of everything random: initial weights, order, dropout, sampling, the held-out set."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; `auto` takes a GPU if there is one."""
    threads: int = 0
    """CPU threads; 0 takes all cores this process may use. Another number draws other dropout."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of matrix products; `auto` measures at first start and keeps what is faster."""
    batch_tokens: int = 4096
    """Largest batch in target tokens (padding included) for one optimiser step."""
    micro_batch: int | Literal["auto"] = "auto"
    """Tokens of a batch that a GPU, or a worker of the CPU, computes at once; of more, gradients of parts are
    summed. `auto`: what memory has room for, tried at the start. Another number draws other dropout."""
    max_steps: int = 100_000
    """Stop after this many optimiser steps."""
    max_epochs: int = 0
    """Stop after this many passes over the data; 0 sets no limit."""
    budget: float = 0.0
    """Seconds to train for, evaluation included; the schedule is planned to end in them. 0: no limit."""
    fit_budget: bool = False
    """With a budget that has no room for 1,000 steps of a size, take a smaller one, with batches and learning
    rate that suit it; with room for fewer than 2,000 of the smallest, batches of 1,024 tokens. The preset
    `auto` does, unless one of them is given; false once that is decided."""
    init_from: str = ""
    """Folder of a finished model whose weights, sizes and tokenizer training begins with; empty: none."""
    freeze: tuple[Literal["embeddings", "encoder", "decoder"], ...] = ()
    """Parts of that model that keep their weights; `embeddings`: of pieces, in and out, and of places."""
    l2_init: float = 0.0
    """Weight λ of λ/2 · |w - w₀|² in the loss per token, which keeps weights near those of `init_from`
    (Barone et al., 2017); 0: free."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """Muon for matrices inside the layers (Jordan et al., 2024), at AdamW's learning rate (Liu et al., 2025),
    and AdamW for the rest, or AdamW for all (Loshchilov & Hutter, 2019); Muon can not be sharded."""
    learning_rate: float = 0.0
    """Peak learning rate; 0 chooses it by d_model."""
    schedule: Literal["inverse-sqrt", "cosine", "linear", "constant"] = "inverse-sqrt"
    """Shape of the decay after warm-up (Vaswani et al., 2017; of cosine: Loshchilov & Hutter, 2017); with a
    budget `inverse-sqrt` gives way to `cosine` to zero."""
    warmup_steps: int = 2000
    """Steps of linear warm-up; never more than a tenth of the planned steps."""
    adam_beta1: float = 0.9
    """Decay of AdamW's first moment (Kingma & Ba, 2015)."""
    adam_beta2: float = 0.98
    """Decay of the second moment."""
    adam_epsilon: float = 1e-9
    """Added to the root of the second moment."""
    weight_decay: float = 0.01
    """Decoupled weight decay on matrices; norms and biases have none."""
    clip_norm: float = 1.0
    """Largest norm of the gradient of the per-token loss (Pascanu et al., 2013); 0 switches clipping off."""
    label_smoothing: float = 0.1
    """Probability mass spread over the whole vocabulary (Szegedy et al., 2016)."""
    reconstruction: float = 0.1
    """Weight of telling each piece from those of the other side that one decoder layer links it to, which
    makes that layer's attention an alignment (after Zenkel et al., 2019); 0 switches it off."""
    consistency: Literal["none", "rdrop", "simcut"] = "none"
    """Compute every batch twice, and let both predictions agree: `rdrop` with other dropout (Liang et al.,
    2021), `simcut` also with tokens cut off in one of them (Gao et al., 2022). A step costs two."""
    consistency_weight: float = 3.0
    """Weight α of the divergence between both predictions."""
    cutoff: float = 0.05
    """Share of the tokens whose embeddings `simcut` sets to zero, in source and decoder input."""
    ema_decay: float = 0.999
    """Decay of the exponential moving average of the weights (Polyak & Juditsky, 1992), which is what is
    evaluated and kept; 0: off."""
    eval_steps: int = 0
    """Steps between evaluations on the development set; 0: once an epoch, at least 500 steps apart, or with a
    budget at most ten times, in a tenth of its time."""
    metric: Literal["bleu", "loss"] = "bleu"
    """What decides which weights are best, and when to stop."""
    patience: int = 10
    """Stop after this many evaluations without a better score; 0 never stops early."""
    dev_beam_size: int = 1
    """Beam size when decoding the development set during training."""
    dev_sentences: int = 1000
    """At most this many development pairs are decoded during training."""
    tune_length_penalty: bool = False
    """At the end, choose `decoding.length_penalty` by BLEU of the development pairs that are decoded, if they
    are 200 or more and it gains 0.05."""
    report_steps: int = 50
    """Steps between progress reports."""
    save_seconds: float = 600.0
    """Save a checkpoint at least this often, besides after every evaluation."""
    keep_checkpoints: int = 2
    """Number of newest checkpoints kept while training."""
    tensorboard: bool = False
    """Write losses, scores, learning rate and pace for TensorBoard too, into `train/tensorboard/`."""
    sharding: Literal["auto", "none", "full"] = "auto"
    """On several devices: `none` keeps a replica of the network on each, `full` a share of every weight, its
    gradient and its moments; `auto` shards what would take more than half of a GPU. Shards need AdamW."""
    wait_seconds: float = 3600.0
    """How long one process waits for the others, as while the first reads the text, before it takes them for
    lost; one that was killed is noticed at once."""

    def __post_init__(self) -> None:
        positive = (
            "batch_tokens",
            "max_steps",
            "dev_beam_size",
            "dev_sentences",
            "report_steps",
        )
        for name in positive:
            _require(getattr(self, name) >= 1, f"training.{name}", getattr(self, name), "at least 1")
        _require(
            self.micro_batch == "auto" or self.micro_batch >= 1,
            "training.micro_batch",
            self.micro_batch,
            "at least 1, or 'auto'",
        )
        _require(self.keep_checkpoints >= 2, "training.keep_checkpoints", self.keep_checkpoints, "at least 2")
        not_negative = ("threads", "max_epochs", "budget", "learning_rate", "warmup_steps", "weight_decay")
        weights = ("reconstruction", "consistency_weight", "l2_init")
        for name in (*not_negative, *weights, "clip_norm", "eval_steps", "patience", "save_seconds"):
            _require(
                0 <= getattr(self, name) < math.inf, f"training.{name}", getattr(self, name), "0 or more"
            )
        if self.optimizer == "muon" and self.sharding == "full":
            raise ConfigError(
                "training.optimizer muon works on whole matrices, which training.sharding full divides; "
                "give training.sharding none, or training.optimizer adamw"
            )
        if not self.init_from and (self.freeze or self.l2_init):
            name = "freeze" if self.freeze else "l2_init"
            raise ConfigError(
                f"training.{name}: is for the weights of a finished model; give --init-from MODEL"
            )
        if self.init_from and self.fit_budget:
            raise ConfigError("training.fit_budget: the size is that of --init-from; leave one of them out")
        if len(set(self.freeze)) == 3:
            raise ConfigError(
                "training.freeze: nothing would be left to train; name at most two of the parts"
            )
        _refuse_bytes(self.init_from, "training.init_from")
        _require(0 <= self.seed < 2**63, "training.seed", self.seed, "0 to 2**63 - 1")
        _require(self.wait_seconds > 0, "training.wait_seconds", self.wait_seconds, "above 0")
        _require(self.adam_epsilon > 0, "training.adam_epsilon", self.adam_epsilon, "above 0")
        for name in ("adam_beta1", "adam_beta2", "label_smoothing", "cutoff", "ema_decay"):
            _require(
                0.0 <= getattr(self, name) < 1.0, f"training.{name}", getattr(self, name), "0 to below 1"
            )


@dataclass(frozen=True)
class DecodingConfig:
    """The search for a translation."""

    beam_size: int = 5
    """Hypotheses kept in the beam; 1 is greedy search."""
    length_penalty: float = 1.0
    """Hypotheses are ranked by log-probability / length ** length_penalty (see Murray & Chiang, 2018); 0: by
    log-probability alone."""
    max_length_ratio: float = 3.0
    """A hypothesis has at most max_length_ratio * source pieces + 20 pieces."""
    min_length_ratio: float = 0.0
    """A hypothesis has at least min_length_ratio * source pieces."""
    no_repeat_ngram: int = 0
    """No run of this many pieces comes twice in a hypothesis; 0: whatever repeats."""
    coverage_penalty: float = 0.0
    """Weight of log min(1, attention that a source piece got in all), summed over the source and added to the
    score of a finished hypothesis (Wu et al., 2016); 0: none."""
    forbid: tuple[str, ...] = ()
    """Phrases that are in no translation, as whole words and written like this."""
    prune: float = 0.0
    """Give up hypotheses less likely than the best of their sentence by more than this, in nats; 0: none. Of
    no effect where several translations are asked for."""
    shortlist: int = 0
    """Only pieces come that are among the so many likeliest translations of a source piece, or common; 0:
    all. log P is of these pieces alone. Takes HMM aligners: a model with links."""
    shortlist_common: int = 1000
    """Pieces that may come in all sentences of a shortlist: those that most often come from no source
    piece."""
    precision: Literal["auto", "float32", "bfloat16", "int8"] = "auto"
    """Arithmetic of matrix products; `auto`: bfloat16 on GPUs that have it, else float32. int8: CPUs only."""
    batch_rows: int = 0
    """Hypotheses that are decoded together, on each core of a CPU; 0: 320, on a GPU 4096."""
    batch_tokens: int = 4096
    """Source pieces that are decoded together, on each core of a CPU; a longer sentence is decoded alone."""
    on_long: OnLong = "split"
    """A line of more than data.max_length pieces is translated in parts, cut off, or an error."""
    window: int = 4096
    """Lines read ahead and sorted by length."""
    samples: int = 0
    """Draw so many translations of every sentence instead of searching for the likeliest; 0: search."""
    temperature: float = 1.0
    """Logits are divided by it before a piece is drawn: below 1 likely pieces become likelier."""
    top_k: int = 0
    """Draw among the so many likeliest pieces; 0: among all."""
    top_p: float = 1.0
    """Draw among the likeliest pieces that reach this probability together (Holtzman et al., 2020)."""
    min_p: float = 0.0
    """Draw among pieces of at least this share of the likeliest one's probability (Nguyen et al., 2024)."""
    seed: int = 1
    """Of what is drawn, with the sentence itself: equal sentences have equal samples, whatever is around."""
    mbr: bool = False
    """Order samples by minimum Bayes risk, the mean chrF against the others (Eikema & Aziz, 2020)."""

    def __post_init__(self) -> None:
        for name in ("beam_size", "batch_tokens", "window"):
            _require(getattr(self, name) >= 1, f"decoding.{name}", getattr(self, name), "at least 1")
        _require(self.beam_size <= 1000, "decoding.beam_size", self.beam_size, "at most 1,000")
        _require(self.samples <= 10_000, "decoding.samples", self.samples, "at most 10,000")
        _require(0 <= self.prune < math.inf, "decoding.prune", self.prune, "0 or more")
        _require(self.batch_rows >= 0, "decoding.batch_rows", self.batch_rows, "0 or more")
        _require(0 <= self.length_penalty <= 10, "decoding.length_penalty", self.length_penalty, "0 to 10")
        _require(
            0 < self.max_length_ratio <= 1000,
            "decoding.max_length_ratio",
            self.max_length_ratio,
            "above 0, to 1,000",
        )
        _require(
            0 <= self.min_length_ratio <= self.max_length_ratio,
            "decoding.min_length_ratio",
            self.min_length_ratio,
            f"0 to max_length_ratio, {self.max_length_ratio}",
        )
        _require(self.no_repeat_ngram >= 0, "decoding.no_repeat_ngram", self.no_repeat_ngram, "0 or more")
        _require(
            0 <= self.coverage_penalty < math.inf,
            "decoding.coverage_penalty",
            self.coverage_penalty,
            "0 or more",
        )
        _require(all(map(str.strip, self.forbid)), "decoding.forbid", list(self.forbid), "no blank phrase")
        for name in ("shortlist", "shortlist_common", "samples", "top_k", "seed"):
            _require(getattr(self, name) >= 0, f"decoding.{name}", getattr(self, name), "0 or more")
        _require(1e-6 <= self.temperature <= 1e6, "decoding.temperature", self.temperature, "1e-6 to 1e6")
        _require(0 < self.top_p <= 1, "decoding.top_p", self.top_p, "above 0, to 1")
        _require(0 <= self.min_p <= 1, "decoding.min_p", self.min_p, "0 to 1")
        if self.mbr and self.samples < 2:
            raise ConfigError(
                f"decoding.mbr compares samples with each other; decoding.samples is {self.samples}, "
                "expected at least 2"
            )


@dataclass(frozen=True)
class AlignmentConfig:
    """Links between words."""

    head: bool = True
    """Train an align head on the finished weights."""
    source: LinksFrom = "auto"
    """Where links come from: the cross-attention, the align head on its states, or the HMM aligners that gave
    its labels; `auto` takes the best of what the model has, see `source_of_links`."""
    layer: int = 0
    """Decoder layer to read, from 1 at the bottom; 0: chosen after training by agreement with the HMMs."""
    threshold: float = 0.0
    """Least probability of a link; 0: the one that suits where links come from."""

    def __post_init__(self) -> None:
        _require(self.layer >= 0, "alignment.layer", self.layer, "0 or more")
        _require(0.0 <= self.threshold <= 1.0, "alignment.threshold", self.threshold, "0 to 1")
        if self.source == "head" and not self.head:
            raise ConfigError("alignment.source can not be 'head' without alignment.head")


@dataclass(frozen=True)
class Config:
    """Everything a run is made of."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)

    def __post_init__(self) -> None:
        if self.alignment.layer > self.model.decoder_layers:
            raise ConfigError(
                f"alignment.layer is {self.alignment.layer}; decoder_layers is {self.model.decoder_layers}"
            )
        if self.model.positions == "learned" and self.data.most_places > self.model.max_positions:
            raise ConfigError(
                f"model.max_positions is {self.model.max_positions}; learned positions for sentences of "
                f"data.max_length {self.data.max_length} take at least {self.data.most_places}"
            )
        if self.data.bidirectional and not self.tokenizer.joint:
            raise ConfigError(
                "data.bidirectional can not be true without tokenizer.joint: all text is source and target"
            )
        if not self.tokenizer.joint and self.model.tied_embeddings == "all":
            raise ConfigError(
                "model.tied_embeddings can not be 'all' without tokenizer.joint; use 'target' or 'none'"
            )


SECTIONS = tuple(part.name for part in fields(Config))


def _refuse_bytes(path: str, key: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in path):
        raise ConfigError(f"{key}: the name {path!a} is not UTF-8 text; rename it")


def _require(holds: bool, key: str, found: object, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{key} is {found}; expected {expected}")
