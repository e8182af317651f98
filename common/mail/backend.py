"""Mail by SMTP, also to addresses with letters outside of ASCII (RFC 6531)."""

import smtplib
from email import message_from_bytes, policy

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from common.mail.addresses import for_envelope


class InternationalBackend(EmailBackend):
    """Django writes such a name before the @ as an encoded word, which is another mailbox.

    A server without SMTPUTF8 cannot take the mail: SMTPNotSupportedError, so that the letter fails visibly.
    """

    def _send(self, email_message: EmailMessage) -> bool:
        if any(not address.isascii() for address in (*email_message.cc, *email_message.bcc)):
            raise smtplib.SMTPNotSupportedError("only `to` takes an internationalised address")
        to = [for_envelope(address) if "@" in address else address for address in email_message.to]
        if all(address.isascii() for address in to):
            email_message.to = to
            return bool(super()._send(email_message))  # type: ignore[misc]  # it has no types
        connection = self.connection
        assert connection is not None
        connection.ehlo_or_helo_if_needed()
        if not connection.has_extn("smtputf8"):
            raise smtplib.SMTPNotSupportedError("The mail server does not offer SMTPUTF8.")
        email_message.to = []
        mail = message_from_bytes(email_message.message().as_bytes(), policy=policy.SMTPUTF8)
        del mail["To"]
        mail["To"] = ", ".join(to)
        refused = connection.sendmail(
            email_message.from_email, to, mail.as_bytes(), ["SMTPUTF8", "BODY=8BITMIME"]
        )
        return not refused
