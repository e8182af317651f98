from outsider import verify
from tools.sample_export import REAL


def test_a_true_export_is_found_good(export, kept, made):
    report = verify.check_export(export, [verify.key_from(REAL.verifier_key)], [kept])

    assert report.problems == []
    print("\n".join(report.checked + report.notes), made.kept, len(made.sample.lines))
