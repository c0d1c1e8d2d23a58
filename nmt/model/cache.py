"""What a decoder remembers between steps: keys and values of the target so far, and of the source."""

# B sentences (times beam), L target positions so far, S source length, H heads, K head width

from dataclasses import dataclass

from torch import Tensor


@dataclass
class LayerCache:
    """Keys and values of one decoder layer."""

    cross_keys: Tensor  # (B, H, S, K), computed once per sentence
    cross_values: Tensor  # (B, H, S, K)
    keys: Tensor  # (B, H, capacity, K), the first `length` positions are in use
    values: Tensor  # (B, H, capacity, K)
    length: int = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write (B, H, T, K) behind what is there; views of all keys and values so far, (B, H, L + T, K)."""
        end = self.length + keys.size(2)
        if end > self.keys.size(2):
            self._grow(max(end, 2 * self.keys.size(2)))
        self.keys[:, :, self.length : end] = keys
        self.values[:, :, self.length : end] = values
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes the former row rows[i]; only positions in use are copied."""
        self.keys = self._gather(self.keys, rows)
        self.values = self._gather(self.values, rows)

    def _gather(self, memory: Tensor, rows: Tensor) -> Tensor:
        new = memory.new_empty(rows.numel(), *memory.shape[1:])
        new[:, :, : self.length] = memory[:, :, : self.length].index_select(0, rows)
        return new

    def _grow(self, capacity: int) -> None:
        for name in ("keys", "values"):
            old: Tensor = getattr(self, name)
            new = old.new_empty(*old.shape[:2], capacity, old.size(3))
            new[:, :, : self.length] = old[:, :, : self.length]
            setattr(self, name, new)


@dataclass
class Cache:
    """The memory of a decoder: one LayerCache for each layer, and which source positions are real."""

    layers: list[LayerCache]
    mask: Tensor  # (B, 1, 1, S) bool

    @property
    def length(self) -> int:
        """Target positions decoded so far."""
        return self.layers[0].length

    def reorder(self, rows: Tensor) -> None:
        """Row i becomes the former row rows[i], of the same sentence: what belongs to the source stays."""
        for layer in self.layers:
            layer.reorder(rows)

    def select(self, rows: Tensor) -> None:
        """Row i becomes the former row rows[i], whichever sentence it belongs to; rows may repeat or go."""
        self.reorder(rows)
        self.mask = self.mask.index_select(0, rows)
        for layer in self.layers:
            layer.cross_keys = layer.cross_keys.index_select(0, rows)
            layer.cross_values = layer.cross_values.index_select(0, rows)
