import datetime as dt

from django.apps import AppConfig

# The mailer comes by every 20 seconds, and servers that put strangers off take them within half an hour.
MAX_UNSENT = dt.timedelta(hours=1)


class ObjectionsConfig(AppConfig):
    name = "objections"
    verbose_name = "Objections"

    def ready(self) -> None:
        from consent import members
        from objections import intake, mailing, moves, retention, sent_back
        from portal import drafts, people
        from portal.health import register_age

        # Its panel and its part of the digest come with the import.
        assert sent_back

        people.register_work(moves.work_of)
        drafts.refuse_for(retention.is_erased)
        members.on_erasure(retention.erase_words_of_member)
        members.on_creation(intake.restrict_new_members)
        register_age("oldest_unsent_letter", mailing.oldest_unsent, limit=MAX_UNSENT)
