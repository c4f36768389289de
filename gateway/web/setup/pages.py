"""The pages that mail programs ask for, Thunderbird's, Outlook's and Apple's, and the one for people.

Nothing here says whether a mailbox exists: every address of a domain of ours gets the same answer.
"""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.web.setup.apple import PROFILE_TYPE, profile
from gateway.web.setup.asked import asked
from gateway.web.setup.guide import PATH, PROFILE_PATH, STATUS, guide
from gateway.web.setup.outlook import (
    MAX_REQUEST_BYTES,
    RequestRefused,
    account_settings,
    no_account,
    requested_address,
)
from gateway.web.setup.servers import MailServers
from gateway.web.setup.style import POLICY
from gateway.web.setup.thunderbird import client_config
from receipts.identifiers import domain_of, is_smtp_address

__all__ = ["setup_pages"]

_AUTOCONFIG: Final = ("/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml")
_AUTODISCOVER: Final = ("/autodiscover/autodiscover", "/Autodiscover/Autodiscover", "/AutoDiscover/AutoDiscover")
_POX: Final = "AutodiscoverV1"

Sign = Callable[[bytes], Awaitable[bytes]]
"""A configuration profile inside a signature, in DER."""


def setup_pages(servers: MailServers, *, is_ours: Callable[[str], bool], sign: Sign, base_url: str) -> list[Route]:
    """The routes.

    Args:
        is_ours: whether a domain, as a lower-case A-label, is one of ours.
        base_url: of this server as holders reach it, without a final slash.
    """
    pages = _Pages(servers, is_ours, sign, base_url)
    return [
        *(Route(path, pages.autoconfig, methods=["GET"]) for path in _AUTOCONFIG),
        Route("/v1.1/{domain}", pages.autoconfig_of_domain, methods=["GET"]),
        *(Route(f"{path}.xml", pages.autodiscover, methods=["POST"]) for path in _AUTODISCOVER),
        *(Route(f"{path}.json", pages.autodiscover_json, methods=["GET"]) for path in _AUTODISCOVER),
        Route(PROFILE_PATH, pages.mobileconfig, methods=["GET"]),
        Route(PATH, pages.guide, methods=["GET"]),
        *(Route(path, pages.to_guide, methods=["GET"]) for path in ("/", f"{PATH}/")),
    ]


class _Pages:
    def __init__(self, servers: MailServers, is_ours: Callable[[str], bool], sign: Sign, base_url: str) -> None:
        self._servers = servers
        self._is_ours = is_ours
        self._sign = sign
        self._base_url = base_url

    async def autoconfig(self, request: Request) -> Response:
        """With the address as Thunderbird sends it; without one the host it asks tells the domain."""
        address = request.query_params.get("emailaddress")
        if address is not None:
            return self._client_config(self._domain(address))
        host = request.url.hostname or ""
        return self._client_config(self._domain(f"any@{host.removeprefix('autoconfig.')}"))

    async def autoconfig_of_domain(self, request: Request) -> Response:
        """As Mozilla's own database of providers answers."""
        return self._client_config(self._domain(f"any@{request.path_params['domain']}"))

    def _client_config(self, domain: str | None) -> Response:
        if domain is None:
            return _not_found()
        return Response(client_config(self._servers, domain), media_type="text/xml")

    async def autodiscover(self, request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response("Too large", 413, media_type="text/plain")
        try:
            address = requested_address(body)
        except RequestRefused:
            return Response(no_account(), media_type="text/xml")
        if self._domain(address) is None:
            return Response(no_account(), media_type="text/xml")
        return Response(account_settings(self._servers, address), media_type="text/xml")

    async def autodiscover_json(self, request: Request) -> Response:
        """Where the answer in XML is; newer Outlooks ask this first."""
        if request.query_params.get("Protocol", _POX).lower() != _POX.lower():
            return JSONResponse({"ErrorCode": "InvalidProtocol", "ErrorMessage": "Only AutodiscoverV1 is here."}, 400)
        return JSONResponse({"Protocol": _POX, "Url": f"{self._base_url}{_AUTODISCOVER[0]}.xml"})

    async def mobileconfig(self, request: Request) -> Response:
        address = request.query_params.get("emailaddress", "")
        made = profile(self._servers, address) if self._domain(address) is not None else None
        if made is None:
            return _not_found()
        name = quote(address, safe="@.-") + ".mobileconfig"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(await self._sign(made), media_type=PROFILE_TYPE, headers=headers)

    async def guide(self, request: Request) -> Response:
        """For a person: what to do in which program."""
        question = asked(request.query_params, request.headers.get("accept-language", ""), self._is_ours)
        headers = {
            "Content-Security-Policy": POLICY,
            "Content-Language": question.language,
            "Cache-Control": "no-store",
            "Vary": "Accept-Language",
        }
        return HTMLResponse(guide(self._servers, question), STATUS[question.finding], headers)

    async def to_guide(self, request: Request) -> Response:
        """To the same question there."""
        query = request.url.query
        return RedirectResponse(f"{PATH}?{query}" if query else PATH, 302)

    def _domain(self, address: str) -> str | None:
        """The domain of an address if it is ours."""
        if not is_smtp_address(address):
            return None
        domain = domain_of(address)
        return domain if self._is_ours(domain) else None


def _not_found() -> Response:
    return Response("Not found", 404, media_type="text/plain")


async def _body(request: Request) -> bytes | None:
    """What was sent; None if it is more than any request needs."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_REQUEST_BYTES:
            return None
    return body
