"""Weights as safetensors: written, read, and held against the shapes that a network has."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.checkpoint.manifest import CONFIG
from nmt.config.schema import ModelConfig
from nmt.errors import ModelError
from nmt.hardware import hand_back_pages
from nmt.model import Transformer
from nmt.workers import Workers


def weights(network: Transformer) -> dict[str, Tensor]:
    """The network's weights by name, shared ones once, on the CPU."""
    names = {}
    for name, parameter in network.named_parameters():  # leaves out a shared parameter's second name
        names[name] = parameter.detach().cpu().contiguous()
    return names


def serialize(tensors: dict[str, Tensor]) -> bytes:
    """Tensors as the bytes of a safetensors file."""
    return safetensors.torch.save(tensors)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file; ModelError if it is damaged or holds a number that is not finite."""
    with safetensors_errors(path):
        tensors = safetensors.torch.load_file(path)
        # on one core: where another program needs the others, each of hundreds of looks waits for them
        are_finite = Workers(cores_each=1).map(_is_finite, tensors.values())
    for name, is_finite in zip(tensors, are_finite, strict=True):
        if not is_finite:
            raise ModelError(f"{path}: {name} holds a number that is not finite")
    return tensors


def _is_finite(tensor: Tensor) -> bool:
    is_finite = not tensor.is_floating_point() or bool(tensor.isfinite().all())
    hand_back_pages([tensor])  # so that there is never all of a file in memory only because it was looked at
    return is_finite


def stored_shapes(path: Path) -> dict[str, torch.Size]:
    """Names and shapes of the tensors in a safetensors file, read from its header."""
    with safetensors_errors(path), safetensors.safe_open(path, framework="pt") as file:
        return {name: torch.Size(file.get_slice(name).get_shape()) for name in file.keys()}


@contextmanager
def safetensors_errors(path: Path) -> Iterator[None]:
    """Around the reading of a safetensors file: ModelError if it is none."""
    try:
        yield
    except (safetensors.SafetensorError, OSError, ValueError, NotImplementedError) as error:
        raise ModelError(f"{path}: not a valid safetensors file: {error}") from error


@contextmanager
def undrawn() -> Iterator[None]:
    """Networks made in it have shapes, but no weights: nothing is drawn that would only be overwritten."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Draws no normal weights: to do so on `meta`, torch would import its compiler, which takes seconds."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        return kwargs["tensor"] if func is nn.init.normal_ else func(*args, **kwargs)


def expected_shapes(
    config: ModelConfig, src_vocab_size: int, tgt_vocab_size: int
) -> Iterator[tuple[str, torch.Size]]:
    """Names and shapes of a network's weights; takes no memory, however large the numbers."""
    one_each = replace(config, encoder_layers=1, decoder_layers=1)
    num_layers = {"encoder": config.encoder_layers, "decoder": config.decoder_layers}
    with undrawn():
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
    refuse_misfits(expected, {key: tensor.shape for key, tensor in tensors.items()}, name)
    for key, tensor in tensors.items():
        if tensor.dtype != parameters[key].dtype:
            raise ModelError(f"{name}: {key} is of {tensor.dtype}, expected {parameters[key].dtype}")


def refuse_misfits(
    expected: Iterable[tuple[str, torch.Size]], found: Mapping[str, torch.Size], name: str
) -> None:
    """ModelError telling the first five names and shapes that are not as expected."""
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
