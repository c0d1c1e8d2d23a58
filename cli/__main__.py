"""`python -m nmt.cli`."""

from .main import main

main()
