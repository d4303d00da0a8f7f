"""analyse: everything small comes in; tables and metrics go out.

In: predictions, metrics of `evaluate`, scores, gaps, splits, cards of checkpoints, manifests, class
frequencies, and the pool's embeddings, one pass over which tells how diverse splits are; of
`signal`, `density`, `domain`, `probe` and `intraclass` what there is. Out: ``analysis/``, of which
`report` draws, ``metrics/report.json`` and ``metrics/claims.json`` (how sure differences are).
Every bootstrap and every fit is here.
"""

from pathlib import Path

from clipcause.config import section
from clipcause.config.report import Report
from clipcause.report import analysis, cautions, study
from clipcause.report.inputs import Inputs
from clipcause.runtime import metrics
from clipcause.runtime.entry import run
from clipcause.runtime.notices import notice

METRICS = Path("metrics/report.json")
CLAIMS = Path("metrics/claims.json")


def main() -> str:
    """Compute all tables and metrics of the study."""
    inputs = Inputs(study.load(), section("report", Report))
    for text in inputs.of(cautions.found):
        notice("analyse", text)
    rows = analysis.rows(inputs)
    analysis.write(analysis.FOLDER, analysis.results(inputs), rows)
    metrics.write(METRICS, analysis.numbers(inputs))
    metrics.write(CLAIMS, analysis.claims(inputs))
    conditions, tests = len(inputs.study.conditions), len(inputs.study.tests)
    return f"{conditions} conditions x {tests} test sets, {len(rows)} tables"


if __name__ == "__main__":
    run(main)
