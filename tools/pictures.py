"""`make pictures`: the README's pictures, taken with Chromium of a demo of its own.

    python -m tools.pictures

The members and letters on them are synthetic. The captions in the README name parts of the pages; a browser test looks
whether the pages still have them (`portal/tests/test_browser.py`).
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from common.processes import children
from tools.chromium import CHROMIUM, FLAGS

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
MAX_BYTES = 150_000
"""A picture is part of the repository's history for good."""
MEMBERS = 20_000
START_SECONDS = 60
COLOURS = 128
"""The pages have fewer; the rest is the soft edge of letters."""
MARGIN = 12
WIDTH = 1280


def captions() -> dict[str, list[str]]:
    """Which parts of its page each picture's caption in the README names, by the picture's name."""
    rows = [
        line.strip("| ").split(" | ")
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    (at,) = [at for at, row in enumerate(rows) if "(docs/pictures/" in row[0]]
    names = [re.sub(r".*\(docs/pictures/([\w-]+)\.png\)", r"\1", cell) for cell in rows[at]]
    return {
        name: re.findall(r"\*(.+?)\*", caption)
        for name, caption in zip(names, rows[at + 1], strict=True)
    }


def part_of(page: Page, name: str) -> Locator:
    """A part of a page, by its heading."""
    return page.get_by_role("heading", name=name, exact=True)


def main() -> int:
    if CHROMIUM is None:
        print("There is no Chromium: apt-get install chromium", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="portal-pictures-") as directory:
        environment = {"DEMO_DATA_DIR": directory}
        print(f"Playing the demo on {MEMBERS:,} members.")
        subprocess.run(
            [sys.executable, "-m", "demo", "--members", str(MEMBERS)],
            cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        with socket.create_server(("127.0.0.1", 0)) as probe:
            bind = f"127.0.0.1:{probe.getsockname()[1]}"
        with (Path(directory) / "served.log").open("wb") as log:
            portal = children.start(
                [sys.executable, "-m", "demo.portal", "--bind", bind], env=environment, output=log
            )
        try:
            _wait_for(f"http://{bind}/readyz")
            _take(f"http://{bind}", _passwords(Path(directory) / "logins.txt"))
        finally:
            children.stop(portal, patience=40)
    return 0


def _wait_for(url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310  our own address
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def _passwords(logins: Path) -> dict[str, str]:
    return dict(line.split()[:2] for line in logins.read_text().splitlines())


def _take(address: str, passwords: dict[str, str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = _signed_in(browser, address, "olga", passwords)
        page.goto(f"{address}/admin/objections/ticket/?queue=mine")
        ticket = page.get_by_role("row").filter(has_text=re.compile(r"days? left"))
        _open(ticket.filter(has_text="in review").filter(has_not_text="not verified"))
        _keep(page, "ticket", from_top=True)
        page = _signed_in(browser, address, "emil", passwords)
        page.goto(f"{address}/admin/training_runs/run/")
        _open(page.get_by_role("row").filter(has_text="completed"))
        _keep(page, "run", from_top=False)
        browser.close()


def _signed_in(browser: Browser, address: str, username: str, passwords: dict[str, str]) -> Page:
    page = browser.new_context(viewport={"width": WIDTH, "height": 900}).new_page()
    page.goto(f"{address}/admin/login/")
    page.fill("[name=username]", username)
    page.fill("[name=password]", passwords[username])
    page.click("[type=submit]")
    return page


def _open(rows: Locator) -> None:
    rows.first.get_by_role("link").first.click()


def _keep(page: Page, name: str, *, from_top: bool) -> None:
    """The page, cut to the parts that the caption names; with all above them, if asked."""
    boxes = []
    for part in captions()[name]:
        # The panel around the heading.
        box = part_of(page, part).locator("..").bounding_box()
        assert box is not None, part
        boxes.append(box)
    top = 0 if from_top else min(box["y"] for box in boxes) - MARGIN
    bottom = max(box["y"] + box["height"] for box in boxes) + MARGIN
    path = PICTURES / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    taken = page.screenshot(
        full_page=True, clip={"x": 0, "y": top, "width": WIDTH, "height": bottom - top}
    )
    picture = Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS)
    picture.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    if path.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{path.name} has more than {MAX_BYTES:,} bytes.")


if __name__ == "__main__":
    sys.exit(main())
