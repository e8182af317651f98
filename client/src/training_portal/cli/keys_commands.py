"""`keys`: the key that signs receipts."""

import click

from training_portal.cli.saying import Out, says


@click.group("keys")
def keys_command() -> None:
    """The key that signs your receipts: it is made on this machine and does not leave it."""


@keys_command.command("list")
@says
def _list(out: Out) -> None:
    """Your keys at the portal, and which of them is on this machine."""
    from training_portal import keys, receipts
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        own = keys.load(portal.settings.state)
        here = receipts.keyid(own.public_key()) if own else ""
        found = keys.registered(portal.session)
    lines = []
    for one in found:
        state = f"ended {one['ended_at']}" if one["ended_at"] else "in use"
        mark = ", on this machine" if one["fingerprint"] == here else ""
        lines.append(f"{one['fingerprint']}  {one['name']} ({state}{mark})")
    known = here in {one["fingerprint"] for one in found}
    if here and not known:
        lines.append(f"{here}  on this machine, not registered: training-portal keys register")
    out.show({"here": here, "registered": found}, *(lines or ["There is no key yet."]))


@keys_command.command("register")
@click.option("--name", default="training-portal", help="What signs with it.")
@says
def _register(out: Out, name: str) -> None:
    """Make a key where there is none, and make it known to the portal for your account."""
    from training_portal import keys
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        key = keys.load_or_make(portal.settings.state)
        fingerprint = keys.register(portal.session, key, name)
    out.show({"fingerprint": fingerprint}, f"Receipts are signed with {fingerprint}.")


@keys_command.command("new")
@click.option("--name", default="training-portal", help="What signs with it.")
@says
def _new(out: Out, name: str) -> None:
    """End the key of this machine, if there is one, and put another one in its place."""
    from training_portal import keys
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        _end_own(portal)
        key = keys.load_or_make(portal.settings.state)
        fingerprint = keys.register(portal.session, key, name)
    out.show({"fingerprint": fingerprint}, f"Receipts are signed with {fingerprint} from now on.")


@keys_command.command("end")
@click.argument("fingerprint", required=False)
@says
def _end(out: Out, fingerprint: str | None) -> None:
    """End a key of yours: the one of this machine, or FINGERPRINT. What it signed before still verifies."""
    from training_portal import keys
    from training_portal.runs import Portal

    with Portal.from_environment(progress=out.progress) as portal:
        if fingerprint:
            keys.end(portal.session, fingerprint)
        else:
            fingerprint = _end_own(portal)
    words = f"{fingerprint} has ended." if fingerprint else "There is no key on this machine."
    out.show({"fingerprint": fingerprint}, words)


def _end_own(portal: object) -> str:
    from training_portal import keys, receipts
    from training_portal.runs import Portal

    assert isinstance(portal, Portal)
    own = keys.load(portal.settings.state)
    if own is None:
        return ""
    fingerprint = receipts.keyid(own.public_key())
    if any(one["fingerprint"] == fingerprint for one in keys.registered(portal.session)):
        keys.end(portal.session, fingerprint)
    keys.forget(portal.settings.state)
    return fingerprint
