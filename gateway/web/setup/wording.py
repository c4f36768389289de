"""The words of the page that helps to set a mail program up, in Italian and in English.

Between asterisks stands what a program shows, or what matters; in braces, facts that ``gateway.web.setup.guide`` knows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.web.setup.asked import Finding, Program
from gateway.web.setup.servers import Service

__all__ = ["WORDS", "Way", "Words"]


@dataclass(frozen=True, slots=True)
class Way:
    """One way to set a program up: what to do, in order."""

    steps: tuple[str, ...]
    title: str | None = None  # where there is more than one
    remark: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Everything that is said in one language."""

    name: str  # of the language
    languages: str
    title: str
    opening: str
    address: str
    address_hint: str
    problems: Mapping[Finding, str]
    program: str
    programs: Mapping[Program, str]
    submit: str
    ways: Mapping[Program, tuple[Way, ...]]
    profile: str
    by_hand: str
    by_hand_hint: str
    services: Mapping[Service, str]
    more_servers: str
    more_servers_hint: str
    server: str
    port: str
    security: str
    user_name: str
    authentication: str
    normal: str
    device: str
    device_lines: tuple[str, ...]
    ask_provider: str
    ask_at: str
    seen: str
    seen_lines: tuple[str, ...]


_ITALIAN: Final = Words(
    name="Italiano",
    languages="Lingua",
    title="Configurare il programma di posta",
    opening=(
        "Bastano l'indirizzo certificato e una password. Scriva l'indirizzo e scelga il programma: qui vedrà che "
        "cosa fare."
    ),
    address="Indirizzo di posta certificata",
    address_hint="L'indirizzo intero. Questa pagina non chiede mai una password.",
    problems={
        Finding.MALFORMED: "Questo non è un indirizzo intero, come nome@esempio.it.",
        Finding.FOREIGN: "{domain} non è un dominio di {provider}: controlli l'indirizzo.",
    },
    program="Programma",
    programs={
        Program.THUNDERBIRD: "Thunderbird",
        Program.OUTLOOK: "Outlook",
        Program.APPLE_MAIL: "Mail su Mac",
        Program.IOS: "iPhone, iPad",
        Program.ANDROID: "Android",
        Program.OTHER: "Roundcube, altri",
    },
    submit="Mostra che cosa fare",
    ways={
        Program.THUNDERBIRD: (
            Way(
                (
                    "Apra *Nuovo account*, *Email*. Al primo avvio Thunderbird lo apre da solo.",
                    "Scriva il suo nome e l'indirizzo {address}, poi prema *Continua*.",
                    "Thunderbird trova i server da solo. Lasci scelto IMAP e prema *Continua*.",
                    "Scriva la password e prema *Continua* fino alla fine.",
                )
            ),
        ),
        Program.OUTLOOK: (
            Way(
                (
                    "Apra *File*, *Aggiungi account*.",
                    "Scriva {address}, prema *Connetti*, poi scriva la password.",
                    (
                        "Se chiede il tipo di account o i server: *Opzioni avanzate*, *Consenti di configurare "
                        "manualmente l'account*, *IMAP*, e i valori scritti sotto. *Autenticazione password di "
                        "protezione (SPA)* resta disattivata."
                    ),
                ),
                title="Outlook con il menu File",
            ),
            Way(
                ("Chieda prima al gestore se vanno usati per la posta certificata.",),
                title="Nuovo Outlook, Outlook per telefoni",
                remark="Consegnano password e posta a un server di Microsoft, che legge la casella da lì.",
            ),
        ),
        Program.APPLE_MAIL: (
            Way(
                (
                    "In Safari, prema *Scarica il profilo*.",
                    "Apra *Impostazioni di Sistema*, *Profili*, e lì il profilo. Controlli che nomini {provider}.",
                    "Prema *Installa* e, quando la chiede, scriva la password: il profilo non ne contiene.",
                )
            ),
        ),
        Program.IOS: (
            Way(
                (
                    "In Safari, non in altri browser, prema *Scarica il profilo*, poi *Consenti*.",
                    "Apra *Impostazioni*, *Profilo scaricato*. Controlli che nomini {provider}, poi prema *Installa*.",
                    "Quando la chiede, scriva la password: il profilo non ne contiene.",
                )
            ),
        ),
        Program.ANDROID: (
            Way(
                ("Scriva {address} e prema *Avanti*.", "Scriva la password. I server li trova da solo."),
                title="Thunderbird per Android, K-9 Mail",
            ),
            Way(
                (
                    "Scelga *Aggiungi un altro account*, *Altro*.",
                    "Scriva {address}, scelga *Personale (IMAP)*, poi scriva la password.",
                    "Se chiede i server, scriva i valori qui sotto.",
                ),
                title="Gmail",
            ),
        ),
        Program.OTHER: (
            Way(
                ("Apra la pagina della webmail ed entri con {address} e la password.",),
                title="Webmail",
            ),
            Way(
                (
                    "Scelga IMAP e scriva i valori qui sotto.",
                    "Il nome utente è l'indirizzo intero, anche per la posta in uscita.",
                ),
                title="Un altro programma",
            ),
        ),
    },
    profile="Scarica il profilo",
    by_hand="A mano",
    by_hand_hint="Se il programma non trova i server, o li chiede, sono questi.",
    services={
        Service.IMAP: "Posta in arrivo (IMAP)",
        Service.POP3: "Posta in arrivo (POP3)",
        Service.SUBMISSION: "Posta in uscita (SMTP)",
        Service.SIEVE: "Filtri (ManageSieve)",
    },
    more_servers="Altri server e porte",
    more_servers_hint=(
        "Se può, scelga IMAP: con POP3 non ci sono cartelle, e ciò che un programma cancella gli altri non lo vedono"
        " più."
    ),
    server="Server",
    port="Porta",
    security="Sicurezza",
    user_name="Nome utente",
    authentication="Autenticazione",
    normal="Password normale",
    device="La password",
    device_lines=(
        (
            "Dia a questo programma una *password di dispositivo*: {provider} la crea per questo dispositivo "
            "soltanto e la mostra una volta. Si può revocare senza toccare gli altri dispositivi."
        ),
        "Le caselle non limitate alle password di dispositivo accettano anche la propria.",
    ),
    ask_provider="La chieda al gestore, {provider}.",
    ask_at="La chieda qui:",
    seen="Che cosa vedrà",
    seen_lines=(
        (
            "Un messaggio certificato ha un oggetto che comincia con *{envelope}*; il messaggio vero e proprio è "
            "l'allegato *postacert.eml*. *{anomaly}* è posta ordinaria, che nessuno certifica."
        ),
        (
            "Le ricevute di ciò che invia sono nella cartella *{receipts_it}* (*{receipts}* nelle caselle in "
            "inglese): *{acceptance}* quando il messaggio è preso, *{delivery}* quando è nella casella del "
            "destinatario. Le conservi: sono la prova. Con POP3 arrivano insieme alla posta."
        ),
        "Se qualcosa va storto, *{non_acceptance}* o *{non_delivery}* è nella posta in arrivo.",
        (
            "Il messaggio inviato va da solo in *Sent* (posta inviata) con il contrassegno *{certified}*, poi "
            "*{accepted}* e *{delivered}*, oppure *{failed}*. Thunderbird li mostra a colori se crea etichette con "
            "questi nomi."
        ),
    ),
)

