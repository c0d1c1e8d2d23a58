"""A model as a folder for CTranslate2, which runs it without torch: weights, vocabularies, how to use it."""

# P positions, D d_model

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from nmt.checkpoint import SRC_TOKENIZER, TGT_TOKENIZER, TOKENIZER, TranslationModel, publish
from nmt.config.schema import ModelConfig
from nmt.errors import OutputError, StorageError, UsageError
from nmt.files import write_bytes, write_text
from nmt.model.attention import CrossAttention, SelfAttention
from nmt.model.layers import DecoderLayer, EncoderLayer, FeedForward
from nmt.model.positions import Positions
from nmt.tokenizer import BOS_ID, EOS_ID, SEPARATOR_ID, UNK_ID, Tokenizer

LEAST_POSITIONS = 1024
"""CTranslate2 cuts sources off at this length if it is not told otherwise."""

ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "silu": "SWISH"}  # as CTranslate2 calls them

README = """\
# A translation model for CTranslate2

Made by `nmt export`, weights stored as {quantization}. It is used without nmt and without torch:
`pip install ctranslate2 sentencepiece`, and in this folder

```python
import ctranslate2
import sentencepiece

{tokenizers}
translator = ctranslate2.Translator(".")
options = {{"beam_size": {beam_size}, "length_penalty": {length_penalty:g}, "disable_unk": True}}
sources = [{source} for line in ["A sentence.", "Another one."]]
for result in translator.translate_batch(sources, **options):
    print(target.decode(result.hypotheses[0]))
```

- Sources are pieces as SentencePiece cuts them. CTranslate2 adds their end, `{eos}`, by itself.
- Leave blank lines out, and split long ones: the model learnt from sentences of at most {longest:,} pieces.
- `return_attention=True` gives the attention of decoder layer {layer}, heads averaged, where nmt reads word
  alignments: for each piece in the row behind its own, in which it is the input of the decoder.
{tags}{context}{positions}"""

TAGS = """\
- The first piece of a source says what to translate into: `{into_tgt}` for {tgt}, `{into_src}` for {src}.
  Its column of the attention belongs to no word.
"""

CONTEXT = """\
- The model was trained with context: before the pieces of a source{behind} stand those of up to {size}
  sentences before it in its document, the oldest first, each with `{separator}` behind it. Of more than make
  {longest:,} pieces with those of the source, only the last. Their columns of the attention belong to no
  word. The first sentence of a document has nothing before it.
"""

POSITIONS = """\
- There are embeddings of {number:,} positions, so neither side can be longer than that.
"""


def export_ctranslate2(model: TranslationModel, out_dir: Path, *, quantization: str = "float32") -> None:
    """Write a new folder that CTranslate2 loads, with the tokenizer of the model and how to use both.

    `quantization` is how weights are stored, by the names that CTranslate2 has. Raises UsageError if that
    package is missing, OutputError if there is something in the folder.
    """
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise OutputError(f"{out_dir}: is there already; expected a new or an empty folder to write into")
    spec = transformer_spec(model)
    spec.validate()
    spec.optimize(quantization=quantization)

    def write(folder: Path) -> None:
        try:
            spec.save(str(folder))
        except OSError as error:
            raise StorageError(f"{folder}: write failed: {error.strerror or error}") from error
        for name, tokenizer in _tokenizers(model).items():
            write_bytes(folder / name, tokenizer.data)
        write_text(folder / "README.md", _readme(model, quantization))

    publish(out_dir, write)


