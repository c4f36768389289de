"""A person who knows only an address opens the page of the provider, in a real browser that runs no scripts."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.clients.places import Place
from tests.clients.webmail import SECONDS, chromium

pytestmark = [pytest.mark.desktop, pytest.mark.timeout(1_800)]

ADDRESS = "anna@alfa.example"
WIDE, PHONE = (1280, 800), (360, 740)
PROGRAMS = ("Thunderbird", "Outlook", "Mail on a Mac", "iPhone, iPad", "Android", "Roundcube, others")
FINGER = 44  # pixels that a finger hits (WCAG 2.5.5)
CONTRAST = 4.5  # of text (WCAG 1.4.3)
COLOURS = """() => {
  const parts = colour => colour.match(/[0-9.]+/g).map(Number)
  const behind = one => {
    const [r, g, b, a = 1] = parts(getComputedStyle(one).backgroundColor)
    return a === 0 && one.parentElement ? behind(one.parentElement) : [r, g, b]
  }
  return [...document.querySelectorAll('body *')]
    .filter(one => [...one.childNodes].some(each => each.nodeType === 3 && each.data.trim()))
    .map(one => [one.tagName + ': ' + one.textContent.trim(), parts(getComputedStyle(one).color), behind(one)])
}"""


@dataclass
class Window:
    """A browser at the provider's door."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def ask(self, address: str, program: str) -> None:
        self.page.get_by_label("Certified mail address").fill(address)
        self.page.get_by_label(program, exact=True).check()
        self.page.get_by_role("button", name="Show me what to do").click()

    @property
    def answer(self) -> Locator:
        return self.page.get_by_role("region")

    def fits(self) -> bool:
        """Whether nothing sticks out at the side."""
        return bool(self.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@contextmanager
def window(
    browser: Browser, place: Place, size: tuple[int, int] = WIDE, *, locale: str = "en-GB", scheme: str | None = None
) -> Iterator[Window]:
    """Of somebody who was never there; at its end the browser must have had nothing to say against the page."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=locale,
        color_scheme=scheme,
        ignore_https_errors=True,  # the authority of a lab is nobody's
        java_script_enabled=False,
    )
    context.set_default_timeout(SECONDS * 1000)
    opened = Window(context.new_page(), f"https://localhost:{place.https}")
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.page.goto(f"{opened.url}/")
    yield opened
    refused = [one for one in opened.complaints if "status of 40" not in one]  # the answer itself
    assert refused == []
    assert all(url.startswith(f"{opened.url}/") for url in opened.asked)
    context.close()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_program_has_its_answer(browser: Browser, ours: Place, size: tuple[int, int]) -> None:
    with window(browser, ours, size) as opened:
        page = opened.page
        assert page.title().startswith("Set up your mail program - ")
        assert opened.fits()
        for program in PROGRAMS:
            opened.ask(ADDRESS, program)
            expect(page.get_by_role("heading", level=2)).to_have_text(f"{program}: {ADDRESS}")
            expect(opened.answer.get_by_role("heading", level=2)).to_be_in_viewport()  # nobody has to look for it
            expect(opened.answer.get_by_role("listitem").first).to_be_visible()
            assert opened.fits()
            incoming = opened.answer.get_by_role("table", name="Incoming mail (IMAP)")
            expect(incoming.get_by_role("row", name="Port")).to_have_text(f"Port{ours.imaps}")
            expect(incoming.get_by_role("row", name="User name")).to_contain_text(ADDRESS)
            expect(opened.answer.get_by_role("table", name="Incoming mail (POP3)")).to_be_hidden()
            opened.answer.get_by_text("Other servers and ports").click()
            expect(opened.answer.get_by_role("table", name="Incoming mail (POP3)")).to_be_visible()
            assert opened.fits()
            expect(page.get_by_label(program, exact=True)).to_be_checked()
            expect(page.get_by_label("Certified mail address")).to_have_value(ADDRESS)


def test_a_mac_or_a_telephone_gets_its_profile_signed(browser: Browser, ours: Place, tmp_path: Path) -> None:
    with window(browser, ours, PHONE) as opened:
        opened.ask(ADDRESS, "iPhone, iPad")
        button = opened.answer.get_by_role("link", name="Download the profile")
        with opened.page.expect_download() as download:
            button.click()
        download.value.save_as(profile := tmp_path / "profile")
        assert download.value.suggested_filename == f"{ADDRESS}.mobileconfig"
        command = ["openssl", "cms", "-verify", "-inform", "DER", "-in", profile, "-CAfile", ours.ca_file]
        done = subprocess.run([*command, "-purpose", "any"], capture_output=True, check=True)
        assert f"<string>{ADDRESS}</string>".encode() in done.stdout


def test_an_address_that_is_not_ours_is_told_so(browser: Browser, ours: Place) -> None:
    with window(browser, ours) as opened:
        opened.ask("anna@elsewhere.example", "Outlook")
        address = opened.page.get_by_label("Certified mail address")
        expect(opened.page.get_by_role("alert")).to_contain_text("elsewhere.example is not a domain of")
        expect(address).to_have_attribute("aria-invalid", "true")
        expect(address).to_have_accessible_description(re.compile("not a domain of .* never asks for a password"))
        expect(opened.answer).to_have_count(0)
        opened.ask(ADDRESS, "Outlook")  # the mistake is put right where it was made
        expect(opened.answer).to_be_visible()


def test_it_can_be_used_by_keyboard_alone(browser: Browser, ours: Place) -> None:
    with window(browser, ours) as opened:
        page = opened.page
        for _ in range(2):  # past the language
            page.keyboard.press("Tab")
        page.keyboard.type(ADDRESS)
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_label("Outlook")).to_be_focused()
        outline = page.get_by_label("Outlook").evaluate("one => getComputedStyle(one).outlineStyle")
        assert outline == "solid"  # where one is can be seen
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=2)).to_have_text(f"Outlook: {ADDRESS}")


def test_it_speaks_the_language_of_the_browser_and_can_be_told_another(browser: Browser, ours: Place) -> None:
    with window(browser, ours, locale="it-IT") as opened:
        page = opened.page
        page.get_by_label("Indirizzo di posta certificata").fill(ADDRESS)
        page.get_by_label("Thunderbird").check()
        page.get_by_role("button", name="Mostra che cosa fare").click()
        expect(opened.answer).to_contain_text("La password")
        page.get_by_role("navigation", name="Lingua").get_by_role("link", name="English").click()
        expect(opened.answer).to_contain_text("The password")
        expect(page.get_by_role("heading", level=2)).to_have_text(f"Thunderbird: {ADDRESS}")
        opened.ask(ADDRESS, "Outlook")  # and stays with it
        expect(opened.answer).to_contain_text("The password")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_by_day_and_by_night_and_hit_with_a_finger(browser: Browser, ours: Place, scheme: str) -> None:
    with window(browser, ours, PHONE, scheme=scheme) as opened:
        opened.ask(ADDRESS, "iPhone, iPad")
        opened.answer.get_by_text("Other servers and ports").click()
        shown = opened.page.evaluate(COLOURS)
        faint = {text: (ink, paper) for text, ink, paper in shown if contrast(ink, paper) < CONTRAST}
        assert faint == {}
        assert (brightness(shown[0][2]) > 0.5) == (scheme == "light")
        targets = opened.page.locator("input[type=email], fieldset label, button, .button").all()
        assert len(targets) == 1 + len(PROGRAMS) + 2
        assert all((one.bounding_box() or {"height": 0})["height"] >= FINGER for one in targets)


def contrast(one: list[float], other: list[float]) -> float:
    """WCAG 2.2, contrast ratio."""
    darker, lighter = sorted((brightness(one), brightness(other)))
    return (lighter + 0.05) / (darker + 0.05)


def brightness(colour: list[float]) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in colour[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
