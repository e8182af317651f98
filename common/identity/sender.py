"""The network address that a request came from, decided here for every use: sign-in, forms, tokens and logs.

Sources: `REMOTE_ADDR` where nothing of ours stands in front, else the entry of `X-Forwarded-For` that the outermost of
`PROXY_HOPS` own proxies wrote. Everything to the left of that entry the sender wrote.
"""

import contextlib
import os
import socket
import stat
from ipaddress import IPv6Address, IPv6Network, ip_address
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from common.errors import SenderUnknown


def sender_of(request: HttpRequest) -> str:
    """The sender's address, as far as our own proxies vouch for it; empty where none does.

    An IPv4 address, or the /64 of an IPv6 address, which one household has to itself. A proxy's own address is never
    returned for an entry that is missing: it would make everybody one sender.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.PROXY_HOPS:
        hops = request.headers.get("X-Forwarded-For", "").split(",")
        address = hops[-settings.PROXY_HOPS] if len(hops) >= settings.PROXY_HOPS else ""
    try:
        sender = ip_address(_without_port(address.strip()))
    except ValueError:
        return ""
    if isinstance(sender, IPv6Address):
        return str(sender.ipv4_mapped or IPv6Network((int(sender), 64), strict=False))
    return str(sender)


def known_sender_of(request: HttpRequest) -> str:
    """The sender's address, for what must not be shared by strangers. Raises SenderUnknown."""
    sender = sender_of(request)
    if not sender:
        raise SenderUnknown(
            "The portal cannot tell from which address this request comes, so sign-in is impossible."
            " Its operator has to correct PROXY_HOPS."
        )
    return sender


def pseudonym(sender: str) -> str:
    """The same 16 characters for the same sender, for logs: an address would be personal data. Empty for none."""
    return salted_hmac(__name__, sender, algorithm="sha256").hexdigest()[:16] if sender else ""


def _without_port(address: str) -> str:
    """Some proxies write `192.0.2.1:4711` or `[2001:db8::1]:4711`."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    host, _, port = address.partition(":")
    return host if port.isdecimal() and "." in host else address


# --- Before the start ---------------------------------------------------------------------------


def misconfigured() -> str:
    """The sentence that says why senders cannot be told apart with these settings; empty where they can."""
    if settings.SECURE_PROXY_SSL_HEADER and not settings.PROXY_HOPS:
        return (
            "BEHIND_TLS_PROXY is true and PROXY_HOPS is 0: every request would come from the proxy's address."
            " Set PROXY_HOPS to the number of your own proxies that append to X-Forwarded-For."
        )
    return ""


def misplaced() -> str:
    """The sentence that says why this web server cannot tell senders apart; empty where it can.

    In development a person reaches a server on loopback from the same machine; in production a proxy does.
    """
    if settings.PROXY_HOPS:
        return ""
    listens = _addresses()
    if not listens:
        return ""
    if listens == {UNIX}:
        return (
            "The web server listens on a unix socket, so something stands in front of it, and PROXY_HOPS is 0:"
            " no request would have an address. Set BEHIND_TLS_PROXY=true, or PROXY_HOPS to the number of your own"
            " proxies that append to X-Forwarded-For."
        )
    if not settings.DEVELOPMENT and all(at == UNIX or _is_loopback(at) for at in listens):
        return (
            "The web server listens on loopback only, so something stands in front of it, and PROXY_HOPS is 0:"
            " every request would come from 127.0.0.1, and five wrong passwords would delay everybody."
            " Set BEHIND_TLS_PROXY=true, or PROXY_HOPS to the number of your own proxies that append to"
            " X-Forwarded-For."
        )
    return ""


UNIX = "unix"
"""Stands for the address of a unix socket."""


def _is_loopback(address: str) -> bool:
    found = ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _addresses() -> set[str]:
    """The addresses on which this process listens. Where there is no /proc, they are not known: none."""
    addresses = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        number = int(descriptor.name)
        # The descriptor that lists this directory is among them, and closed by now.
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as one:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    is_unix = one.family == socket.AF_UNIX
                    addresses.add(UNIX if is_unix else one.getsockname()[0])
    return addresses
