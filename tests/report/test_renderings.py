"""The one frame of a table: what the code before it wrote, and every rendering showing its numbers and no others."""

import csv
import re
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from dad.analysis.effects import cell_means, decided_interactions, effects_of, interactions
from dad.analysis.frame import load_frame
from dad.report.claims_page import claims_files
from dad.report.page.sheets import markdown_html
from dad.report.tables import SUFFIXES, table_files, write_texts
from dad.report.templates import number, tex
from dad.study.cells import load_study, table_rows
from dad.study.paper import paper

GOLDENS = Path(__file__).with_name("goldens")
OWN = {
    "title": "Weight of the local-global term",
    "grid": {"loss.local_global": [0.25, 0.5, 1.0], "normalization": ["global", "hybrid"]},
    "base": {"mode": "cross"},
    "reference": {"loss.local_global": 0.5},
}
"""A table of a user's own: nothing of it is printed."""


@pytest.fixture(scope="module")
def seeded(make_study, whole):
    return make_study(**{**whole.model_dump(exclude={"seeds"}), "seeds": [0, 5]})


@pytest.fixture(scope="module")
def seeded_files(seeded, tmp_path_factory, write_scores, paper_like):
    """(results, reports) of all tables with two seeds."""
    folder = tmp_path_factory.mktemp("golden")
    for table in paper().tables:
        write_scores(seeded, folder / "results", paper_like, table=table, teacher=True)
    for table in paper().tables:
        frame = load_frame(seeded, table, folder / "results")
        write_texts(frame, folder / "reports")
    claims_files(seeded, folder / "results", folder / "reports")
    return folder


INFERRED = [
    *("ci_low", "ci_high", "diff_low", "diff_high", "p_holm", "ref_low", "ref_high", "ref_p_holm"),
    *("low", "high", "slope_low", "slope_high", "verdict", "comparison"),
    *("p", "p_against", "visible", "needed_seeds", "needed_images"),
]
"""What follows from the model of the variances, which the goldens are older than; `test_estimates.py` is about it."""


def observed(path):
    """All values of a CSV file as written, but for what is inferred."""
    return pd.read_csv(path, dtype=str, keep_default_na=False).drop(columns=INFERRED, errors="ignore")


@pytest.mark.parametrize("name", [*paper().tables, "claims"])
def test_csv_files_are_those_of_the_code_before_the_frame(name, seeded_files):
    before, now = observed(GOLDENS / f"{name}.csv"), observed(seeded_files / "reports" / f"{name}.csv")
    assert {"mean", "row_mean"} & set(now.columns)
    pd.testing.assert_frame_equal(now, before)