def transformer_spec(model: TranslationModel) -> Any:
    """A `ctranslate2.specs.TransformerSpec` with copies of the weights.

    Raises UsageError if the package is missing, or if it has no such network.
    """
    network, config = model.network, model.config.model
    if config.qk_norm:
        raise UsageError(
            f"{model.path or 'the model'}: was trained with model.qk_norm, which CTranslate2 has not in an "
            "encoder-decoder; only models without it can be exported"
        )
    specs = _specs()
    options = _options(specs, config)
    encoder = specs.TransformerEncoderSpec(config.encoder_layers, config.num_heads, **options)
    decoder = specs.TransformerDecoderSpec(
        config.decoder_layers,
        config.num_heads,
        **options,
        alignment_layer=_alignment_layer(model) - 1,
        alignment_heads=config.num_heads,
    )
    encoder.embeddings[0].weight = _copy(network.src_embedding.weight)
    decoder.embeddings.weight = _copy(network.tgt_embedding.weight)
    decoder.projection.weight = _copy(network.out_proj.weight)
    if config.positions != "rotary":
        encoder.position_encodings.encodings = _encodings(network.src_positions, model)
        decoder.position_encodings.encodings = _encodings(network.tgt_positions, model)
    if config.norm_position == "pre":
        _set_norm(encoder.layer_norm, network.encoder_norm)
        _set_norm(decoder.layer_norm, network.decoder_norm)
    for layer_spec, layer in zip(encoder.layer, network.encoder, strict=True):
        _set_encoder_layer(layer_spec, cast(EncoderLayer, layer))
    for layer_spec, layer in zip(decoder.layer, network.decoder, strict=True):
        _set_decoder_layer(layer_spec, cast(DecoderLayer, layer))
    spec = specs.TransformerSpec(encoder, decoder)
    _set_vocabularies(spec, model)
    return spec


def _specs() -> Any:
    try:
        from ctranslate2 import specs
    except ImportError:
        raise UsageError("this needs one more package: pip install 'nmt[ctranslate2]'") from None
    return specs


