"""One session with the portal: it waits and tries again where that helps, and turns refusals into errors that say what to do."""

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from platform import python_version
from typing import Any, NoReturn, TypeVar

import httpx

from training_portal.errors import LeaseOver, Misuse, NotVerified, PortalError, Refused, TryAgain
from training_portal.settings import Settings
from training_portal.version import __version__

T = TypeVar("T")
WARN_DAYS = 14
"""Days before a token's end from which on its user is warned."""
_BLOCK = 1 << 20
_TIMEOUT = httpx.Timeout(30, connect=10)
_LONGEST_PAUSE = 8.0
_LONGEST_FAULT = 120.0
_PASSING = frozenset({429, 502, 503, 504})
_SOON = frozenset({"delivery_not_ready", "manifest_not_ready", "account_map_not_ready", "no_proof"})
"""Refusals of now that a worker ends; who waits for it asks again itself."""

_INVALID = frozenset({400, 404, 405, 412, 413, 415, 422})
_RULES = frozenset({"tracker_id_reused"})
"""Codes of rules whose status is one of these all the same."""
_REMEDIES = {
    "no_proof": "The portal signs every few minutes; where it does not, tell its operator.",
    "token_expired": "An administrator issues a new token; in its last 30 days you renew it yourself.",
    "scope_missing": "Ask an administrator for a token with this scope.",
    "not_your_run": "Ask the people of that team, or register a run of your own.",
    "unmatched_objections": "Once they are accepted: training-portal run … --accept-unmatched.",
    "start_refused": "Each reason names a gap: privacy officers propose the notice or rule that is missing.",
    "assessment_missing": "Write it on the run's page or by POST /runs/RUN/assessments; a privacy officer approves it.",
    "assessment_waiting": "Ask a privacy officer to decide on it, then start again.",
    "tracker_id_reused": "Take another id, or the same purpose and categories as the run that has it.",
    "no_valid_delivery": "Request a delivery: training-portal fetch RUN.",
    "digest_mismatch": "Something else than the delivered was used: prepare again. The portal keeps a finding.",
    "forbidden_move": "The state of the run does not allow it: training-portal status RUN shows it.",
    "run_completed": "Using its data again is a run of its own, with it as parent.",
    "manifest_blocked": "The manifest does not verify: tell the operator, and use nothing of it.",
}


