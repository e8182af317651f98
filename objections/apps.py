import datetime as dt

from django.apps import AppConfig

# The mailer comes by every 20 seconds; a letter older than this waits for people.
LONGEST_WAIT = dt.timedelta(hours=6)


class ObjectionsConfig(AppConfig):
    name = "objections"
    verbose_name = "Objections"

    def ready(self) -> None:
        from consent import members
        from objections import intake, retention, sent_back

        # Its panel and its part of the digest come with the import.
        assert sent_back

        members.on_erasure(retention.erase_words_of_member)
        members.on_creation(intake.restrict_new_members)
