"""The model folder: saved whole or not at all, verified when it is loaded."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from nmt import __version__
from nmt.config.schema import Config, ModelConfig
from nmt.config.toml import load_config, to_toml
from nmt.errors import ModelError, NmtError, UsageError
from nmt.files import make_dir, publish_dir, remove_dir, remove_file, sha256_file, write_bytes, write_json
from nmt.hardware import use_device
from nmt.model import Transformer
from nmt.model.align_head import AlignHead
from nmt.tokenizer import Tokenizer

FORMAT = 1
HEAD_VERSION = 2  # of the align head: 1 was given both directions of the network
MANIFEST = "manifest.json"
DIGEST = "manifest_sha256"  # in the manifest, of all else in it
NEXT = "next_files"  # in the manifest, what files are to be that may be replaced at any instant
CONFIG = "config.toml"
WEIGHTS = "model.safetensors"
ALIGN_HEAD = "align.safetensors"
HMM = "hmm.safetensors"
TOKENIZER = "tokenizer.model"
SRC_TOKENIZER = "tokenizer.src.model"
TGT_TOKENIZER = "tokenizer.tgt.model"


@dataclass(frozen=True)
class Direction:
    """From which language a model translates into which, and how its network is told."""

    src_lang: str
    tgt_lang: str
    tag_ids: tuple[int, ...] = ()
    """What stands before the pieces of a source; nothing if the model has no other direction."""

    def __str__(self) -> str:
        return f"{self.src_lang}-{self.tgt_lang}"


@dataclass(frozen=True)
class TranslationModel:
    """A network with its tokenizers and its configuration: all that translating and aligning need."""

    config: Config
    src_tokenizer: Tokenizer
    tgt_tokenizer: Tokenizer
    network: Transformer
    manifest: dict[str, Any]
    path: Path | None = None
    align_head: AlignHead | None = None
    hmm_path: Path | None = None
    """File of the HMM aligners, which are only loaded where links are to come from them."""

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.network.tgt_embedding.weight.device

    @cached_property
    def directions(self) -> tuple[Direction, ...]:
        """All directions that the model was trained for, the one of its training files first."""
        src, tgt = self.config.data.languages
        if not self.config.data.bidirectional:
            return (Direction(src, tgt),)
        tags = self.tgt_tokenizer.tags
        return Direction(src, tgt, (tags[tgt],)), Direction(tgt, src, (tags[src],))

    def direction(self, to: str | None = None) -> Direction:
        """The direction into a language, by default the first; UsageError if there is none."""
        if to is None:
            return self.directions[0]
        name = self.path or "the model"
        if not self.config.data.bidirectional:
            raise UsageError(
                f"{name}: translates in one direction only; --to is for models of nmt train --bidirectional"
            )
        for direction in self.directions:
            if direction.tgt_lang == to:
                return direction
        known = ", ".join(direction.tgt_lang for direction in self.directions)
        raise UsageError(f"{name}: does not translate into {to!r}; expected one of: {known}")

    @property
    def tokenizer_hash(self) -> str:
        """SHA-256 of the tokenizer; of the hashes of both, where each language has its own."""
        if self.src_tokenizer.hash == self.tgt_tokenizer.hash:
            return self.src_tokenizer.hash
        return hashlib.sha256(f"{self.src_tokenizer.hash}\n{self.tgt_tokenizer.hash}".encode()).hexdigest()


def build_network(config: Config, src_tokenizer: Tokenizer, tgt_tokenizer: Tokenizer) -> Transformer:
    """A network with fresh weights for these vocabularies."""
    return Transformer(
        config.model, src_vocab_size=src_tokenizer.vocab_size, tgt_vocab_size=tgt_tokenizer.vocab_size
    )


def build_align_head(config: Config, *, layer: int, vocab_sizes: tuple[int, int]) -> AlignHead:
    """An align head with fresh weights for a model with these vocabularies, source and target."""
    src_vocab_size, tgt_vocab_size = vocab_sizes
    return AlignHead(
        config.model.d_model, layer=layer, src_vocab_size=src_vocab_size, tgt_vocab_size=tgt_vocab_size
    )


def save_model(model: TranslationModel, model_dir: Path, *, hmm: Mapping[str, Tensor] | None = None) -> None:
    """Write the files of a model into a folder, the manifest last: without one there is no model.

    `hmm` is the state of the HMM aligners that go with it.
    """
    make_dir(model_dir)
    remove_file(model_dir / MANIFEST)  # of a model that was there before
    contents = {CONFIG: to_toml(model.config).encode(), WEIGHTS: serialize(weights(model.network))}
    if model.config.tokenizer.joint:
        contents[TOKENIZER] = model.src_tokenizer.data
    else:
        contents |= {SRC_TOKENIZER: model.src_tokenizer.data, TGT_TOKENIZER: model.tgt_tokenizer.data}
    contents |= _link_files(model, contents[WEIGHTS], hmm)
    for name, data in contents.items():
        write_bytes(model_dir / name, data)
    write_manifest(model_dir, tuple(contents), model.manifest)


def _link_files(
    model: TranslationModel, weights_data: bytes, hmm: Mapping[str, Tensor] | None
) -> dict[str, bytes]:
    """What is in the files that only links are made with; that of an align head names its weights."""
    contents = {}
    if model.align_head is not None:
        state = model.align_head.state_dict()
        tensors = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
        facts = {
            "version": HEAD_VERSION,
            "layer": model.align_head.layer,
            "threshold": model.align_head.threshold,
            "weights_sha256": hashlib.sha256(weights_data).hexdigest(),
        }
        # in one value: several are written in a random order
        contents[ALIGN_HEAD] = safetensors.torch.save(tensors, {"facts": json.dumps(facts)})
    if hmm is not None:
        contents[HMM] = serialize(dict(hmm))
    return contents


def save_links(model: TranslationModel, model_dir: Path, *, hmm: Mapping[str, Tensor]) -> None:
    """Replace what a finished model makes links with; at every instant the folder holds a whole model.

    The manifest first forgets the files, then lists the new ones; all else of it is the model's. Between the
    two it takes the configuration for whole as it was and as it is to be.
    """
    old = trusted_manifest(model_dir)
    contents = _link_files(model, (model_dir / WEIGHTS).read_bytes(), hmm)
    kept = tuple(name for name in old["files"] if name not in (ALIGN_HEAD, HMM))
    config = to_toml(model.config).encode()
    without = {**old.get("alignment", {}), "from": "attention"}
    next_files = {CONFIG: {"bytes": len(config), "sha256": hashlib.sha256(config).hexdigest()}}
    write_manifest(model_dir, kept, {**old, "alignment": without}, next_files=next_files)
    for name, data in {CONFIG: config, **contents}.items():
        write_bytes(model_dir / name, data)
    write_manifest(model_dir, (*kept, *contents), model.manifest)
    for name in {ALIGN_HEAD, HMM} - contents.keys():
        remove_file(model_dir / name)


def publish_model(model: TranslationModel, model_dir: Path) -> None:
    """Write a model aside and give the folder its name in one rename."""
    publish(model_dir, lambda folder: save_model(model, folder))


def publish(final_dir: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder beside the final one, sync it, and rename it."""
    tmp_dir = final_dir.with_name(final_dir.name + ".tmp")
    if tmp_dir.exists():
        remove_dir(tmp_dir)
    make_dir(tmp_dir)
    write(tmp_dir)
    publish_dir(tmp_dir, final_dir)


