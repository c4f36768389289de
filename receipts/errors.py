"""What nobody may ignore. An outcome that RFC 6109 names is a value, not one of these."""

__all__ = ["GatewayError", "SigningUnavailable", "TemporaryError"]


class GatewayError(Exception):
    """Something that ends the transaction at hand; its text is for the log, never for the peer."""


class TemporaryError(GatewayError):
    """Something needed for a correct act is unavailable now: nothing is certified, the peer tries again (451)."""


class SigningUnavailable(TemporaryError):
    """The provider's key cannot be used now, so nothing may be certified."""
