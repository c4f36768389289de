"""How much one Sieve script may be and do (RFC 5228 2.10.5, 10): each bound has its reason beside it."""

from typing import Final

__all__ = [
    "MAX_ARGUMENTS",
    "MAX_COMMANDS",
    "MAX_COPIES",
    "MAX_DEPTH",
    "MAX_KEY",
    "MAX_NOTICES",
    "MAX_NUMBER",
    "MAX_SCRIPT",
    "MAX_STEPS",
    "MAX_TOKENS",
    "READ_AT_ONCE",
]

MAX_SCRIPT: Final = 65_536
"""Bytes: a script is read again for each message."""
MAX_TOKENS: Final = 12_000
MAX_COMMANDS: Final = 2_000
MAX_DEPTH: Final = 32
"""Blocks in blocks, and tests in tests; RFC 5228 asks for 15 of each."""
MAX_ARGUMENTS: Final = 40
"""Of one command; no command has as many."""
MAX_KEY: Final = 1_000
"""Characters of a text that is looked for."""
MAX_NUMBER: Final = 2**53
MAX_STEPS: Final = 50_000
"""Of one message: a command is a step, and so is each comparison of a few thousand characters."""
MAX_COPIES: Final = 10
"""Folders that one message goes to."""
MAX_NOTICES: Final = 4
"""Addresses that are told of one message."""
READ_AT_ONCE: Final = 16
"""Bytes of a field that take a step to be read, as texts or addresses: each field of a message is read once."""
