"""A whole made-up study on disk: scores through the real tables and claims, two small runs, a few rendered scenes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dad.analysis.frame import load_frame
from dad.data.scenes import write_scenes
from dad.files import write_csv, write_json, write_text
from dad.pointcloud import write_ply
from dad.report.claims_page import claims_files
from dad.report.page import write_page
from dad.report.tables import write_texts
from dad.study.cells import table_rows
from dad.study.paper import paper

ZOO = Path(__file__).parents[3] / "dad" / "models" / "zoo"


def _write_run(folder: Path, name: str, config: dict[str, object], *, select: bool) -> None:
    folder.mkdir(parents=True)
    shutil.copy(ZOO / "vit-small.safetensors", folder / "model.safetensors")
    write_json(folder / "config.json", config)
    lines = [{"step": step, "loss": 2 / (step + 1), "output_median": 1.0 + step / 100} for step in range(300)]
    if select:
        turns = (
            {"loss_by_teacher": line["loss"] if i % 3 else "", "loss_by_assistant": "" if i % 3 else 0.5}
            for i, line in enumerate(lines)
        )
        lines = [line | turn for line, turn in zip(lines, turns, strict=True)]
    write_csv(folder / "metrics.csv", lines, list(lines[0]))
    facts = {
        "cell": name,
        "steps": 300,
        "wall_seconds": 61.5,
        "device": "cpu, Made-up <9>",
        "git_commit": "abcdef0123456789",
        "git_dirty": False,
    }
    facts |= {
        "versions": {"python": "3.11", "torch": "9.9"},
        "started": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:05:06+00:00",
    }
    write_json(folder / "provenance.json", facts)


@pytest.fixture(scope="session")
def page_study(whole):
    """All tables have rows; teacher and student exist, the other networks do not. Its description must be escaped."""
    return whole.model_copy(
        update={
            "teacher": "zoo/vit-large",
            "student": whole.student.model_copy(update={"model": "zoo/vit-small"}),
            "description": 'made-up <script>alert("no")</script> & such',
        }
    )


@pytest.fixture(scope="session")
def page_files(page_study, write_scores, paper_like, tmp_path_factory):
    """(results, reports) with all tables but table3, claims, one captioned figure, and the runs of Tables 2 and 4."""
    base = tmp_path_factory.mktemp("page")
    results, reports = base / "results", base / "reports"
    for table in paper().tables:
        if table != "table3":
            write_scores(page_study, results, paper_like, table=table, teacher=True)
            write_texts(load_frame(page_study, table, results), reports)
    claims_files(page_study, results, reports)
    for table in ("table2", "table4"):
        for row in table_rows(page_study, table):
            for name, cell in row.cells.items():
                folder = results / page_study.name / "runs" / name
                if not folder.exists():
                    _write_run(folder, name, cell.model_dump(mode="json"), select=cell.supervision == "select")
    for kind in ("indoor", "outdoor", "driving"):
        folder = results / page_study.name / "benchmarks" / f"scenes-{kind}"
        write_scenes(str(folder), kind=kind, count=2, seed=0, height=48, width=64, samples=1, workers=1)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 2400, 3), np.uint8)).save(reports / "fig7.png")
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(reports / "fig10.png")
    places = np.stack(np.meshgrid(np.linspace(-1, 1, 60), np.linspace(-1, 1, 40), [3.0]), -1).reshape(-1, 3)
    write_ply(reports / "fig10" / "a-wall.ply", places, np.full(places.shape, 200, np.uint8))
    write_text(
        reports / "fig7.md",
        "# Fig. 7\n\nA **caption** with <b>tags</b>.\n\n![x](http://example.org/x.png)\n\n## What was run\n\n- study\n",
    )
    return results, reports


@pytest.fixture(scope="session")
def page(page_study, page_files, tmp_path_factory) -> Path:
    """The page of these files."""
    return write_page(page_study, *page_files, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="session")
def comparer_data(page) -> dict:
    """What the image comparer shows."""
    text = page.read_text()
    start = text.index('id="comparer-data">') + len('id="comparer-data">')
    return json.loads(text[start : text.index("</script>", start)])
