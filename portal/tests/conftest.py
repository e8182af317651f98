"""Say loudly when the browser tests could not run: a skipped line among hundreds is overlooked."""

import shutil
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if any(
        "CHROMIUM IS MISSING" in str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    ):
        terminalreporter.section("CHROMIUM IS MISSING", red=True, bold=True)
        terminalreporter.write_line(
            f"No page was opened in a browser (chromium found: {shutil.which('chromium')})."
            " Content security policy, accessibility and the journeys are NOT checked."
        )
