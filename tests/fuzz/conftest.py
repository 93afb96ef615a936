"""After a run the number of fuzz cases of every kind, and how many of them came out as they must."""

from collections import Counter


def pytest_terminal_summary(terminalreporter):
    kinds, sound = Counter(), Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            if "test_a_wrong_input_has_one_outcome[" in report.nodeid and report.when == "call":
                kind = report.nodeid.partition("[")[2].partition("-")[0]
                kinds[kind] += 1
                sound[kind] += outcome == "passed"
    if kinds:
        each = ", ".join(f"{kind} {sound[kind]} of {count}" for kind, count in sorted(kinds.items()))
        terminalreporter.write_line(f"fuzz cases as they must be: {each}; in all {sound.total()} of {kinds.total()}")