def _options(specs: Any, config: ModelConfig) -> dict[str, Any]:
    """What encoder and decoder have in common."""
    options = {
        "pre_norm": config.norm_position == "pre",
        "activation": getattr(specs.common_spec.Activation, ACTIVATIONS[config.activation]),
        "ffn_glu": config.gated,
        "rms_norm": config.norm == "rms",
    }
    if config.positions == "rotary":
        # all of a head's width, which is rotated as two halves
        options |= {"rotary_dim": config.d_model // config.num_heads, "rotary_interleave": False}
    return options


def _alignment_layer(model: TranslationModel) -> int:
    return model.config.alignment.layer or model.config.model.alignment_layer


def _num_positions(model: TranslationModel) -> int:
    return max(LEAST_POSITIONS, model.config.data.most_places)


def _encodings(positions: Positions, model: TranslationModel) -> Tensor:
    """What is added at each position, (P, D); CTranslate2 computes sinusoids too, but with other angles."""
    places = torch.arange(_num_positions(model), device=model.device)
    nothing = torch.zeros(len(places), model.config.model.d_model, device=model.device)
    with torch.no_grad():
        return _copy(positions(nothing, places))


def _set_encoder_layer(spec: Any, layer: EncoderLayer) -> None:
    _set_norm(spec.self_attention.layer_norm, layer.attention_residual.norm)
    _set_self_attention(spec.self_attention, layer.attention)
    _set_norm(spec.ffn.layer_norm, layer.feed_forward_residual.norm)
    _set_feed_forward(spec.ffn, layer.feed_forward)


def _set_decoder_layer(spec: Any, layer: DecoderLayer) -> None:
    _set_norm(spec.self_attention.layer_norm, layer.attention_residual.norm)
    _set_self_attention(spec.self_attention, layer.attention)
    _set_norm(spec.attention.layer_norm, layer.cross_residual.norm)
    _set_cross_attention(spec.attention, layer.cross_attention)
    _set_norm(spec.ffn.layer_norm, layer.feed_forward_residual.norm)
    _set_feed_forward(spec.ffn, layer.feed_forward)


def _set_self_attention(spec: Any, attention: SelfAttention) -> None:
    _set_linears(spec.linear, attention.in_proj, attention.out_proj)


def _set_cross_attention(spec: Any, attention: CrossAttention) -> None:
    _set_linears(spec.linear, attention.query_proj, attention.key_value_proj, attention.out_proj)


def _set_feed_forward(spec: Any, feed_forward: FeedForward) -> None:
    first = [spec.linear_0, spec.linear_0_noact] if feed_forward.gated else [spec.linear_0]
    _set_parts(first, feed_forward.in_proj)
    _set_parts([spec.linear_1], feed_forward.out_proj)


def _set_linears(specs: list[Any], *linears: nn.Linear) -> None:
    for spec, linear in zip(specs, linears, strict=True):
        _set_parts([spec], linear)


def _set_parts(specs: list[Any], linear: nn.Linear) -> None:
    """Give each of the specifications its part of the outputs of a layer."""
    for spec, weight in zip(specs, linear.weight.chunk(len(specs)), strict=True):
        spec.weight = _copy(weight)
    if linear.bias is not None:
        for spec, bias in zip(specs, linear.bias.chunk(len(specs)), strict=True):
            spec.bias = _copy(bias)


def _set_norm(spec: Any, norm: nn.Module) -> None:
    assert isinstance(norm, nn.LayerNorm | nn.RMSNorm)
    spec.gamma = _copy(norm.weight)
    if isinstance(norm, nn.LayerNorm):  # without beta, CTranslate2 would take it for an RMSNorm
        spec.beta = torch.zeros_like(spec.gamma) if norm.bias is None else _copy(norm.bias)


def _copy(tensor: Tensor) -> Tensor:
    """The numbers in memory of their own, since CTranslate2 quantizes in place."""
    return tensor.detach().to("cpu", torch.float32, copy=True)


def _set_vocabularies(spec: Any, model: TranslationModel) -> None:
    spec.register_source_vocabulary(_pieces(model.src_tokenizer))
    spec.register_target_vocabulary(_pieces(model.tgt_tokenizer))
    piece = model.tgt_tokenizer.piece
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = map(piece, (UNK_ID, BOS_ID, EOS_ID))
    spec.config.decoder_start_token = piece(BOS_ID)
    spec.config.add_source_eos = True  # also behind a source that is cut off


def _pieces(tokenizer: Tokenizer) -> list[str]:
    return [tokenizer.piece(id) for id in range(tokenizer.vocab_size)]


def _tokenizers(model: TranslationModel) -> dict[str, Tokenizer]:
    """The tokenizers by the names of their files."""
    if model.config.tokenizer.joint:
        return {TOKENIZER: model.src_tokenizer}
    return {SRC_TOKENIZER: model.src_tokenizer, TGT_TOKENIZER: model.tgt_tokenizer}


def _context(model: TranslationModel) -> str:
    """What a source has before it, if the model was trained with context."""
    data = model.config.data
    if not data.context:
        return ""
    return CONTEXT.format(
        size=data.context,
        behind=", behind the one for the language," if data.bidirectional else "",
        separator=model.src_tokenizer.piece(SEPARATOR_ID),
        longest=data.max_length,
    )


def _readme(model: TranslationModel, quantization: str) -> str:
    names = list(_tokenizers(model))
    lines = (
        f'{side} = sentencepiece.SentencePieceProcessor(model_file="{name}")'
        for side, name in zip(("source", "target"), (names[0], names[-1]), strict=True)
    )
    source, tags = "source.encode(line, out_type=str)", ""
    forward, *others = ([model.tgt_tokenizer.piece(id) for id in each.tag_ids] for each in model.directions)
    for other in others:
        source = f'["{forward[0]}", *{source}]'
        src, tgt = model.config.data.languages
        tags = TAGS.format(into_tgt=forward[0], into_src=other[0], src=src, tgt=tgt)
    has_embeddings = model.config.model.positions != "rotary"
    return README.format(
        quantization=quantization,
        tokenizers="\n".join(lines),
        source=source,
        tags=tags,
        context=_context(model),
        beam_size=model.config.decoding.beam_size,
        length_penalty=model.config.decoding.length_penalty,
        eos=model.tgt_tokenizer.piece(EOS_ID),
        longest=model.config.data.max_length,
        positions=POSITIONS.format(number=_num_positions(model)) if has_embeddings else "",
        layer=_alignment_layer(model),
    )
