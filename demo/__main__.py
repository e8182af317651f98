"""`make demo`: the whole story on synthetic members, from an empty directory to verified manifests."""

import argparse
import datetime as dt
import itertools
import signal
import sys
import time

from demo import audit, population, stage, story
from demo.client import Client
from demo.switching import Switching

MEMBERS = 200_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--members", type=int, default=MEMBERS)
    options = parser.parse_args()
    # Ends as Ctrl-C does: everything that was started is stopped on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()

    def say(sentence: str) -> None:
        """A line, with the seconds since the beginning; a new paragraph begins with an empty one."""
        if sentence.startswith("\n"):
            print()
        print(f"{time.monotonic() - began:6.1f} s  {sentence.lstrip(chr(10))}", flush=True)

    with stage.only_demo():
        say(f"Preparing an empty portal on SQLite in {stage.DATA_DIR}.")
        stage.empty_portal()
        stage.invite_people()
        people = list(population.members(options.members, today=dt.date.today()))
        say(f"Importing {len(people):,} synthetic members, as if four months ago.")
        tickets = stage.play_past(people, say=say)
        say(f"  {tickets} tickets were filed and worked; now the clock is the real one again.")
        tokens = stage.issue_tokens()
        say(f"An auditor keeps the checkpoint over the first {audit.keep_checkpoint():,} entries.")
        say("Starting broker, worker and web server.")
        with stage.served() as address:
            say(f"The portal answers at http://{address[0]}:{address[1]}/.")
            switchers = people[: len(people) // 10]
            onlooker, latecomer, leaver = itertools.islice(
                filter(is_eligible, people[len(switchers) :]), 3
            )
            told = story.Story(
                product=Client(address, tokens.product),
                trainer=Client(address, tokens.trainer),
                switching=Switching(
                    Client(address, tokens.product),
                    [person.account_ref for person in switchers],
                    seed=1,
                ),
                onlooker=onlooker.account_ref,
                leaver=leaver.account_ref,
                load_rules=stage.load_rules,
                say=say,
            )
            told.tell()
            late, incidents = stage.late_post(latecomer.account_ref)
            say(
                f"An objection on paper is found that reached us before the runs: {late} is the cause of incidents."
            )
            for line in incidents:
                say(f"  {line}.")
    print("\n" + "\n".join(story.table(told.runs)))
    print(
        "\nEvery run also leaves out one test account for each reason, which proves that the rule works."
    )
    print("\nThe objection desk, after four months that were played at high speed:\n")
    print("\n".join(f"  {line}" for line in stage.desk_table()) + "\n")
    if not all(run.verified for run in told.runs):
        print("A MANIFEST DOES NOT VERIFY.")
        return 1
    print("\n".join(stage.verify_ledger()) + "\n")
    print("The auditor exports the ledger and checks it with plain Python, outsider/verify.py:\n")
    if not audit.audit(say=print):
        print("THE EXPORT DOES NOT VERIFY.")
        return 1
    print()
    print(
        f"all manifests verified, after {time.monotonic() - began:.0f} seconds; nothing is left running."
    )
    print("\nLook at it: `make run`, then http://127.0.0.1:8000/ as one of (for this trial only)\n")
    print((stage.DATA_DIR / stage.LOGINS).read_text())
    print(
        "olga and otto have the queue of tickets and the desk's figures before them; the letters are stored in"
        f"\n{stage.DATA_DIR / 'mail'}. `make run` also prints a link to a member's setting page, and the"
        "\nobjection form is at http://127.0.0.1:8000/objection/. ada's start page says what was checked last;"
        f"\nher export and the checkpoint she kept are in {stage.DATA_DIR}."
    )
    return 0


def is_eligible(person: population.Person) -> bool:
    """An adult in a country that every date of the timeline allows."""
    return person.country == "US" and person.status == "open" and "" < person.birth_date < "2000"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started has been stopped.", file=sys.stderr)
        sys.exit(130)
