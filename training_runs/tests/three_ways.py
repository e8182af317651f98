"""A manifest held against the two other ways to arrive at it: from history, and by the outsider from the export's lines."""

from outsider import verify
from tools import sample_export
from training_runs.manifests import archives, manifest_file
from training_runs.models import Manifest
from training_runs.runs import verifying


def agreed(manifest: Manifest) -> manifest_file.Archive:
    """The archive, once history and the outsider have derived the same."""
    assert verifying.verify(manifest).agreement == "agrees"
    data = archives.load(manifest.digest)
    history = verify.History()
    for line in sample_export.lines_of_the_database()[: manifest.cut]:
        history.add(verify.canonical(line))
    outside = verify.archive_from(data, "it")
    parent = outside.header["parent"]
    before = parent and verify.archive_from(archives.load(parent["manifest"]), "its parent")
    derived = history.derive(manifest.run_id, list(outside.sets), before, outside.header)
    assert derived.sets == outside.sets
    assert derived.cohorts == outside.cohorts
    assert {name: outside.header[name] for name in derived.header} == derived.header
    return manifest_file.parse(data)
