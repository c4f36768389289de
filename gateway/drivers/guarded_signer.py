"""A signing key that is asked each time whether it may be used."""

from collections.abc import Callable

from providers.sealing import SignatureAlgorithm, Signer
from receipts.errors import SigningUnavailable

__all__ = ["GuardedSigner"]


class GuardedSigner:
    """Signs with another signer, as long as nothing speaks against it.

    Args:
        fault: why nothing may be signed now; None if nothing speaks against it.
    """

    def __init__(self, signer: Signer, fault: Callable[[], str | None]) -> None:
        self._signer = signer
        self._fault = fault

    @property
    def certificate(self) -> bytes:
        return self._signer.certificate

    @property
    def chain(self) -> tuple[bytes, ...]:
        return self._signer.chain

    @property
    def address(self) -> str:
        return self._signer.address

    @property
    def algorithm(self) -> SignatureAlgorithm:
        return self._signer.algorithm

    def sign(self, data: bytes) -> bytes:
        """Raises SigningUnavailable if something speaks against it, or the key cannot be used."""
        fault = self._fault()
        if fault is not None:
            raise SigningUnavailable(fault)
        return self._signer.sign(data)
