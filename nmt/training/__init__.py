"""Training: the loop, its state, and what it reports."""

from nmt.training.loop import train
from nmt.training.report import Report

__all__ = ["Report", "train"]
