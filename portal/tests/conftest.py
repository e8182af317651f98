"""Say loudly when tests could not run for want of a program: a skipped line among hundreds is overlooked."""

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
    if any(
        "NGINX IS MISSING" in str(report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
    ):
        terminalreporter.section("NGINX IS MISSING", red=True, bold=True)
        terminalreporter.write_line(
            "The production recipe was not run: who sent a request, and the delay of failed sign-ins, are NOT checked"
            " through a proxy. Install it: apt-get install nginx-light"
        )
