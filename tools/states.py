"""`make states`: docs/reference/states.md, drawn from the maps of states in the code.

    python -m tools.states

A test compares the page with the code, so that no move is added or removed without it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from django.db.models import TextChoices

from objections import choices as objections
from training_runs import choices as training_runs

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "states.md"

HEAD = """# States

`make states` draws this page from the maps in the code, and a test holds it to them. A move that is not here is refused.
"""
TICKET = """
## A ticket

A closed ticket is not reopened: a new objection opens a new one, and restricts again. A state alone never admits a
member; the outcome's letter does, once it is sent.
"""
ABUSE = """
A ticket that was set aside as part of a flood may go from any open state to `{state}`, closed as abuse:
by two people, and without a letter.
"""
REDACTION = """
## An entry of the redaction list

It holds while an objection of a person without an account restricts or is upheld. Ended, it has no values; it holds again
when the letter that ended the restriction came back, and never after its person had the values erased.
"""
RUN = """
## A run

A run gets its manifest when it becomes `frozen`; only a manifest that verifies can be used.
"""


def page() -> str:
    """The whole page."""
    return "".join(
        [
            HEAD,
            TICKET,
            *_drawn(objections.TicketState, objections.NEXT_STATES),
            ABUSE.format(state=objections.AS_ABUSE.value),
            REDACTION,
            *_drawn(objections.RedactionState, objections.NEXT_REDACTION_STATES),
            RUN,
            *_drawn(training_runs.RunState, training_runs.NEXT_STATES),
        ]
    )


def _drawn(states: type[TextChoices], moves: Mapping[str, Iterable[str]]) -> Iterable[str]:
    """A table of the moves, and a diagram for readers whose pages draw Mermaid."""
    yield "\n| state | in words | may become |\n|---|---|---|\n"
    for state in states:
        after = [f"`{other.value}`" for other in states if other in moves[state]]
        yield f"| `{state.value}` | {state.label} | {', '.join(after) or 'final'} |\n"
    yield "\n```mermaid\nstateDiagram-v2\n"
    yield f"    [*] --> {next(iter(states)).value}\n"
    for state in states:
        yield from (
            f"    {state.value} --> {other.value}\n" for other in states if other in moves[state]
        )
        if not moves[state]:
            yield f"    {state.value} --> [*]\n"
    yield "```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
