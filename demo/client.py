"""A caller of the portal's API, as a product or a training pipeline would write one."""

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

from common.text import strict_json


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return strict_json.read(self.body)

    @property
    def lines(self) -> list[Any]:
        """An NDJSON body."""
        return [strict_json.read(line) for line in self.body.splitlines() if line]


class UnexpectedAnswer(Exception):
    """The portal answered something else than the story needs."""


class Client:
    """One connection with one token. Not to be shared between threads."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=60)
        self._token = token

    def get(self, path: str, *, expect: int = 200) -> Answer:
        return self._ask("GET", path, None, "", expect)

    def post(self, path: str, body: Any = None, *, expect: int = 200) -> Answer:
        return self._ask("POST", path, json.dumps(body or {}).encode(), "application/json", expect)

    def post_lines(self, path: str, lines: list[Any]) -> Answer:
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        return self._ask("POST", path, data, "application/x-ndjson", 200)

    def _ask(
        self, method: str, path: str, data: bytes | None, content_type: str, expect: int
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"}
        if content_type:
            headers["Content-Type"] = content_type
        try:
            response = self._send(method, path, data, headers)
        except ConnectionError:
            # The server may close an idle connection; every request here may be sent twice.
            self._connection.close()
            response = self._send(method, path, data, headers)
        answer = Answer(response.status, response.read(), dict(response.getheaders()))
        if answer.status != expect:
            raise UnexpectedAnswer(
                f"{method} {path}: {answer.status} instead of {expect}: {answer.body[:500]!r}"
            )
        return answer

    def _send(
        self, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> http.client.HTTPResponse:
        self._connection.request(method, f"/api/v1/{path}", data, headers)
        return self._connection.getresponse()
