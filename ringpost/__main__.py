"""`python -m ringpost`."""

from ringpost.cli import main

main()
