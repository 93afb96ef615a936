"""`dad check`: everything that would stop a study, at once and in seconds, before anything is spent.

`check` looks at the configuration (`values`), the weights (`weights`, `networks`), photos and benchmarks (`data`) and
the machine (`machine`). It opens what can be opened in seconds, downloads nothing and imports neither torch nor MLflow.
"""

from collections.abc import Iterable
from pathlib import Path

from dad.models.locate import use_files
from dad.study.check.data import check_benchmark, check_benchmarks, check_photos
from dad.study.check.finding import Finding
from dad.study.check.machine import check_machine
from dad.study.check.values import check_values
from dad.study.check.weights import check_weights, missing_weights
from dad.study.config import BenchmarkConfig, StudyConfig

__all__ = ["Finding", "check", "missing_data", "missing_weights", "wrong"]


def check(study: StudyConfig, *, results: Path | str = "results", reports: Path | str = "reports") -> list[Finding]:
    """Everything that would stop the study, then what somebody should know, then the estimates."""
    use_files(study.weights)
    parts = (
        check_values(study),
        check_weights(study),
        check_photos(study),
        check_benchmarks(study),
        check_machine(study, results, reports),
    )
    return _ordered(finding for part in parts for finding in part)


def wrong(study: StudyConfig) -> list[Finding]:
    """What the configuration alone shows to be wrong: no machine could run it. Takes a fraction of a second."""
    use_files(study.weights)
    findings = [*check_values(study), *check_weights(study)]
    return _ordered(finding for finding in findings if finding.wrong)


def missing_data(benchmark: BenchmarkConfig) -> list[str]:
    """What stands in the way of scoring on one benchmark."""
    return [finding.line for finding in check_benchmark(benchmark) if finding.stops]


def _ordered(findings: Iterable[Finding]) -> list[Finding]:
    order = ("stop", "warning", "note")
    return sorted(dict.fromkeys(findings), key=lambda finding: order.index(finding.severity))
