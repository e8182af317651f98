import datetime as dt

from django.apps import AppConfig

# The mailer comes by every 20 seconds, and servers that put strangers off take them within half an hour.
MAX_UNSENT = dt.timedelta(hours=1)


class ObjectionsConfig(AppConfig):
    name = "objections"
    verbose_name = "Objections"

    def ready(self) -> None:
        from common import drafts
        from common.identity import people
        from common.processes.ages import register_age
        from consent import members
        from objections.acts import sent_back
        from objections.intake import receiving
        from objections.letters import outbox
        from objections.ticket import officers, retention

        # Its panel and its part of the digest come with the import.
        assert sent_back

        people.register_work(officers.work_of)
        drafts.refuse_for(retention.is_erased)
        members.on_erasure(retention.erase_words_of_member)
        members.on_creation(receiving.restrict_new_members)
        register_age("oldest_unsent_letter", outbox.oldest_unsent, limit=MAX_UNSENT)
