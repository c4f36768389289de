"""What storage raises to those above it."""

from receipts.errors import GatewayError, TemporaryError

__all__ = ["Conflict", "StorageUnavailable", "UnsafeStorage"]


class StorageUnavailable(TemporaryError):
    """The database cannot be read or written now, or it is not known whether a commit took place."""


class Conflict(GatewayError):
    """A fact that the flow decided on has changed since: roll back, read again, decide again (D23)."""


class UnsafeStorage(GatewayError):
    """The database does not promise what a 250 promises: its commits may vanish with the power."""
