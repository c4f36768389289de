"""The letters that tell a holder of sign-ins worth a look, in the holder's language."""

from gateway.flows.letters import Letter
from gateway.storage.signins import CHOSEN, Use

__all__ = ["many_failures", "new_place"]


def new_place(language: str, *, use: Use, person: str | None = None) -> Letter:
    """A sign-in from a place that the account has not been used from before.

    Args:
        person: whose password it was, in a box that several people share; None: the holder's.
    """
    when, by = f"{use.at:%d/%m/%Y %H:%M:%S (%z)}", use.protocol.upper()
    if language == "en":
        proof = "the password of the account" if use.lookup == CHOSEN else f"the device password {use.lookup}..."
        return Letter(
            "New sign-in to your certified mailbox",
            (
                "Somebody signed in to your certified mailbox from a place it had not been used from before.",
                "",
                f"When: {when}",
                f"From: {use.address}",
                f"By: {by}, with {proof}",
                *([f"Who: {person}"] if person else []),
                "",
                "If it was you, there is nothing to do. If it was not, change the password or revoke that of the",
                "device, and tell your provider.",
            ),
        )
    proof = "la password della casella" if use.lookup == CHOSEN else f"la password di dispositivo {use.lookup}..."
    return Letter(
        "Nuovo accesso alla casella di posta certificata",
        (
            "Qualcuno ha effettuato l'accesso alla sua casella da un luogo mai usato prima.",
            "",
            f"Quando: {when}",
            f"Da: {use.address}",
            f"Con: {by}, {proof}",
            *([f"Chi: {person}"] if person else []),
            "",
            "Se è stato lei, non occorre fare nulla. Altrimenti cambi la password, o revochi quella del dispositivo,",
            "e avvisi il gestore.",
        ),
    )


def many_failures(language: str, *, failures: int, address: str) -> Letter:
    """Wrong passwords, again and again."""
    if language == "en":
        return Letter(
            "Failed sign-ins to your certified mailbox",
            (
                f"Today a wrong password was given {failures} times for your certified mailbox, last from {address}.",
                "",
                "Nobody got in that way. If a program or a telephone of yours has an old password, correct it there;",
                "otherwise make sure that your password is long and used nowhere else.",
            ),
        )
    return Letter(
        "Accessi falliti alla casella di posta certificata",
        (
            f"Oggi è stata data {failures} volte una password sbagliata per la sua casella, l'ultima da {address}.",
            "",
            "In questo modo non è entrato nessuno. Se un suo programma o telefono ha una vecchia password, la",
            "corregga; altrimenti si assicuri che la password sia lunga e non usata altrove.",
        ),
    )
