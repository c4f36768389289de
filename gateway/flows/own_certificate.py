"""Our own signing certificate: told before it ends, and not signed with once it has ended or was revoked."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from gateway.drivers.sources import Clock
from gateway.flows.alarms import Bell
from providers.certificates import CertificateFacts
from providers.standing import Standings, Status

__all__ = ["OwnCertificate"]

ALARM: Final = "own certificate"


class OwnCertificate:
    """Watches over the certificate that this provider signs with.

    Args:
        standings: what is known of revoked certificates at the moment.
        notice: how long before its end there is an alarm.
    """

    def __init__(
        self,
        certificate: CertificateFacts,
        standings: Callable[[], Standings],
        bell: Bell,
        clock: Clock,
        notice: timedelta,
    ) -> None:
        self._certificate = certificate
        self._standings = standings
        self._bell = bell
        self._clock = clock
        self._notice = notice

    def fault(self) -> str | None:
        """Why nothing may be signed now; nobody would believe it."""
        now = self._clock.now()
        if now > self._certificate.not_after:
            return f"our certificate ended on {self._certificate.not_after:%Y-%m-%d}"
        if now < self._certificate.not_before:
            return f"our certificate begins on {self._certificate.not_before:%Y-%m-%d}"
        if self._standings().of(self._certificate.sha256).at(now) is Status.REVOKED:
            return "our certificate was revoked"
        return None

    async def look(self) -> None:
        """Tell what is wrong with it, or soon will be."""
        reason = self.fault()
        if reason is None and self._certificate.not_after - self._clock.now() <= self._notice:
            reason = f"our certificate ends on {self._certificate.not_after:%Y-%m-%d}; publish its successor"
        if reason is None:
            await self._bell.over(ALARM, everywhere=True)
        else:
            await self._bell.raised(ALARM, reason, everywhere=True)
