"""The words of certified mail for people, in Italian and in English, kind by kind (RFC 6109 section 3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from receipts.facts import Deadline
from receipts.wire import ANOMALY_PHRASE, MessageKind, ReceiptForm, RecipientKind

__all__ = ["ENGLISH", "ITALIAN", "Language", "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one kind of message is told: its title, and the lines around the reasons."""

    title: str
    before: tuple[str, ...]
    """What was found; the reasons follow it."""
    after: tuple[str, ...] = ()
    in_message: bool = False  # something was found in the message, rather than done with it
    sent: bool = False  # the sentence says who sent it, rather than where it comes from


@dataclass(frozen=True, slots=True)
class Language:
    """Everything that is said in one language."""

    opening: str
    message: str
    in_message: str
    origin: str
    sent: str
    addressed: str
    kinds: Mapping[RecipientKind, str]
    identifier: str
    forms: Mapping[ReceiptForm, str]
    deadlines: Mapping[Deadline, Outcome]
    outcomes: Mapping[MessageKind, Outcome]


_REFUSED_FOR_VIRUS = "è stato rilevato un problema di sicurezza:"

ITALIAN = Language(
    opening="Il giorno {day} alle ore {time} ({zone})",
    message="il messaggio",
    in_message="nel messaggio",
    origin="proveniente da",
    sent="è stato inviato da",
    addressed="ed indirizzato a",
    kinds={RecipientKind.CERTIFIED: "posta certificata", RecipientKind.EXTERNAL: "posta ordinaria"},
    identifier="Identificativo messaggio",
    forms={
        ReceiptForm.COMPLETE: "Ricevuta di avvenuta consegna",
        ReceiptForm.BRIEF: "Ricevuta breve di avvenuta consegna",
        ReceiptForm.CONCISE: "Ricevuta sintetica di avvenuta consegna",
    },
    deadlines={
        Deadline.FIRST: Outcome(
            "Avviso di mancata consegna",
            (
                "non è stato consegnato nelle prime 12 ore dal suo invio.",
                "Pur non escludendo che il messaggio possa ancora essere consegnato, si ritiene utile segnalare",
                "che l'invio potrebbe non andare a buon fine.",
                "Il sistema provvederà ad inviare un ulteriore avviso di mancata consegna se nelle successive 12 ore",
                "non vi sarà la conferma della consegna al destinatario.",
            ),
        ),
        Deadline.SECOND: Outcome(
            "Avviso di mancata consegna",
            (
                "non è stato consegnato entro 24 ore dal suo invio.",
                "La transazione è da considerarsi conclusa con esito negativo.",
            ),
        ),
    },
    outcomes={
        MessageKind.ACCEPTANCE: Outcome("Ricevuta di accettazione", ("è stato accettato dal sistema ed inoltrato.",)),
        MessageKind.NON_ACCEPTANCE: Outcome(
            "Errore nell'accettazione del messaggio",
            ("è stato rilevato un problema che ne impedisce l'accettazione, a causa di:",),
            ("Il messaggio non è stato accettato.",),
            in_message=True,
        ),
        MessageKind.NON_ACCEPTANCE_VIRUS: Outcome(
            "Errore nell'accettazione del messaggio per presenza di virus",
            (_REFUSED_FOR_VIRUS,),
            ("Il messaggio non è stato accettato.",),
            in_message=True,
        ),
        MessageKind.ENVELOPE: Outcome(
            "Messaggio di posta certificata",
            (),
            ("Il messaggio originale è incluso in allegato.",),
            sent=True,
        ),
        MessageKind.TAKE_CHARGE: Outcome("Ricevuta di presa in carico", ("è stato accettato dal sistema.",)),
        MessageKind.ANOMALY: Outcome(
            "Anomalia nel messaggio",
            ("è stato ricevuto.", f"I {ANOMALY_PHRASE} per il seguente errore:"),
            ("Il messaggio originale è incluso in allegato.",),
        ),
        MessageKind.DELIVERY: Outcome("", ("è stato consegnato nella casella di destinazione.",)),
        MessageKind.NON_DELIVERY: Outcome(
            "Avviso di mancata consegna",
            ("è stato rilevato un errore:",),
            ("Il messaggio è stato rifiutato dal sistema.",),
            in_message=True,
        ),
        MessageKind.NON_DELIVERY_VIRUS: Outcome(
            "Avviso di mancata consegna per virus",
            (_REFUSED_FOR_VIRUS,),
            ("Il messaggio non è stato consegnato.",),
            in_message=True,
        ),
        MessageKind.VIRUS: Outcome(
            "Avviso di rilevazione virus",
            (_REFUSED_FOR_VIRUS,),
            ("Per questo motivo la trasmissione non è stata completata.",),
            in_message=True,
        ),
    },
)

ENGLISH = Language(
    opening="On {day} at {time} ({zone})",
    message="the message",
    in_message="in the message",
    origin="originating from",
    sent="was sent by",
    addressed="and addressed to",
    kinds={RecipientKind.CERTIFIED: "certified mail", RecipientKind.EXTERNAL: "ordinary mail"},
    identifier="Message identifier",
    forms={
        ReceiptForm.COMPLETE: "Delivery receipt",
        ReceiptForm.BRIEF: "Brief delivery receipt",
        ReceiptForm.CONCISE: "Concise delivery receipt",
    },
    deadlines={
        Deadline.FIRST: Outcome(
            "Non-delivery notice",
            (
                "has not been delivered within the first 12 hours following its dispatch.",
                "Although it may still be delivered, the dispatch might not have a positive outcome.",
                "Another non-delivery notice will be sent if in the following 12 hours",
                "no confirmation is received that it was delivered to the recipient.",
            ),
        ),
        Deadline.SECOND: Outcome(
            "Non-delivery notice",
            (
                "has not been delivered within 24 hours of its dispatch.",
                "The transaction is to be considered ended with a negative outcome.",
            ),
        ),
    },
    outcomes={
        MessageKind.ACCEPTANCE: Outcome("Acceptance receipt", ("was accepted by the system and forwarded.",)),
        MessageKind.NON_ACCEPTANCE: Outcome(
            "Error in message acceptance",
            ("a problem was detected that prevents its acceptance, due to:",),
            ("The message was not accepted.",),
            in_message=True,
        ),
        MessageKind.NON_ACCEPTANCE_VIRUS: Outcome(
            "Error in message acceptance due to virus presence",
            ("a security problem was detected:",),
            ("The message was not accepted.",),
            in_message=True,
        ),
        MessageKind.ENVELOPE: Outcome("Certified mail message", (), ("The original message is attached.",), sent=True),
        MessageKind.TAKE_CHARGE: Outcome("Take-charge receipt", ("was accepted by the system.",)),
        MessageKind.ANOMALY: Outcome(
            "Message anomaly",
            ("was received.", "The data has not been certified due to the following error:"),
            ("The original message is attached.",),
        ),
        MessageKind.DELIVERY: Outcome("", ("was placed in the destination mailbox.",)),
        MessageKind.NON_DELIVERY: Outcome(
            "Non-delivery notice",
            ("an error was detected:",),
            ("The message was refused by the system.",),
            in_message=True,
        ),
        MessageKind.NON_DELIVERY_VIRUS: Outcome(
            "Non-delivery notice due to virus",
            ("a security problem was detected:",),
            ("The message was not delivered.",),
            in_message=True,
        ),
        MessageKind.VIRUS: Outcome(
            "Virus detection notice",
            ("a security problem was detected:",),
            ("For this reason the transmission was not completed.",),
            in_message=True,
        ),
    },
)
