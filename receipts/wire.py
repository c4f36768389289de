"""Every word of RFC 6109 that stands on the wire, once, with its source.

The words are the Italian ones of Appendix A; the RFC prints English renderings of some of them in its
examples ("On behalf of:", "certified-mail@", "certdata.xml") that no provider uses.
"""

from enum import StrEnum

__all__ = [
    "ANOMALY_PHRASE",
    "BAD_SIGNATURE_PHRASE",
    "CERTIFICATION_DATA_NAME",
    "CERTIFICATION_DATA_NAMES",
    "HASH_SUFFIX",
    "ON_BEHALF_OF",
    "ORIGINAL_NAME",
    "PKCS7_MIME_TYPES",
    "PKCS7_SIGNATURE_TYPES",
    "SERVICE_LOCAL_PART",
    "SIGNATURE_NAME",
    "SUBJECT_PREFIX",
    "TRANSPORT_VALUE_OF",
    "X_MITTENTE",
    "X_RICEVUTA",
    "X_RIFERIMENTO_MESSAGE_ID",
    "X_TIPO_RICEVUTA",
    "X_TRASPORTO",
    "X_VERIFICA_SICUREZZA",
    "CertificationType",
    "ErrorKind",
    "MessageKind",
    "ReceiptForm",
    "RecipientKind",
    "SecurityCheck",
    "Transport",
]

X_RICEVUTA = "X-Ricevuta"  # 2.1.1.1: the kind of a receipt or notice
X_TRASPORTO = "X-Trasporto"  # 2.1.1.2; misprinted in 3.2.2
X_TIPO_RICEVUTA = "X-TipoRicevuta"  # 3.1.5: the form of delivery receipt the sender asks for
X_RIFERIMENTO_MESSAGE_ID = "X-Riferimento-Message-ID"  # 2.1.1.1: the client's msgid
X_VERIFICA_SICUREZZA = "X-VerificaSicurezza"  # 3.1.3, 3.2.4: on notices about a virus
X_MITTENTE = "X-Mittente"  # 3.2.3: the original sender, on virus notices between providers

SERVICE_LOCAL_PART = "posta-certificata"  # 2.2.6, Appendix A; "certified-mail" in the RFC's English examples
ON_BEHALF_OF = "Per conto di: "  # 3.1.5; "On behalf of:" in the RFC's English examples

ORIGINAL_NAME = "postacert.eml"  # 4.3.2
CERTIFICATION_DATA_NAME = "daticert.xml"  # what every provider writes
CERTIFICATION_DATA_NAMES = frozenset({"daticert.xml", "certdata.xml"})  # 4.3.3 prints the second
SIGNATURE_NAME = "smime.p7s"  # RFC 8551 3.2.1
HASH_SUFFIX = ".hash"  # 3.3.2.2
PKCS7_SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})  # 3.3.2.2
PKCS7_MIME_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})  # 3.3.2.2

ANOMALY_PHRASE = "dati non sono stati certificati"  # 3.2.2; client programs search for it
BAD_SIGNATURE_PHRASE = "Firma non presente o non autentica"  # 3.2.2, in practice


class Transport(StrEnum):
    """Values of X-Trasporto (Appendix A)."""

    ENVELOPE = "posta-certificata"
    ANOMALY = "errore"


class SecurityCheck(StrEnum):
    """Values of X-VerificaSicurezza (3.1.3)."""

    ERROR = "errore"


class CertificationType(StrEnum):
    """Values of postacert@tipo (4.4); all but the envelope's are values of X-Ricevuta too (Appendix A)."""

    ACCEPTANCE = "accettazione"
    NON_ACCEPTANCE = "non-accettazione"
    TAKE_CHARGE = "presa-in-carico"
    DELIVERY = "avvenuta-consegna"
    ENVELOPE = "posta-certificata"
    NON_DELIVERY = "errore-consegna"
    TIMEOUT = "preavviso-errore-consegna"
    VIRUS = "rilevazione-virus"


class ErrorKind(StrEnum):
    """Values of postacert@errore (4.4)."""

    NONE = "nessuno"
    NO_RECIPIENT = "no-dest"
    NO_DOMAIN = "no-dominio"
    VIRUS = "virus"
    OTHER = "altro"


class RecipientKind(StrEnum):
    """Values of destinatari@tipo (4.4)."""

    CERTIFIED = "certificato"
    EXTERNAL = "esterno"


class ReceiptForm(StrEnum):
    """Values of X-TipoRicevuta and ricevuta@tipo (3.1.5, 4.4)."""

    COMPLETE = "completa"
    BRIEF = "breve"
    CONCISE = "sintetica"


class MessageKind(StrEnum):
    """The kinds of message a provider emits (chapter 3), by the names they have in this program."""

    ACCEPTANCE = "acceptance"  # 3.1.4
    NON_ACCEPTANCE = "non-acceptance"  # 3.1.2
    NON_ACCEPTANCE_VIRUS = "non-acceptance-virus"  # 3.1.3
    ENVELOPE = "envelope"  # 3.1.5
    TIMEOUT = "timeout"  # 3.1.6
    TAKE_CHARGE = "take-charge"  # 3.2.1
    ANOMALY = "anomaly"  # 3.2.2
    VIRUS = "virus"  # 3.2.3
    NON_DELIVERY_VIRUS = "non-delivery-virus"  # 3.2.4
    DELIVERY = "delivery"  # 3.3.2
    NON_DELIVERY = "non-delivery"  # 3.3.3


TRANSPORT_VALUE_OF = {MessageKind.ENVELOPE: Transport.ENVELOPE, MessageKind.ANOMALY: Transport.ANOMALY}

SUBJECT_PREFIX = {
    MessageKind.ACCEPTANCE: "ACCETTAZIONE: ",  # 3.1.4
    MessageKind.NON_ACCEPTANCE: "AVVISO DI NON ACCETTAZIONE: ",  # 3.1.2
    MessageKind.NON_ACCEPTANCE_VIRUS: "AVVISO DI NON ACCETTAZIONE PER VIRUS: ",  # 3.1.3
    MessageKind.ENVELOPE: "POSTA CERTIFICATA: ",  # 3.1.5
    MessageKind.TIMEOUT: "AVVISO DI MANCATA CONSEGNA PER SUP. TEMPO MASSIMO: ",  # 3.1.6
    MessageKind.TAKE_CHARGE: "PRESA IN CARICO: ",  # 3.2.1
    MessageKind.ANOMALY: "ANOMALIA MESSAGGIO: ",  # 3.2.2
    MessageKind.VIRUS: "PROBLEMA DI SICUREZZA: ",  # 3.2.3
    MessageKind.NON_DELIVERY_VIRUS: "AVVISO DI MANCATA CONSEGNA PER VIRUS: ",  # 3.2.4
    MessageKind.DELIVERY: "CONSEGNA: ",  # 3.3.2
    MessageKind.NON_DELIVERY: "AVVISO DI MANCATA CONSEGNA: ",  # 3.3.3
}
