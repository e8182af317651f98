"""The mail server of the played past: keeps mails as files under the played date, and knows closed mailboxes."""

import smtplib
from collections.abc import Sequence
from email.utils import format_datetime

from django.core.mail import EmailMessage
from django.core.mail.backends.filebased import EmailBackend
from django.utils import timezone

closed_mailboxes: set[str] = set()


class MailServer(EmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Raises SMTPRecipientsRefused, as a real one answers for a mailbox that is gone."""
        for message in email_messages:
            if gone := closed_mailboxes & set(message.to):
                answer = (550, b"No such mailbox here")
                raise smtplib.SMTPRecipientsRefused(dict.fromkeys(gone, answer))
            message.extra_headers["Date"] = format_datetime(timezone.now())
        return super().send_messages(email_messages) or 0
