"""Roundcube's editor of filters: what a person clicks and types in *Settings*, *Filters*."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import FrameLocator, Locator, Page, expect

__all__ = ["Filters", "filters"]


@contextmanager
def filters(page: Page) -> Iterator["Filters"]:
    """The editor, opened by somebody who is at their mail, and goes back to it."""
    page.click("#taskmenu a.settings")
    page.click("#settings-menu a.filter, #settings-menu li.filter a")
    expect(page.locator("#filterslist")).to_be_attached()
    opened = Filters(page)
    opened.settled()
    yield opened
    page.click("#taskmenu a.mail")
    expect(page.locator("#mailboxlist li.inbox")).to_be_visible()
    opened.settled()


class Filters:
    """The editor in the window of somebody who is signed in."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def shown(self) -> dict[str, bool]:
        """Filters from top to bottom, each with whether it is enabled."""
        rows = self.page.locator("#filterslist tbody tr").all()
        return {row.inner_text().strip(): "disabled" not in (row.get_attribute("class") or "").split() for row in rows}

    def make(self, name: str, *, subject: str, folder: str) -> None:
        """A filter: what has ``subject`` in its subject goes into ``folder``."""
        self._begin(name)
        self._type_subject(subject)
        self._form.locator(".actionrow select[name^=_action_mailbox]").select_option(label=folder)
        self._save("Filter saved successfully.")

    def change_subject(self, name: str, subject: str) -> None:
        self._open(name)
        self._type_subject(subject)
        self._save("Filter saved successfully.")

    def switch(self, name: str) -> None:
        """On or off."""
        self._open(name)
        self._form.locator("label.custom-control-label[for=fenabled]").click()
        self._save("Filter saved successfully.")

    def delete(self, name: str) -> None:
        self._open(name)
        self.page.locator("a.delete:visible").click()
        self.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(self._row(name)).to_have_count(0)
        self.settled()

    def try_to_mark(self, name: str, flag: str) -> str:
        """What the window says to a filter that gives every message a flag which the server does not let it give."""
        self._begin(name)
        self._form.locator("#_join").select_option("any")
        self._form.locator(".actionrow select[name^=_action_type]").select_option("addflag")
        self._form.locator(".actionrow label:visible").filter(has_text=flag).click()
        return self._refused()

    def try_to_write(self, script: str) -> tuple[str, list[str]]:
        """What the window says to a script that is wrong, and the lines that it marks."""
        self.page.locator("#layout-list").get_by_role("button", name="Actions").click()
        self.page.locator(".popover:visible a.edit").click()
        editor = self._form.locator(".CodeMirror")
        editor.evaluate("(one, script) => one.CodeMirror.setValue(script)", script)
        said = self._refused()
        marked = editor.locator(".line-error").locator("xpath=..").locator("pre")
        expect(marked.first).to_be_visible()
        return said, marked.all_inner_texts()

    def settled(self) -> None:
        """The page listens to clicks, and nothing that was asked of the server is still to come."""
        self.page.wait_for_function(
            "() => document.readyState === 'complete' && window.rcmail && rcmail.loaded && !rcmail.busy"
            " && !document.querySelector('#messagestack .loading')"
        )

    @property
    def _form(self) -> FrameLocator:
        return self.page.frame_locator("iframe[name=filter-box]")

    def _begin(self, name: str) -> None:
        self.page.locator("a.create:visible").click()
        self._form_shows("")
        self._form.locator("#_name").fill(name)

    def _open(self, name: str) -> None:
        self._row(name).click()
        self._form_shows(name)

    def _form_shows(self, name: str) -> None:
        expect(self._form.locator("#_name")).to_have_value(name)
        expect(self._form.locator("#rules .multi-input").first).to_be_attached()  # its script has come to it, too

    def _row(self, name: str) -> Locator:
        return self.page.locator("#filterslist tbody tr").filter(has_text=name)

    def _type_subject(self, subject: str) -> None:
        self._form.locator("#rules .rulerow .multi-input:visible input").first.fill(subject)

    def _save(self, answer: str) -> None:
        self._form.get_by_role("button", name="Save").click()
        expect(self.page.locator("#messagestack")).to_contain_text(answer)
        self.settled()
        self.page.locator("#messagestack > div").first.click()  # away with it: the next one must be seen to come
        expect(self.page.locator("#messagestack")).to_have_text("")

    def _refused(self) -> str:
        self._form.get_by_role("button", name="Save").click()
        error = self.page.locator("#messagestack .error, #messagestack .alert-danger").first
        expect(error).to_be_visible()
        self.settled()
        return error.inner_text()
