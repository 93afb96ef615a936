"""What trainings tell of themselves in a table: cured starts, shares of the loss, sizes of inputs, premises."""

import pytest

from dad.analysis.frame import load_frame
from dad.analysis.provenance import start_remark
from dad.files import read_json, write_csv, write_json
from dad.report.tables import write_texts
from dad.study.cells import beside_rows, loss_terms, table_rows
from dad.study.layout import Layout


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({}, ""),
        ({"dead_head_cured": False, "inverted_start_cured": False, "agreement": 0.9}, ""),
        ({"dead_head_cured": True}, "its head was dead at the first step, and its bias was raised"),
        ({"inverted_start_cured": True, "agreement": 0.8}, "its maps began inside out, and were turned over"),
        ({"agreement": -0.41}, "its maps do not follow its labels at the end (correlation -0.41)"),
    ],
)
def test_a_start_is_told_where_something_was_wrong(run, words):
    assert start_remark(run) == words


@pytest.fixture
def told(study, results, write_scores, paper_like):
    """Table 1 with one inverted run, step logs of all, two sizes of inputs, and premises of which one fails."""
    write_scores(study, results, paper_like, teacher=True)
    layout = Layout(study, results)
    for row in table_rows(study, "table1"):
        for name, cell in row.cells.items():
            folder = layout.run(name)
            write_json(folder / "config.json", cell.model_dump(mode="json"))
            write_json(folder / "provenance.json", {"cell": name, "inverted_start_cured": row.name == "shared-hybrid"})
            # weighted, gradient matching is three times as large as everything else together
            terms = loss_terms(cell)
            others = {f"loss_{term}": 1 / weight for term, weight in terms.items() if term != "gradient"}
            line = others | {"loss_gradient": 3 * len(others) / terms["gradient"]}
            write_csv(folder / "metrics.csv", [{"step": step, **line} for step in range(40)], ["step", *line])
            write_json(layout.summary("ablation", name), {"input_size": 28})
    write_json(layout.summary("ablation", beside_rows(study, "table1")[0].subjects[0]), {"input_size": 56})
    premises = [
        {"name": "a", "statement": "The one is better.", "finding": "It is not.", "holds": False},
        {"name": "b", "statement": "The other is better.", "finding": "It is.", "holds": True},
    ]
    write_json(layout.premises / "premises.json", {"premises": premises})
    frame = load_frame(study, "table1", results)
    write_texts(frame, results / "reports")
    return frame, {
        suffix: (results / "reports" / f"table1{suffix}").read_text() for suffix in (".md", "_details.md", ".tex")
    }


def test_every_page_of_the_table_tells_it_once(told):
    frame, pages = told
    words = "Shared-Context Distillation, Hybrid Norm., seed 0: its maps began inside out, and were turned over"
    assert frame.starts == {"shared-hybrid": [words]}
    assert pages[".md"].count(f"† {words}") == pages[".tex"].count(rf"$^\dagger$ {words}") == 1
    assert pages[".md"].count(" Hybrid Norm. † |") == 1
    assert pages["_details.md"].count("Hybrid Norm. †") == 1 and pages[".tex"].count(r"Hybrid Norm. $^\dagger$ &") == 1


def test_shares_of_the_loss_are_in_the_details(told):
    frame, pages = told
    assert len(frame.shares) == 8
    for of in frame.shares.values():
        assert of["gradient"] == pytest.approx((0.75, 0.75))
    assert pages["_details.md"].count("75 % → 75 %") == 8


def test_sizes_that_differ_and_premises_that_fail_are_said(told):
    frame, pages = told
    assert {size: len(labels) for size, labels in frame.input_sizes.items()} == {56: 1, 28: 8}
    assert "56 pixels: the teacher / 28 pixels: " in pages[".md"]
    head = pages[".md"].split("| Method")[0]
    assert "Not every premise" in head and "The one is better. It is not." in head and "The other" not in head


def test_what_no_file_tells_is_not_said(study, results, write_scores, paper_like):
    write_scores(study, results, paper_like)
    frame = load_frame(study, "table1", results)
    assert (frame.starts, frame.shares, frame.input_sizes, frame.failed_premises) == ({}, {}, {}, [])


def test_a_score_files_summary_says_at_which_size_it_was_made(tmp_path):
    from dad.data.scenes import write_scenes
    from dad.evaluation.to_files import evaluate_to_files

    write_scenes(str(tmp_path / "scenes"), kind="indoor", count=1, seed=0, height=48, width=64, samples=1, workers=1)
    for model, size in (("zoo/vit-small", 112), ("no-skill:constant", None)):
        benchmarks = [("scenes-indoor", tmp_path / "scenes")]
        evaluate_to_files(benchmarks=benchmarks, out=tmp_path / "s.csv", summary=tmp_path / "s.json", model=model)
        assert read_json(tmp_path / "s.json").get("input_size") == size
