"""The ledger and the record of reads as files for auditors, made by a worker when they are long."""

import io
from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from auditing.exports import exporting
from common.files import made_files
from common.models import MadeFile
from ledger.reads.recording import record_read


class _Lines(made_files.Maker):
    """`parameters`: `after` (exclusive) and `upto`. The entries between them never change."""

    permission: str

    def lines(self, after: int, upto: int) -> Iterator[bytes]:
        raise NotImplementedError

    def subject(self, after: int, upto: int) -> str:
        raise NotImplementedError

    def write(self, parameters: Mapping[str, Any], to: io.RawIOBase) -> dict[str, Any]:
        count = 0
        for line in self.lines(parameters["after"], parameters["upto"]):
            to.write(line)
            count += 1
        return {"rows": count}

    def check_access(self, user: User, parameters: Mapping[str, Any]) -> None:
        if not user.has_perm(self.permission):
            raise PermissionDenied

    def record(self, user: User, row: MadeFile) -> None:
        subject = self.subject(row.parameters["after"], row.parameters["upto"])
        record_read(user, f"export.{self.kind}", subject, purpose=f"sha-256={row.digest}")

    def name(self, parameters: Mapping[str, Any]) -> str:
        return f"{self.kind}-{parameters['after'] + 1}-{parameters['upto']}.ndjson"

    def media_type(self, parameters: Mapping[str, Any]) -> str:
        return "application/x-ndjson"


class LedgerFile(_Lines):
    kind = "ledger"
    permission = "ledger.view_checkpoint"

    def lines(self, after: int, upto: int) -> Iterator[bytes]:
        return exporting.ledger_lines(after, upto)

    def subject(self, after: int, upto: int) -> str:
        return f"entries:{after + 1}-{upto}"

    def title(self, parameters: Mapping[str, Any]) -> str:
        return f"Ledger entries {parameters['after'] + 1} to {parameters['upto']}"


class ReadsFile(_Lines):
    kind = "reads"
    permission = "ledger.view_accessrecord"

    def lines(self, after: int, upto: int) -> Iterator[bytes]:
        return exporting.read_lines(after, upto)

    def subject(self, after: int, upto: int) -> str:
        return "reads"

    def title(self, parameters: Mapping[str, Any]) -> str:
        return f"Records of reads {parameters['after'] + 1} to {parameters['upto']}"
