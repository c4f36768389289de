"""How much one account may submit in an hour and in a day (D17).

Counted in memory, by process: a restart forgets, and each node of several counts for itself. It bounds what a stolen
password can do; it is no billing.
"""

from collections import OrderedDict
from dataclasses import dataclass

from gateway.smtp.limits import Limits

__all__ = ["Allowance"]

HOUR = 3_600.0
DAY = 86_400.0
MOST_ACCOUNTS = 100_000


class Allowance:
    """The counts of all accounts. Instants are seconds of one clock, given by the caller."""

    def __init__(self, limits: Limits) -> None:
        self._rules = (
            (HOUR, limits.messages_per_hour, limits.recipients_per_hour),
            (DAY, limits.messages_per_day, limits.recipients_per_day),
        )
        self._accounts: OrderedDict[int, tuple[_Window, ...]] = OrderedDict()

    def admits(self, account_id: int, recipients: int, now: float) -> bool:
        """Whether one more message with so many recipients is within every limit; nothing is counted yet."""
        windows = self._windows(account_id)
        return all(
            window.messages(now) + 1 <= messages and window.recipients(now) + recipients <= most
            for window, (_, messages, most) in zip(windows, self._rules, strict=True)
        )

    def count(self, account_id: int, recipients: int, now: float) -> None:
        for window in self._windows(account_id):
            window.add(recipients, now)

    def _windows(self, account_id: int) -> "tuple[_Window, ...]":
        windows = self._accounts.get(account_id)
        if windows is None:
            windows = self._accounts[account_id] = tuple(_Window(span) for span, _, _ in self._rules)
            if len(self._accounts) > MOST_ACCOUNTS:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(account_id)
        return windows


@dataclass(slots=True)
class _Window:
    """A sliding window in constant space: the present span, and the one before it in proportion to what is left."""

    span: float
    _number: int = 0
    _now: tuple[int, int] = (0, 0)
    _before: tuple[int, int] = (0, 0)

    def messages(self, now: float) -> float:
        return self._sum(0, now)

    def recipients(self, now: float) -> float:
        return self._sum(1, now)

    def add(self, recipients: int, now: float) -> None:
        self._turn(now)
        self._now = (self._now[0] + 1, self._now[1] + recipients)

    def _sum(self, which: int, now: float) -> float:
        left = self._turn(now)
        return self._now[which] + self._before[which] * left

    def _turn(self, now: float) -> float:
        """Begin the span that ``now`` is in; the part of it that is still to come."""
        number, into = divmod(now, self.span)
        if number != self._number:
            self._before = self._now if number == self._number + 1 else (0, 0)
            self._now = (0, 0)
            self._number = int(number)
        return 1.0 - into / self.span
