"""Train, use and explain your own translation model."""

__version__ = "0.1.0"
