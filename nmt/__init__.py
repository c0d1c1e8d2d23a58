"""Train, use and explain your own translation model."""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Translator", "__version__"]

if TYPE_CHECKING:
    from nmt.decoding import Translator
else:

    def __getattr__(name: str) -> object:
        """`Translator`, imported when it is asked for: with it comes torch, which takes seconds."""
        if name == "Translator":
            from nmt.decoding import Translator

            return Translator
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
