from mom3d_jax.evaluation import report, tables
from mom3d_jax.evaluation.command import evaluate


def test_smoke(settings, tmp_path):
    title, cells, stale = evaluate(settings(), tmp_path)
    tables.write_tables(tmp_path, cells, stale, title)
    report.write_report(tmp_path, cells, stale, title)
    print((tmp_path / "table.md").read_text())
    print((tmp_path / "timings.csv").read_text())
    assert all(c.result for c in cells), [c.error for c in cells]
