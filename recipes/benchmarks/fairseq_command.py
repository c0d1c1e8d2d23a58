"""Runs a command of fairseq 0.12.2 on Python 3.11, which refuses the defaults of its dataclasses.

PEER/bin/python recipes/benchmarks/fairseq_command.py train --help
"""

import dataclasses
import functools
import sys
from importlib import import_module

import torch  # noqa: F401  before the change, which is for the classes of fairseq and of its hydra only


def main() -> None:
    """Run `fairseq-COMMAND` with the arguments behind its name."""
    command = sys.argv.pop(1)
    # since 3.11 a default that can not be hashed is an error: let instances of dataclasses have a hash
    strict = dataclasses.dataclass
    dataclasses.dataclass = functools.partial(strict, unsafe_hash=True)
    module = import_module(f"fairseq_cli.{command}")
    dataclasses.dataclass = strict
    module.cli_main()


if __name__ == "__main__":
    main()
