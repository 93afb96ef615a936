"""What is asked of Snakemake by a name that belongs to another study."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_report_of_the_default_study_is_not_silently_another_ones(tmp_path):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        ROOT / "Snakefile",
        "--directory",
        tmp_path,
        "--cores",
        "1",
        "-n",
    ]
    command += ["reports/table1.csv", "--configfile", ROOT / "config" / "photos.yaml", "--config", f"photos={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert (
        "reports/table1.csv is the default study's; study photos writes reports/photos/table1.csv"
        in done.stdout + done.stderr
    )