def weights(network: Transformer) -> dict[str, Tensor]:
    """The network's weights by name, shared ones once, on the CPU."""
    names = {}
    for name, parameter in network.named_parameters():  # leaves out a shared parameter's second name
        names[name] = parameter.detach().cpu().contiguous()
    return names


def serialize(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as the bytes of a safetensors file."""
    return safetensors.torch.save(tensors)


def write_manifest(
    folder: Path,
    names: tuple[str, ...],
    facts: dict[str, Any],
    *,
    next_files: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write `manifest.json`: sizes and SHA-256 of the named files and of itself, versions, and the facts.

    `next_files` tells sizes and SHA-256 that some of the files may have from now on.
    """
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
        for name in names
    }
    ours = {"format": FORMAT, "nmt_version": __version__, "torch_version": torch.__version__, "files": files}
    others = {name: fact for name, fact in facts.items() if name not in (*ours, NEXT)}  # a model has both
    manifest = ours | others | ({NEXT: next_files} if next_files else {})
    write_json(folder / MANIFEST, manifest | {DIGEST: _digest(manifest)})


def _digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own digest, however the JSON is laid out."""
    facts = {name: fact for name, fact in manifest.items() if name != DIGEST}
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, after every file in it was found to be as it was written.

    Raises ModelError naming what is missing or damaged.
    """
    manifest = trusted_manifest(folder)
    problem = next(damages(folder, manifest), None)
    if problem:
        raise ModelError(f"{problem}; copy the model folder again")
    return manifest


