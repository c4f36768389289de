"""The page that tells holders how to set their mail program up: a question in, a page out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from gateway.points.box import FIRST_FOLDERS, folder_name
from gateway.points.marks import NAMES, Mark
from gateway.web.html import Html, block, document, element, joined, raw
from gateway.web.setup.asked import Asked, Finding, Program
from gateway.web.setup.languages import LANGUAGES
from gateway.web.setup.servers import MailServer, MailServers, Service
from gateway.web.setup.style import STYLE
from gateway.web.setup.wording import WORDS, Way, Words
from receipts.identifiers import domain_of, to_u_labels
from receipts.wire import SUBJECT_PREFIX, MessageKind

__all__ = ["PATH", "PROFILE_PATH", "STATUS", "guide"]

PATH: Final = "/setup"
PROFILE_PATH: Final = "/mobileconfig"
STATUS: Final = {Finding.NOTHING: 200, Finding.OURS: 200, Finding.MALFORMED: 400, Finding.FOREIGN: 404}

_ANSWER: Final = "what-to-do"  # where the answer stands in the page
_WITH_PROFILE: Final = frozenset({Program.APPLE_MAIL, Program.IOS})
_RECEIPTS: Final = next(folder for folder in FIRST_FOLDERS if folder.key == "Receipts")
_SEEN: Final = {
    "receipts": folder_name(_RECEIPTS, "en"),
    "receipts_it": folder_name(_RECEIPTS, "it"),
    "certified": NAMES[Mark.CERTIFIED],
    "accepted": NAMES[Mark.ACCEPTED],
    "delivered": NAMES[Mark.DELIVERED],
    "failed": NAMES[Mark.FAILED],
    **{
        kind.name.lower(): SUBJECT_PREFIX[kind].removesuffix(": ")
        for kind in (
            MessageKind.ENVELOPE,
            MessageKind.ANOMALY,
            MessageKind.ACCEPTANCE,
            MessageKind.DELIVERY,
            MessageKind.NON_ACCEPTANCE,
            MessageKind.NON_DELIVERY,
        )
    },
}


def guide(servers: MailServers, asked: Asked) -> bytes:
    """The whole page: the question, and the answer if there can be one. It looks at no box."""
    facts = {
        "provider": servers.provider,
        "address": asked.address,
        "domain": to_u_labels(domain_of(asked.address)),
        **_SEEN,
    }
    return _Guide(servers, asked, WORDS[asked.language], facts).page()


@dataclass(frozen=True, slots=True)
class _Guide:
    """One page. Methods give its pieces; empty ones do not show."""

    servers: MailServers
    asked: Asked
    words: Words
    facts: Mapping[str, str]

    def page(self) -> bytes:
        title = f"{self.words.title} - {self.servers.provider}"
        head = block(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("title", title),
            element("style", raw(STYLE)),
        )
        main = block(
            "main",
            element("h1", self.words.title),
            element("p", self.words.opening),
            self._form(),
            self._answer(self.asked.program) if self.asked.program and self.asked.finding is Finding.OURS else Html(),
        )
        return document(self.asked.language, head, block("body", self._header(), main))

    def _header(self) -> Html:
        links = (
            element("a", WORDS[other].name, href=self._link(other), lang=other, hreflang=other)
            for other in LANGUAGES
            if other != self.asked.language
        )
        name = element("p", self.servers.provider)
        return block("header", name, element("nav", *links, aria_label=self.words.languages))

    def _link(self, language: str) -> str:
        """The same question in another language."""
        fields = {"address": self.asked.address, "program": self.asked.program or "", "language": language}
        return f"{PATH}?{urlencode({name: value for name, value in fields.items() if value})}"

    def _form(self) -> Html:
        problem = self.words.problems.get(self.asked.finding)
        described = "address-hint" if problem is None else "address-problem address-hint"
        return block(
            "form",
            element("label", self.words.address, for_="address"),
            element(
                "input",
                id="address",
                name="address",
                type="email",
                value=self.asked.address,
                required=True,
                maxlength="254",
                autocomplete="email",
                spellcheck="false",
                aria_describedby=described,
                aria_invalid="true" if problem else None,
            ),
            element("p", self._rich(problem), id="address-problem", class_="problem", role="alert")
            if problem
            else Html(),
            element("p", self.words.address_hint, id="address-hint", class_="hint"),
            block("fieldset", element("legend", self.words.program), *map(self._choice, Program)),
            element("input", type="hidden", name="language", value=self.asked.language)
            if self.asked.insisted
            else Html(),
            element("button", self.words.submit, type="submit"),
            method="get",
            action=f"{PATH}#{_ANSWER}",
        )

    def _choice(self, program: Program) -> Html:
        chosen = program is self.asked.program
        choice = element("input", type="radio", name="program", value=program, required=True, checked=chosen)
        return element("label", choice, " ", self.words.programs[program])

    def _answer(self, program: Program) -> Html:
        named = element("span", self.asked.address, class_="name")
        by_profile = program in _WITH_PROFILE and self._has_profile
        ways = self.words.ways[program if by_profile or program not in _WITH_PROFILE else Program.OTHER]
        return block(
            "section",
            element("h2", self.words.programs[program], ": ", named, id="answer-title"),
            self._profile() if by_profile else Html(),
            *(piece for way in ways for piece in self._way(way)),
            *self._device(),
            *self._by_hand(),
            element("h3", self.words.seen),
            block("ul", *(element("li", self._rich(line)) for line in self.words.seen_lines)),
            id=_ANSWER,
            aria_labelledby="answer-title",
            tabindex="-1",
        )

    @property
    def _has_profile(self) -> bool:
        """``gateway.web.setup.apple`` makes none without a server of each kind."""
        return bool(self.servers.of(Service.IMAP, Service.POP3) and self.servers.of(Service.SUBMISSION))

    def _profile(self) -> Html:
        href = f"{PROFILE_PATH}?{urlencode({'emailaddress': self.asked.address})}"
        return element("p", element("a", self.words.profile, class_="button", href=href))

    def _way(self, way: Way) -> Iterator[Html]:
        if way.title:
            yield element("h3", way.title)
        if way.remark:
            yield element("p", self._rich(way.remark))
        yield block("ol", *(element("li", self._rich(step)) for step in way.steps))

    def _device(self) -> Iterator[Html]:
        yield element("h3", self.words.device)
        device, own = map(self._rich, self.words.device_lines)
        yield element("p", device, " ", self._where())
        yield element("p", own)

    def _where(self) -> Html:
        """Where a device password is made for the holder."""
        at = self.servers.help_at
        if at is None:
            return self._rich(self.words.ask_provider)
        return joined(self._rich(self.words.ask_at), " ", element("a", at, href=at))

    def _by_hand(self) -> Iterator[Html]:
        incoming = next(iter(self.servers.of(Service.IMAP, Service.POP3)), None)
        first = [server for server in (incoming, self.servers.best(Service.SUBMISSION)) if server is not None]
        more = [server for server in self.servers.of(*Service) if server not in first]
        yield element("h3", self.words.by_hand)
        yield element("p", self.words.by_hand_hint)
        yield self._tables(first)
        if more:
            summary = element("summary", self.words.more_servers)
            yield block("details", summary, element("p", self.words.more_servers_hint), self._tables(more))

    def _tables(self, servers: list[MailServer]) -> Html:
        return block("div", *map(self._table, servers), class_="servers")

    def _table(self, server: MailServer) -> Html:
        rows = (
            (self.words.server, server.host),
            (self.words.port, str(server.port)),
            (self.words.security, "SSL/TLS" if server.implicit_tls else "STARTTLS"),
            (self.words.user_name, self.asked.address),
            (self.words.authentication, self.words.normal),
        )
        return block(
            "table",
            element("caption", self.words.services[server.service]),
            *(element("tr", element("th", name, scope="row"), element("td", value)) for name, value in rows),
        )

    def _rich(self, text: str) -> Html:
        """Our words with their facts; what stands between asterisks is bold."""
        pieces = [piece.format_map(self.facts) for piece in text.split("*")]
        return joined(*(element("b", piece) if odd % 2 else piece for odd, piece in enumerate(pieces)))
