"""Scores of many scenes: data sets, one protocol, variants and studies, tables and a report. `docs/evaluation.md`."""