def trusted_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, itself found to be as it was written; the files it lists may be damaged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        _refuse_other_format(manifest, folder)
        files = {
            name: {"bytes": int(facts["bytes"]), "sha256": str(facts["sha256"])}
            for name, facts in manifest["files"].items()
        }
    except FileNotFoundError:
        raise ModelError(f"{folder}: {_why_no_model(folder)}") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(f"{folder / MANIFEST}: damaged: {error}; copy the model folder again") from error
    if manifest.get(DIGEST, _digest(manifest)) != _digest(manifest):
        raise ModelError(f"{folder / MANIFEST}: damaged: not as it was written; copy the model folder again")
    return {**manifest, "files": files}


def _why_no_model(folder: Path) -> str:
    if newest(folder / "train", "step"):
        return (
            "there is no model yet: its training is going on, or it was stopped, and then the same nmt train "
            "command goes on with it"
        )
    return f"no {MANIFEST}; expected a model folder made by nmt train"


def _refuse_other_format(manifest: Mapping[str, Any], folder: Path) -> None:
    found = manifest["format"]
    if found != FORMAT:
        raise ModelError(
            f"{folder}: model format {found}, written by nmt {manifest.get('nmt_version')}; "
            f"nmt {__version__} reads format {FORMAT}; install the nmt that wrote it, or a newer one"
        )