def body_of(markdown):
    """The cells of a page's first table."""
    lines = [line for line in markdown.split("\n\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("table", paper().tables)
def test_markdown_latex_and_page_show_the_frames_numbers(table, seeded, seeded_files):
    frame = load_frame(seeded, table, seeded_files / "results")
    markdown = (seeded_files / "reports" / f"{table}.md").read_text()
    latex = (seeded_files / "reports" / f"{table}.tex").read_text()
    html = markdown_html(markdown, name=table)
    header, _, *body = body_of(markdown)
    metric, column = frame.layout.metrics[0], frame.columns[0]
    place = next(i for i, title in enumerate(header) if title.startswith("ours:"))
    shown = [row[place] for row in body][len(frame.beside) : len(frame.beside) + len(frame.rows)]
    for text, row in zip(shown, frame.rows, strict=True):
        line = frame.value(row, column, metric)
        if line["reason"]:
            assert text.startswith("not run (")
            continue
        assert text.replace("*", "").startswith(number(line["mean"]))
        assert text.startswith("**") == line["best"]
        assert f"[{number(line['ci_low'])}, {number(line['ci_high'])}]" in text
        assert f"[{number(line['ci_low'])}, {number(line['ci_high'])}]" in html
        written = tex(number(line["mean"]))
        assert (f"\\textbf{{{written}}} {{\\scriptsize" if line["best"] else f"{written} {{\\scriptsize") in latex


@pytest.mark.parametrize("table", paper().tables)
def test_latex_is_whole(table, seeded_files):
    text = (seeded_files / "reports" / f"{table}.tex").read_text()
    assert (
        text.count(r"\begin{tabular}")
        == text.count(r"\end{tabular}")
        == text.count(r"\toprule")
        == text.count(r"\bottomrule")
        > 0
    )
    assert text.count("{") == text.count("}")
    for part in text.split(r"\begin{tabular}")[1:]:
        columns = len(re.match(r"\{([lr]+)\}", part)[1])
        rows = [line for line in part.split(r"\end{tabular}")[0].splitlines() if line.endswith(r"\\")]
        assert len(rows) > 2
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in rows} == {columns}
    assert not re.search(r"(?<!\\)[%_#]", "".join(line for line in text.splitlines() if not line.startswith("%")))


def test_best_is_decided_once_per_block_with_ties_after_rounding(whole, tmp_path, write_scores, paper_like):
    write_scores(whole, tmp_path, paper_like)
    lines = load_frame(whole, "table1", tmp_path).lines
    own = lines[(lines["metric"] == "abs_rel") & (lines["dataset"] == "scenes-indoor")]
    assert own.groupby("block")["best"].sum().min() >= 1
    for _, block in own.groupby("block"):
        rounded = block["mean"].round(3)
        assert (block["best"] == (rounded == rounded.min())).all()
    printed = own[own["paper_best"]]
    assert sorted(printed["row"]) == ["local-global-hybrid", "shared-hybrid", "shared-none"]


@pytest.fixture(scope="module")
def own(make_study, whole):
    return make_study(**{**whole.model_dump(), "tables": {"lambda": OWN}})


@pytest.fixture(scope="module")
def own_files(own, tmp_path_factory, write_scores):
    folder = tmp_path_factory.mktemp("own")

    def level(row, dataset, seed):
        weight, hybrid = float(row.factors.get("loss.local_global", 0.5)), row.factors.get("normalization") == "hybrid"
        return 0.2 + 0.04 * weight - 0.02 * hybrid + 0.03 * weight * hybrid

    write_scores(own, folder / "results", level, table="lambda", teacher=True, noise=0.001)
    files = table_files(own, "lambda", folder / "results", folder / "reports")
    assert [path.name for path in files] == [f"lambda{suffix}" for suffix in SUFFIXES]
    return folder


def test_a_table_of_ones_own_has_everything_but_printed_numbers(own, own_files):
    page = (own_files / "reports" / "lambda.md").read_text()
    header, _, *body = body_of(page)
    assert not any("printed" in title for title in header)
    assert len(body) == 4 + 6  # teacher, source and the two without skill; every combination
    assert "printed" not in page.lower() and "D2" not in page and "the paper's own" not in page
    assert "## Against the reference" in page and "0.25, global, against 0.5, global: scenes-indoor better (−" in page
    assert "1.0, hybrid, against 0.5, hybrid: scenes-indoor worse (+" in page
    details = (own_files / "reports" / "lambda_details.md").read_text()
    assert "## Differences to the reference" in details and "| 0.25, global | 0.5, global | −" in details
    with open(own_files / "reports" / "lambda.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {line["cell"] for line in lines} == {cell for row in table_rows(own, "lambda") for cell in row.cells}
    assert all(line["paper"] == "" and line["mean"] for line in lines)
    assert {line["reference"] for line in lines} == {"", "0.5-global", "0.5-hybrid"}


def test_a_grid_has_main_effects_and_interactions(own, own_files):
    frame = load_frame(own, "lambda", own_files / "results")
    effects = effects_of(frame)
    assert effects.dimensions == (("loss.local_global",), ("normalization",))
    column = frame.columns[0]
    means = cell_means(frame, effects, column)
    grand = means.to_numpy().mean()
    for factor, axis in (("loss.local_global", 1), ("normalization", 0)):
        for level, mean in means.mean(axis=axis).items():
            effect = effects.mains[factor, level][frame.columns.index(column)]
            assert effect.mean == pytest.approx(mean - grand)
            assert effect.low <= effect.mean <= effect.high
    left = interactions(means)
    assert left.to_numpy() == pytest.approx(
        (means.sub(means.mean(axis=1), axis=0).sub(means.mean(axis=0), axis=1) + grand).to_numpy(), abs=1e-12
    )
    assert left.loc["1.0", "hybrid"] > 0.002  # as the scores were made: hybrid suffers from a large weight
    means.iloc[0, 0] = float("nan")
    partly = interactions(means)
    assert partly.isna().to_numpy().sum() == 1
    assert "## What each level does" in (own_files / "reports" / "lambda.md").read_text()


def test_the_papers_tables_are_no_grids(seeded, seeded_files):
    assert effects_of(load_frame(seeded, "table1", seeded_files / "results")) is None


def test_the_shipped_studies_have_columns_for_every_table():
    from dad.analysis.columns import table_columns

    study = load_study(str(Path(__file__).parents[2] / "config" / "mini.yaml"))
    assert {table: len(table_columns(study, table)) for table in paper().tables} == {
        **dict.fromkeys(("table1", "table2", "table3", "table4"), 2),
        "table5": 5,
        "scaling": 6,
    }


@pytest.mark.parametrize(("noise", "together", "some"), [(0.001, 0.03, True), (0.02, 0.0, False)])
def test_an_interaction_is_decided_by_an_interval_of_its_own(own, tmp_path, write_scores, noise, together, some):
    def level(row, dataset, seed):
        weight, hybrid = float(row.factors["loss.local_global"]), row.factors["normalization"] == "hybrid"
        return 0.2 + 0.04 * weight - 0.02 * hybrid + together * weight * hybrid

    write_scores(own, tmp_path, level, table="lambda", noise=noise)
    frame = load_frame(own, "lambda", tmp_path)
    effects, column = effects_of(frame), frame.columns[0]
    scores = frame.scores[frame.scores["dataset"] == column.dataset]
    wide = scores.pivot(index="image", columns="row", values="abs_rel")  # one seed
    cells = {row.name: tuple(row.factors.values()) for row in frame.trained}
    wide.columns = pd.MultiIndex.from_tuples([cells[name] for name in wide.columns])
    decided = decided_interactions(frame, effects, column, cell_means(frame, effects, column))
    for (at, along), own_scores in wide.items():
        beyond = own_scores - wide[at].mean(axis=1) - wide.xs(along, axis=1, level=1).mean(axis=1) + wide.mean(axis=1)
        half = stats.t.ppf(0.975, len(beyond) - 1) * beyond.std() / len(beyond) ** 0.5
        assert decided.loc[at, along] == (abs(beyond.mean()) > half)
    assert decided.loc["1.0", "hybrid"] == some
