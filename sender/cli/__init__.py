"""The command `campaign`. It parses, calls, prints and exits; what is heavy is imported once a command needs it."""

from sender.cli.app import main

__all__ = ["main"]