def damages(folder: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the files that the manifest of a folder lists, one by one."""
    for name, facts in manifest["files"].items():
        path, size = folder / name, facts["bytes"]
        if name in manifest.get(NEXT, {}) and _is_whole(path, manifest[NEXT][name]):
            continue
        if Path(name).name != name:
            yield f"{folder / MANIFEST}: lists {name!r}, which is not the name of a file in the folder"
        elif not path.is_file():
            yield f"{path}: missing, but listed in {MANIFEST}"
        elif path.stat().st_size != size:
            found = f"{path.stat().st_size:,} bytes, expected {size:,}"
            yield f"{path}: damaged: not the file listed in {MANIFEST}: {found}"
        elif sha256_file(path) != facts["sha256"]:
            yield f"{path}: damaged: not the file listed in {MANIFEST}"


def _is_whole(path: Path, facts: Mapping[str, Any]) -> bool:
    return path.is_file() and sha256_file(path) == facts["sha256"]


def load_model(
    path: Path, *, device: str = "auto", threads: int = 0, with_links: bool = True
) -> TranslationModel:
    """Load a model folder, or the best model so far of one that is still being trained.

    Without `with_links` what only links are made with is left out, the attention apart.
    Raises UsageError if there is no such folder, ModelError if something in it is damaged or does not fit.
    """
    folder = model_folder(path)
    manifest = read_manifest(folder)
    _require_listed(manifest, folder, CONFIG, WEIGHTS)
    config = stored_config(folder)
    names = (TOKENIZER, TOKENIZER) if config.tokenizer.joint else (SRC_TOKENIZER, TGT_TOKENIZER)
    _require_listed(manifest, folder, *names)
    src_tokenizer, tgt_tokenizer = (Tokenizer.load(folder / name) for name in names)
    _refuse_missing_tags(config, tgt_tokenizer, folder)
    vocab_sizes = (src_tokenizer.vocab_size, tgt_tokenizer.vocab_size)
    weights_path = folder / WEIGHTS
    _refuse_misfits(
        expected_shapes(config.model, *vocab_sizes), stored_shapes(weights_path), str(weights_path)
    )
    with torch.device("meta"):  # nothing is drawn that would only be overwritten
        network = build_network(config, src_tokenizer, tgt_tokenizer)
    take_weights(network, load_tensors(weights_path), name=str(weights_path))
    network.to(use_device(device, threads=threads)).eval()
    model = TranslationModel(config, src_tokenizer, tgt_tokenizer, network, manifest, path)
    if not with_links:
        return model
    return replace(
        model,
        align_head=_load_align_head(model, folder) if ALIGN_HEAD in manifest["files"] else None,
        hmm_path=folder / HMM if HMM in manifest["files"] else None,
    )


def _load_align_head(model: TranslationModel, folder: Path) -> AlignHead:
    """The align head of a model; ModelError if it does not fit, or was trained on other weights."""
    path = folder / ALIGN_HEAD
    with _safetensors_errors(path), safetensors.safe_open(path, framework="pt") as file:
        facts = json.loads((file.metadata() or {}).get("facts", "{}"))
    if facts.get("weights_sha256") != model.manifest["files"][WEIGHTS]["sha256"]:
        raise ModelError(
            f"{path}: is for other weights than {WEIGHTS}; train it again: nmt train --align-head-only"
        )
    if facts.get("version") != HEAD_VERSION:
        raise ModelError(
            f"{path}: is of version {facts.get('version', 1)}, expected {HEAD_VERSION}; "
            "train it again: nmt train --align-head-only"
        )
    layer, num_layers = facts.get("layer"), model.config.model.decoder_layers
    if layer not in range(1, num_layers + 1):
        raise ModelError(f"{path}: is for decoder layer {layer!r}, expected one of 1 to {num_layers}")
    sizes = model.src_tokenizer.vocab_size, model.tgt_tokenizer.vocab_size
    head = build_align_head(model.config, layer=layer, vocab_sizes=sizes)
    tensors = load_tensors(path)
    expected = ((name, tensor.shape) for name, tensor in head.state_dict().items())
    _refuse_misfits(expected, {name: tensor.shape for name, tensor in tensors.items()}, str(path))
    head.load_state_dict(tensors)
    head.threshold = float(facts.get("threshold", 0.0))
    return head.to(model.device).eval()


def stored_config(folder: Path) -> Config:
    """The configuration in a model folder; ModelError if it is none, since no user has written it."""
    try:
        return load_config(folder / CONFIG)
    except NmtError as error:
        raise ModelError(f"{folder}: {error}") from error


def _require_listed(manifest: Mapping[str, Any], folder: Path, *names: str) -> None:
    for name in names:
        if name not in manifest["files"]:
            raise ModelError(f"{folder / MANIFEST}: does not list {name}, which every such model has")


def _refuse_missing_tags(config: Config, tokenizer: Tokenizer, folder: Path) -> None:
    missing = set(config.data.languages) - tokenizer.tags.keys() if config.data.bidirectional else ()
    if missing:
        raise ModelError(f"{folder / TOKENIZER}: has no tag of {', '.join(missing)}, which {CONFIG} names")


def model_folder(path: Path) -> Path:
    """The folder itself if it holds a finished model, else the best one so far in its `train/`."""
    if path.is_file():
        raise ModelError(
            f"{path}: is a file, expected a model folder made by nmt train; "
            "checkpoints of other tools (.pt, .bin, .pkl) can run code and are never loaded"
        )
    if not path.is_dir():
        raise UsageError(f"{path}: no such folder; expected a model folder made by nmt train")
    if (path / MANIFEST).exists():
        return path
    best = newest(path / "train", "best")
    return best[-1] if best else path


def newest(folder: Path, kind: str) -> list[Path]:
    """Folders `kind-N` in a folder, by rising N."""
    found = [path for path in folder.glob(f"{kind}-*") if path.name.removeprefix(f"{kind}-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix(f"{kind}-")))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; ModelError if it is damaged or holds a number that is not finite."""
    with _safetensors_errors(path):
        tensors = safetensors.torch.load_file(path)
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ModelError(f"{path}: {name} holds a number that is not finite")
    return tensors


def stored_shapes(path: Path) -> dict[str, torch.Size]:
    """Names and shapes of the tensors in a safetensors file, read from its header."""
    with _safetensors_errors(path), safetensors.safe_open(path, framework="pt") as file:
        return {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}


@contextmanager
def _safetensors_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: not a valid safetensors file: {error}") from error


def expected_shapes(
    config: ModelConfig, src_vocab_size: int, tgt_vocab_size: int
) -> Iterator[tuple[str, torch.Size]]:
    """Names and shapes of a network's weights; takes no memory, however large the numbers."""
    one_each = replace(config, encoder_layers=1, decoder_layers=1)
    num_layers = {"encoder": config.encoder_layers, "decoder": config.decoder_layers}
    with torch.device("meta"):
        network = Transformer(one_each, src_vocab_size=src_vocab_size, tgt_vocab_size=tgt_vocab_size)
    for name, parameter in network.named_parameters():
        stack, dot, rest = name.partition(".0.")
        for number in range(num_layers[stack] if dot else 1):
            yield f"{stack}.{number}.{rest}" if dot else name, parameter.shape


def load_weights(network: Transformer, tensors: dict[str, Tensor], *, name: str) -> None:
    """Put tensors into a network; ModelError if they do not fit."""
    check_weights(network, tensors, name=name)
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            parameter.copy_(tensors[key])


def take_weights(network: Transformer, tensors: dict[str, Tensor], *, name: str) -> None:
    """Make tensors the weights of a network, without a copy; ModelError if they do not fit."""
    check_weights(network, tensors, name=name)
    new = {id(old): nn.Parameter(tensors[key]) for key, old in network.named_parameters()}
    for module in network.modules():
        for key, old in module._parameters.items():
            if old is not None:
                module._parameters[key] = new[id(old)]  # a shared one stays shared


def check_weights(network: Transformer, tensors: dict[str, Tensor], *, name: str) -> None:
    """ModelError telling the first five tensors that are missing, extra or misshapen for a network."""
    parameters = dict(network.named_parameters())
    expected = ((key, parameter.shape) for key, parameter in parameters.items())
    _refuse_misfits(expected, {key: tensor.shape for key, tensor in tensors.items()}, name)
    for key, tensor in tensors.items():
        if tensor.dtype != parameters[key].dtype:
            raise ModelError(f"{name}: {key} is of {tensor.dtype}, expected {parameters[key].dtype}")


def _refuse_misfits(
    expected: Iterable[tuple[str, torch.Size]], found: Mapping[str, torch.Size], name: str
) -> None:
    problems = list(islice(_misfits(expected, found), 5))
    if problems:
        raise ModelError(f"{name}: the weights do not fit {CONFIG}: {'; '.join(problems)}")


def _misfits(expected: Iterable[tuple[str, torch.Size]], found: Mapping[str, torch.Size]) -> Iterator[str]:
    known = set()
    for key, shape in expected:
        known.add(key)
        if key not in found:
            yield f"{key} is missing"
        elif found[key] != shape:
            yield f"{key} is {tuple(found[key])}, expected {tuple(shape)}"
    yield from (f"{key} is not of this model" for key in found if key not in known)


def with_alignment_layer(model: TranslationModel, layer: int) -> TranslationModel:
    """The model with another decoder layer (from 1) to read links from."""
    return replace(
        model, config=replace(model.config, alignment=replace(model.config.alignment, layer=layer))
    )
