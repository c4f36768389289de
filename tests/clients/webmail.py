"""A person at Roundcube's window: a real browser clicks, types, and reads what is on the screen."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.clients.places import program
from tests.lab.waiting import until

__all__ = ["Letter", "Webmail", "chromium", "webmail"]

SECONDS = 60
OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--lang=en-US"),
)
SPECIAL = ("inbox", "drafts", "sent", "junk", "trash", "archive")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium as it is installed, without a window.

    For tests that are no coroutines: while it is open, this thread has an event loop that runs.
    """
    with sync_playwright() as playwright:
        expect.set_options(timeout=SECONDS * 1000)
        browser = playwright.chromium.launch(
            executable_path=program("chromium"), args=list(OPTIONS), timeout=2 * SECONDS * 1000
        )
        yield browser
        browser.close()


@contextmanager
def webmail(browser: Browser, url: str) -> Iterator["Webmail"]:
    """A window on it, of somebody who was never there before."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, locale="en-US", timezone_id="Europe/Rome", service_workers="block"
    )
    context.set_default_timeout(SECONDS * 1000)
    yield Webmail(context.new_page(), url)
    context.close()


@dataclass(frozen=True)
class Letter:
    """A message as its window shows it."""

    subject: str
    headers: str
    text: str
    attachments: tuple[str, ...]


class Webmail:
    """The window of somebody who is signed in."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self._url = url

    def sign_in(self, user: str, password: str) -> None:
        self.page.goto(self._url)
        self.page.fill("#rcmloginuser", user)
        self.page.fill("#rcmloginpwd", password)
        self.page.click("#rcmloginsubmit")
        expect(self.page.locator("#mailboxlist li.inbox")).to_be_visible()
        self._settled()

    def refused(self, user: str, password: str) -> str:
        """What the window says to somebody who may not sign in."""
        self.page.goto(self._url)
        self.page.fill("#rcmloginuser", user)
        self.page.fill("#rcmloginpwd", password)
        self.page.click("#rcmloginsubmit")
        return self.page.locator("#messagestack .error, #messagestack .warning").first.inner_text()

    def folders(self) -> dict[str, str]:
        """Names, each with the use that its picture stands for; empty for folders like others."""
        found = self.page.locator("#mailboxlist li").evaluate_all(
            "rows => rows.map(row => [row.querySelector('a').firstChild.textContent.trim(), row.className])"
        )
        return {name: next((one for one in SPECIAL if one in of.split()), "") for name, of in found}

    def quota(self) -> str:
        title = self.page.locator("#rcmquotadisplay").get_attribute("title")
        return title or self.page.locator("#quotadisplay").get_attribute("data-original-title") or ""

    def open(self, folder: str) -> None:
        self.page.locator("#mailboxlist li").filter(has_text=re.compile(f"^{re.escape(folder)}")).locator(
            "a"
        ).first.click()
        expect(self.page.locator("#mailboxlist li.selected")).to_contain_text(folder)
        self._settled()

    def subjects(self) -> list[str]:
        """Of the messages in the list, from top to bottom."""
        return self.page.locator("#messagelist tbody tr.message:visible td.subject span.subject a").all_inner_texts()

    def waits_for(self, subject: str, *, times: int = 1) -> None:
        """Until the list holds it, asking for new mail as a person does."""

        def there() -> bool:
            if self.subjects().count(subject) == times:
                return True
            self.page.click("#messagelist-header a.refresh")
            self._settled()
            return self.subjects().count(subject) == times

        until(there, f"{subject!r} in the list", seconds=2 * SECONDS)

    def marks(self, subject: str) -> set[str]:
        """What the row of a message shows of it."""
        row = self._row(subject)
        shown = set((row.get_attribute("class") or "").split()) & {"unread", "flagged", "deleted", "replied"}
        return shown | ({"attachment"} if row.locator("span.attachment span.attachment").count() else set())

    def read(self, subject: str) -> Letter:
        """Double click: the message takes the whole window. ``back`` goes back to the list."""
        self._row(subject).locator("td.subject").dblclick()
        expect(self.page.locator("#messagebody")).to_be_visible()
        self._settled()
        return Letter(
            subject=" ".join(self.page.locator("#message-header h2.subject").inner_text().split()),
            headers=self.page.locator("#message-header").inner_text(),
            text=self.page.locator("#messagebody").inner_text(),
            attachments=tuple(self.page.locator("#attachment-list .attachment-name").all_inner_texts()),
        )

    def read_inside(self, attachment: str) -> str:
        """What the window of an attached message says, of the message that is open."""
        with self.page.expect_popup() as opened:
            self.page.locator("#attachment-list a.filename").filter(has_text=attachment).click()
        window = opened.value
        inside = window.frame_locator("iframe")
        expect(inside.locator("#messagebody")).to_be_visible()
        text = inside.locator("body").inner_text()
        window.close()
        return text

    def back(self) -> None:
        self.page.click("#taskmenu a.mail")
        expect(self.page.locator("#messagelist")).to_be_visible()
        self._settled()

    def send(self, to: str, subject: str, text: str) -> None:
        self.page.click("#taskmenu a.compose")
        expect(self.page.locator("#compose-subject")).to_be_visible()
        self._settled()
        self.page.locator("#compose_to input:visible").first.fill(to)
        self.page.fill("#compose-subject", subject)
        self.page.fill("#composebody", text)
        self.page.click("button.send")
        expect(self.page.locator("#messagelist")).to_be_visible()  # it stays in its window when it is refused
        self._settled()

    def search(self, text: str) -> list[str]:
        """Subjects of what is found in the folder that is open, until a folder is opened."""

        def typed() -> None:
            self.page.fill("#mailsearchform", text)
            self.page.press("#mailsearchform", "Enter")

        self._done(typed, lambda: bool(self.page.evaluate("() => rcmail.env.search_request")))
        return self.subjects()

    def move(self, subject: str, folder: str) -> None:
        def chosen() -> None:
            self._choose(subject)
            self.page.click("#layout-content a.more")
            self.page.click(".popover:visible a.move")
            self.page.locator("#folder-selector a").filter(has_text=re.compile(f"^{re.escape(folder)}$")).click()

        self._done(chosen, lambda: subject not in self.subjects())

    def delete(self, subject: str) -> None:
        """Into the trash; from the trash for ever."""

        def chosen() -> None:
            self._choose(subject)
            self.page.click("#layout-content a.delete")

        self._done(chosen, lambda: subject not in self.subjects())

    def mark(self, subject: str, how: str, shown: set[str]) -> None:
        """``flag``, ``unflag``, ``read`` or ``unread``, until the row shows just that."""

        def chosen() -> None:
            self._choose(subject)
            self.page.click("#layout-content a.markmessage")
            self.page.click(f".popover:visible a.{how}")

        self._done(chosen, lambda: self.marks(subject) == shown)

    def _done(self, act: Callable[[], None], done: Callable[[], bool]) -> None:
        """A page that is at something of its own takes no command; a person sees that, and does it again."""

        def tried() -> bool:
            act()
            self._settled()
            return done()

        until(tried, "change in the window", seconds=2 * SECONDS)

    def _choose(self, subject: str) -> None:
        """One click: it is selected, and shown at the side, which marks it as read."""
        row = self._row(subject)
        if "selected" not in (row.get_attribute("class") or "").split():
            row.locator("td.subject").click()
        expect(self.page.frame_locator("#messagecontframe").locator("#messagebody")).to_be_visible()
        expect(self.page.frame_locator("#messagecontframe").locator("h2.subject")).to_contain_text(subject)
        self._settled()

    def _row(self, subject: str) -> Locator:
        row = self.page.locator("#messagelist tbody tr.message:visible").filter(has_text=subject)
        expect(row).to_have_count(1)
        return row

    def _settled(self) -> None:
        """The page listens to clicks, and nothing that was asked of the server is still to come."""
        self.page.wait_for_function(
            "() => document.readyState === 'complete' && window.rcmail && rcmail.loaded && !rcmail.busy"
            " && !document.querySelector('#messagestack .loading')"
        )
