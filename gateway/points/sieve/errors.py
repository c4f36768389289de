"""What is wrong with a Sieve script: said to whoever hands it in, with the place, or found while it runs."""

__all__ = ["ScriptFailed", "ScriptRefused"]


class ScriptRefused(ValueError):
    """A script that is none of ours; ``str()`` is a sentence with line and column."""

    def __init__(self, line: int, column: int, reason: str) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.line = line  # from 1
        self.column = column  # from 1, in characters
        self.reason = reason


class ScriptFailed(Exception):
    """A script that cannot be followed to its end for this message: nothing of it is done (RFC 5228 2.10.6)."""
