"""People in front of a real browser, and what is wrong with a page they look at: for tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tools.chromium import CHROMIUM, FLAGS

in_a_browser = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="CHROMIUM IS MISSING: no page was opened in a browser. Install it: apt-get install chromium",
    ),
]
"""The marks of a module whose tests drive a browser."""

# Reported by the page itself, so that a breach is seen whatever the browser logs.
REPORT_BREACHES = """
window.breaches = [];
document.addEventListener("securitypolicyviolation", event =>
    window.breaches.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

# Only what a test reads travels back. Nothing is fetched first: a stylesheet's rules as text are wanted by none of
# the rules that are on, and no page plays anything.
RUN_AXE = """async only => {
    const options = {resultTypes: ["violations"], preload: false, ...(only && {runOnly: only})};
    const {violations} = await axe.run(document, options);
    return violations.map(one => `${one.id}: ${one.nodes.slice(0, 4).map(node => node.target).join(", ")}`);
}"""

TELEPHONE: ViewportSize = {"width": 375, "height": 800}


@dataclass
class Visitor:
    """A person in front of a browser."""

    context: BrowserContext
    page: Page
    address: str
    errors: list[str] = field(default_factory=list)
    """Errors that the browser logged."""

    def open(self, name: str, *args: Any) -> Page:
        self.page.goto(self.address + reverse(name, args=args))
        return self.page

    def faults_of(self, path: str) -> list[str]:
        """Faults of the page at a path."""
        self.page.goto(self.address + path)
        return self.faults_here()

    def faults_here(self) -> list[str]:
        """Faults of the page that is open: what the browser logs as an error
        (an answer that is none, a breach of the policy), axe's violations in light and in dark,
        and a page that is wider than a telephone."""
        # First of all: what axe does to the page is not the page's.
        breaches = [*self.page.evaluate("window.breaches"), *self.errors]
        self.errors.clear()
        self.page.evaluate(AXE_SCRIPT)
        light = self.page.evaluate(RUN_AXE)
        # Nothing but colours differs in the dark.
        self.page.emulate_media(color_scheme="dark")
        dark = self.page.evaluate(RUN_AXE, ["color-contrast"])
        self.page.emulate_media(color_scheme="light")
        return [*breaches, *light, *(f"in the dark: {one}" for one in dark), *self._sideways()]

    def _sideways(self) -> list[str]:
        # WCAG 2.2, 1.4.10 (reflow): without scrolling in two directions. Wide tables scroll in a region of their own.
        desk = self.page.viewport_size
        assert desk is not None
        self.page.set_viewport_size(TELEPHONE)
        width = self.page.evaluate("document.documentElement.scrollWidth")
        self.page.set_viewport_size(desk)
        return [f"{width} px wide on a telephone"] if width > TELEPHONE["width"] else []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, live_server: Any) -> Iterator[Callable[..., Visitor]]:
    """`visit(user)` is that user, logged in, in a browser of their own; `visit(None)` is a visitor without an account."""
    contexts = []

    def enter(user: User | None, **options: Any) -> Visitor:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user)
            session = client.cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        context.add_init_script(REPORT_BREACHES)
        visitor = Visitor(context, context.new_page(), live_server.url)
        visitor.page.on(
            "console",
            lambda message: (
                visitor.errors.append(message.text) if message.type == "error" else None
            ),
        )
        return visitor

    yield enter
    for context in contexts:
        context.close()
