"""`python -m sender` is `campaign`."""

from sender.cli import main

main()
