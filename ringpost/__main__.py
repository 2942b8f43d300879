"""`python -m ringpost`."""

from ringpost.entry import main

main()