_ENGLISH: Final = Words(
    name="English",
    languages="Language",
    title="Set up your mail program",
    opening=(
        "Your certified address and a password are all you need. Type the address and choose the program to see what"
        " to do."
    ),
    address="Certified mail address",
    address_hint="The whole address. This page never asks for a password.",
    problems={
        Finding.MALFORMED: "This is not a whole address, such as name@example.com.",
        Finding.FOREIGN: "{domain} is not a domain of {provider}: look at the address again.",
    },
    program="Program",
    programs={
        Program.THUNDERBIRD: "Thunderbird",
        Program.OUTLOOK: "Outlook",
        Program.APPLE_MAIL: "Mail on a Mac",
        Program.IOS: "iPhone, iPad",
        Program.ANDROID: "Android",
        Program.OTHER: "Roundcube, others",
    },
    submit="Show me what to do",
    ways={
        Program.THUNDERBIRD: (
            Way(
                (
                    "Open *New account*, *Email*. At its first start Thunderbird opens it by itself.",
                    "Type your name and the address {address}, then press *Continue*.",
                    "Thunderbird finds the servers by itself. Leave IMAP chosen and press *Continue*.",
                    "Type the password, press *Continue*, then *Finish*.",
                )
            ),
        ),
        Program.OUTLOOK: (
            Way(
                (
                    "Open *File*, *Add Account*.",
                    "Type {address}, press *Connect*, then type the password.",
                    (
                        "If it asks for the type of account or for servers: *Advanced options*, *Let me set up my "
                        "account manually*, *IMAP*, and the values below. *Secure Password Authentication (SPA)* "
                        "stays off."
                    ),
                ),
                title="Outlook with the menu File",
            ),
            Way(
                ("Ask your provider first whether they are to be used for certified mail.",),
                title="New Outlook, Outlook for phones",
                remark="They hand password and mail to a server of Microsoft, which reads the box from there.",
            ),
        ),
        Program.APPLE_MAIL: (
            Way(
                (
                    "In Safari, press *Download the profile*.",
                    "Open *System Settings*, *Profiles*, and the profile there. Look that it names {provider}.",
                    "Press *Install*, and type the password when it asks: the profile holds none.",
                )
            ),
        ),
        Program.IOS: (
            Way(
                (
                    "In Safari, no other browser, press *Download the profile*, then *Allow*.",
                    "Open *Settings*, *Profile Downloaded*. Look that it names {provider}, then press *Install*.",
                    "Type the password when it asks: the profile holds none.",
                )
            ),
        ),
        Program.ANDROID: (
            Way(
                ("Type {address} and press *Next*.", "Type the password. It finds the servers by itself."),
                title="Thunderbird for Android, K-9 Mail",
            ),
            Way(
                (
                    "Choose *Add another account*, *Other*.",
                    "Type {address}, choose *Personal (IMAP)*, then type the password.",
                    "If it asks for servers, type the values below.",
                ),
                title="Gmail",
            ),
        ),
        Program.OTHER: (
            Way(
                ("Open the page of the web mail and sign in with {address} and the password.",),
                title="Web mail",
            ),
            Way(
                (
                    "Choose IMAP and type the values below.",
                    "The user name is the whole address, for outgoing mail too.",
                ),
                title="Another program",
            ),
        ),
    },
    profile="Download the profile",
    by_hand="By hand",
    by_hand_hint="If the program does not find the servers, or asks for them, these are they.",
    services={
        Service.IMAP: "Incoming mail (IMAP)",
        Service.POP3: "Incoming mail (POP3)",
        Service.SUBMISSION: "Outgoing mail (SMTP)",
        Service.SIEVE: "Filters (ManageSieve)",
    },
    more_servers="Other servers and ports",
    more_servers_hint=(
        "Choose IMAP if you can: with POP3 there are no folders, and what one program deletes the others never see."
    ),
    server="Server",
    port="Port",
    security="Security",
    user_name="User name",
    authentication="Authentication",
    normal="Normal password",
    device="The password",
    device_lines=(
        (
            "Give this program a *device password*: {provider} makes it for this device alone and shows it once. It "
            "can be taken back without touching your other devices."
        ),
        "A box that is not limited to device passwords takes its own password as well.",
    ),
    ask_provider="Ask your provider, {provider}, for one.",
    ask_at="Ask for one here:",
    seen="What you will see",
    seen_lines=(
        (
            "The subject of a certified message begins with *{envelope}*; the message itself is the attachment "
            "*postacert.eml*. *{anomaly}* is ordinary mail, certified by nobody."
        ),
        (
            "The receipts of what you send are in the folder *{receipts}* (*{receipts_it}* in Italian boxes): "
            "*{acceptance}* when the message is taken, *{delivery}* when it is in the box of its recipient. Keep "
            "them: they are the proof. With POP3 they come with the mail."
        ),
        "If something goes wrong, *{non_acceptance}* or *{non_delivery}* is in the inbox.",
        (
            "What you send is filed in *Sent* by itself, with the keyword *{certified}*, then *{accepted}* and "
            "*{delivered}*, or *{failed}*. Thunderbird shows them in colours if you make tags with these names."
        ),
    ),
)

WORDS: Final[Mapping[str, Words]] = {"it": _ITALIAN, "en": _ENGLISH}
