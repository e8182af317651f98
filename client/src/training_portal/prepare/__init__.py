"""From raw files and a permission to a data set with a receipt.

    prepared = prepare(paths, Path("clean"), permission=permission, columns=columns, key=key, redaction=redaction)
    verify_directory(Path("clean"), keys=[key.public_key()])

A row comes out because its member is in the delivery, never because no exclusion names the member.
"""

from training_portal.extras import needed

with needed("prepare"):
    from training_portal.prepare.auditing import Audit, audit
    from training_portal.prepare.columns import Columns
    from training_portal.prepare.preparing import Engine, Options, prepare
    from training_portal.prepare.receipt import Prepared
    from training_portal.prepare.redacting import Redaction
    from training_portal.prepare.subtracting import Subtracted, resume, subtract
    from training_portal.prepare.verifying import DataSet, verify_directory

__all__ = [
    "Audit",
    "Columns",
    "DataSet",
    "Engine",
    "Options",
    "Prepared",
    "Redaction",
    "Subtracted",
    "audit",
    "prepare",
    "resume",
    "subtract",
    "verify_directory",
]
