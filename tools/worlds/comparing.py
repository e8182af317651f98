"""The comparison: what the portal and the naive evaluator say differently, in lines that a person can read."""

from tools.worlds import histories, naive


def differences(
    world: histories.World,
    manifests: naive.Manifests,
    incidents: naive.Incidents,
) -> list[str]:
    """One line for each member about whom the two differ; none where they agree."""
    owed_manifests, owed = naive.judge(world)
    found = []
    for frozen, expected in owed_manifests.items():
        for number, reasons in expected.items():
            if frozen not in manifests:
                # The portal starts no run that has no member in.
                if not reasons:
                    found.append(f"run of act {frozen}, member {number}: not started, and in")
                continue
            said = manifests[frozen][number]
            if said != reasons:
                found.append(
                    f"manifest of act {frozen}, member {number}: the portal says {said or 'in'},"
                    f" the evaluator {reasons or 'in'}"
                )
    for frozen, cause, code in sorted({*owed, *incidents}):
        key = (frozen, cause, code)
        said_by_portal, said_here = set(incidents.get(key, [])), set(owed.get(key, []))
        for number in sorted(said_by_portal ^ said_here):
            who = "the portal" if number in said_by_portal else "the evaluator"
            found.append(
                f"manifest of act {frozen}, cause act {cause}, {code}: only {who} owes member {number}"
            )
    return found


def told(world: histories.World, found: list[str]) -> str:
    """The differences, with the history of the first member named."""
    lines = [f"world {world.seed}: {len(found)} differences", *found[:10]]
    number = int("".join(c for c in found[0].split("member ")[1].split(":")[0] if c.isdigit()))
    lines.append(f"member {number}: {world.members[number]}")
    for place, act in enumerate(world.acts):
        shown: object = act
        if isinstance(act, histories.Decided):
            shown = [one for one in act.decisions if one.member == number]
        elif isinstance(act, histories.Reported):
            shown = [said for one, said in act.members if one == number]
        elif isinstance(act, histories.Objected) and act.member != number:
            shown = None
        if shown:
            lines.append(f"  {place} at {act.at:%Y-%m-%d %H:%M:%S}: {shown}")
    return "\n".join(lines)