@dataclass(frozen=True)
class Answer:
    """An answer of the portal with a status below 400."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise TryAgain(
                "The answer is no JSON: something else than the portal answers."
            ) from None

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Session:
    """Requests with one token. Threads may share it. Close it, or use it as a context manager.

    A fault that passes (the network, 429, 503) is tried again for two minutes, or as long as the settings' patience lasts.
    `warn` takes a sentence for people.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        warn: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self._patience = min(settings.patience, _LONGEST_FAULT)
        self._warn = warn
        self._warned = False
        self._behind = dt.timedelta()
        verify: Any = True
        if settings.ca is not None:
            import ssl

            verify = ssl.create_default_context(cafile=str(settings.ca))
        self._client = httpx.Client(
            base_url=f"{settings.url}/api/v1/",
            headers={
                "Authorization": f"Bearer {settings.token}",
                "User-Agent": f"training-portal/{__version__} (python {python_version()})",
                "Accept": "application/json",
            },
            verify=verify,
            timeout=_TIMEOUT,
            # A redirect would carry the token elsewhere.
            follow_redirects=False,
        )

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._client.close()

    def now(self) -> dt.datetime:
        """The later one of this machine's time and the portal's, as its last answer had it."""
        return dt.datetime.now(dt.UTC) + max(self._behind, dt.timedelta())

    def get(
        self,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        etag: str = "",
        wait: int = 0,
    ) -> Answer:
        """`etag` of what the caller has: 304 while it is the same. `wait` are the seconds the portal may wait for news."""
        headers = {"If-None-Match": etag} if etag else {}
        asked = {**(params or {}), **({"wait": wait} if wait else {})}
        return self._ask("GET", path, params=asked, headers=headers, longer=wait)

    def post(self, path: str, body: Any = None, *, is_repeatable: bool = True) -> Answer:
        """`is_repeatable`: the portal takes the same request again without doing it twice.

        One that is not is sent again only where it certainly was not heard.
        """
        return self._ask("POST", path, json=body or {}, is_repeatable=is_repeatable)

    def delete(self, path: str) -> Answer:
        return self._ask("DELETE", path)

    def pages(self, path: str) -> Iterator[Any]:
        """Every result of a list, page by page."""
        answer = self.get(path, params={"page_size": 500}).json
        yield from answer["results"]
        while answer["next"]:
            answer = self.following(answer["next"], path).json
            yield from answer["results"]

    def following(self, address: str, path: str) -> Answer:
        """The next page of a list. Only its query counts: the host in it is what the portal believes it is called."""
        return self.get(path, params=dict(httpx.URL(address).params))

    def download(
        self,
        path: str,
        to: Path,
        *,
        digest: str,
        size: int | None = None,
        progress: Callable[[int, int], None] = lambda done, size: None,
    ) -> None:
        """Bring a file to `to`, which may hold the first part of it already, and check its SHA-256.

        Where the whole is not what it has to be, the file is brought once more from its beginning. Raises NotVerified
        when it is not then either; nothing is left at `to`.
        """
        for _ in range(2):
            self._fill(path, to, digest, size, progress)
            if _digest_of(to) == digest:
                return
            to.unlink()
        raise NotVerified(
            f"{path.rpartition('/')[2]} does not have the SHA-256 that it has to have."
        )

    # --- One request ----------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, *, is_repeatable: bool = True, longer: float = 0, **what: Any
    ) -> Answer:
        if longer:
            what["timeout"] = httpx.Timeout(30 + longer, connect=10)
        return self._patiently(lambda: self._once(method, path, **what), is_repeatable)

    def _once(self, method: str, path: str, **what: Any) -> Answer:
        response = self._client.request(method, path, **what)
        self._look_at(response)
        if response.status_code >= 400 or response.has_redirect_location:
            refuse(response.status_code, response.content, response.headers)
        return Answer(response.status_code, response.content, response.headers)

    def _patiently(self, do: Callable[[], T], is_repeatable: bool = True) -> T:
        """Do it, and again while the fault is one that passes and patience lasts."""
        until = time.monotonic() + self._patience
        tries = 0
        while True:
            try:
                return do()
            except httpx.TransportError as error:
                is_unheard = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                failure = TryAgain(
                    f"The portal does not answer ({_fault(error)}).",
                    "Look at PORTAL_URL and the network, and try again.",
                    code="no_answer",
                )
                if not (is_repeatable or is_unheard):
                    raise failure from None
            except TryAgain as error:
                failure = error
                if failure.code in _SOON:
                    raise
            tries += 1
            pause = min(_LONGEST_PAUSE, 0.25 * 2**tries) * (0.5 + random.random() / 2)  # noqa: S311  no secret
            if failure.retry_after is not None:
                pause = max(pause, failure.retry_after)
            if time.monotonic() + pause > until:
                raise failure
            time.sleep(pause)

    def _fill(
        self,
        path: str,
        to: Path,
        digest: str,
        size: int | None,
        progress: Callable[[int, int], None],
    ) -> None:
        def attempt() -> None:
            have = to.stat().st_size if to.exists() else 0
            if size is not None and have >= size:
                if have > size:
                    to.unlink()
                    have = 0
                else:
                    return
            headers = {"Accept-Encoding": "identity"}
            if have:
                headers |= {"Range": f"bytes={have}-", "If-Range": f'"{digest}"'}
            with self._client.stream("GET", path, headers=headers) as response:
                self._look_at(response)
                if response.status_code == 416:
                    to.unlink(missing_ok=True)
                    raise TryAgain("The file has fewer bytes than there are here already.")
                if response.status_code >= 400 or response.has_redirect_location:
                    refuse(response.status_code, response.read(), response.headers)
                resumes = response.status_code == 206
                done = have if resumes else 0
                whole = done + int(response.headers.get("Content-Length", "0"))
                with to.open("ab" if resumes else "wb") as file:
                    # As it comes: what was received before a break is kept.
                    for block in response.iter_raw():
                        file.write(block)
                        done += len(block)
                        if size is not None and done > size:
                            raise NotVerified("The portal sends more bytes than the ledger seals.")
                        progress(done, whole)

        try:
            self._patiently(attempt)
        except OSError as error:
            raise Misuse(
                f"{to.parent} takes no more: {error.strerror}.",
                "Make room, or set PORTAL_CACHE to another disk; what is there already is resumed.",
                code="disk",
            ) from None

    def _look_at(self, response: httpx.Response) -> None:
        """The portal's time, and the end of the token."""
        date = response.headers.get("Date")
        if date:
            from email.utils import parsedate_to_datetime

            try:
                self._behind = parsedate_to_datetime(date) - dt.datetime.now(dt.UTC)
            except (ValueError, TypeError):
                self._behind = dt.timedelta()
        ends = response.headers.get("Token-Expires")
        if ends and not self._warned:
            try:
                left = dt.datetime.fromisoformat(ends) - self.now()
            except (ValueError, TypeError):
                return
            if left < dt.timedelta(days=WARN_DAYS):
                self._warned = True
                days = max(left.days, 0)
                self._warn(
                    f"The token ends in {days} days, on {ends[:10]}: renew it (POST /api/v1/me/token/renewals)."
                )


def refuse(status: int, body: bytes, headers: Mapping[str, str]) -> NoReturn:
    """Raise the error that an answer of 400 and more (or a redirect) stands for."""
    try:
        said = json.loads(body)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    code = str(said.get("code", ""))
    sentence = " ".join([str(said.get("detail", "")), *_details(said)]).strip()
    raise _error(status, code, sentence or f"The portal answered {status}.", headers)


def _error(status: int, code: str, sentence: str, headers: Mapping[str, str]) -> PortalError:
    remedy = _REMEDIES.get(code, "")
    if status in _PASSING or status >= 500 or code in _SOON:
        return TryAgain(sentence, remedy, code=code or "busy", retry_after=_seconds(headers))
    if 300 <= status < 400:
        sentence, remedy = "The address leads elsewhere.", "PORTAL_URL is where the portal answers."
        return Misuse(sentence, remedy, code="redirect")
    if code == "lease_over":
        return LeaseOver(sentence, "Renew it: training-portal fetch RUN.")
    if status in _INVALID and code not in _RULES:
        return Misuse(sentence, remedy, code=code or "invalid")
    if status == 401:
        remedy = remedy or "The token is wrong or was revoked: look at PORTAL_TOKEN."
        code = code or "not_authenticated"
    return Refused(sentence, remedy, code=code, status=status)


def _details(said: Mapping[str, Any]) -> list[str]:
    """The sentences of the parts: fields that are wrong, gaps that refuse a start."""
    found = []
    for one in said.get("errors") or ():
        found.append(f"{one.get('field', '')}: {one.get('detail', '')}")
    for one in said.get("reasons") or ():
        found.append(str(one.get("detail") or one.get("sentence") or one.get("code") or one))
    return found


def _seconds(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else None


def _fault(error: httpx.TransportError) -> str:
    return type(error).__name__


def _digest_of(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
