"""The limits of the SMTP servers, with their defaults (D14, D17). 1 MB is 1,000,000 bytes."""

from dataclasses import dataclass

__all__ = ["MB", "Limits"]

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    max_message_bytes: int = 100 * MB  # announced as SIZE; more: 552 (D14)
    max_recipients: int = 500  # of one message; more: 452 (D14)
    max_in_flight_bytes: int = 256 * MB  # of messages taken in at the same time by the process; more: 452
    memory_bytes: int = 2 * MB  # of one message; more goes through the sink (D20)

    max_connections: int = 1_000  # to one server; more: 421
    max_connections_per_address: int = 50
    max_unauthenticated_connections: int = 200  # submission only
    max_bad_commands: int = 10  # then 421
    max_refused_recipients: int = 100  # of one connection, then 421: nobody shall try out names

    session_seconds: float = 3_600.0
    command_seconds: float = 300.0  # between two commands, and for the other end to read a reply
    sign_in_seconds: float = 60.0  # from the greeting to a successful sign-in; submission only
    handshake_seconds: float = 15.0
    data_grace_seconds: float = 60.0  # before the pace of DATA counts
    min_data_bytes_per_second: int = 1_000

    messages_per_hour: int = 2_000  # of one account; more: 450
    messages_per_day: int = 10_000
    recipients_per_hour: int = 5_000
    recipients_per_day: int = 25_000

    window_messages: int = 16  # of one relay connection, taken but not answered yet (D37)
    window_bytes: int = 16 * MB  # the same, in bytes
