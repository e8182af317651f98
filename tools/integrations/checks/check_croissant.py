"""mlcroissant reads the Croissant description of a model without an error or a warning."""

import json
import logging

import mlcroissant
from facts import get


class Counted(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


counted = Counted()
logging.getLogger().addHandler(counted)
said = get("models/sample-model/documents/croissant")
data_set = mlcroissant.Dataset(jsonld=said)
issues = data_set.metadata.ctx.issues
print(
    f"{len(issues.errors)} errors, {len(issues.warnings)} warnings, {len(data_set.metadata.distribution)} files"
)
for one in [*issues.errors, *issues.warnings, *counted.said]:
    print(one)
if issues.errors or issues.warnings or counted.said:
    raise SystemExit(json.dumps(said)[:2000])
