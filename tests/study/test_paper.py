"""The printed numbers against the paper's tables, typed here a second time and independently of the package's files."""

import itertools
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest

from dad.errors import UserError
from dad.study.base import read_yaml
from dad.study.cells import load_study, table_rows
from dad.study.paper import FILE, FOLDER, Paper, paper

TABLE1 = {  # ETH3D, DIODE
    ("shared", "global"): (0.064, 0.259),
    ("shared", "none"): (0.057, 0.239),
    ("shared", "local"): (0.070, 0.245),
    ("shared", "hybrid"): (0.057, 0.238),
    ("local-global", "global"): (0.065, 0.239),
    ("local-global", "none"): (0.273, 0.300),
    ("local-global", "local"): (0.076, 0.244),
    ("local-global", "hybrid"): (0.064, 0.238),
}
# as the paper prints Table 5, one line per method: NYUv2, KITTI, DIODE, ScanNet, ETH3D, each AbsRel and delta1
TABLE5 = """
diversedepth             0.117 0.875  0.190 0.704  0.376 0.631  0.108 0.882  0.228 0.694
midas                    0.111 0.885  0.236 0.630  0.332 0.715  0.111 0.886  0.184 0.752
leres                    0.090 0.916  0.149 0.784  0.271 0.766  0.095 0.912  0.171 0.777
omnidata                 0.074 0.945  0.149 0.835  0.339 0.742  0.077 0.935  0.166 0.778
hdn                      0.069 0.948  0.115 0.867  0.246 0.780  0.080 0.939  0.121 0.833
dpt                      0.098 0.903  0.100 0.901  0.182 0.758  0.078 0.938  0.078 0.946
depth-anything-v2        0.045 0.979  0.074 0.946  0.262 0.754  0.042 0.978  0.131 0.865
genpercept               0.058 0.969  0.080 0.934  0.226 0.741  0.063 0.960  0.096 0.959
marigold                 0.055 0.961  0.099 0.916  0.308 0.773  0.064 0.951  0.065 0.960
midas-v3.1               -     0.980  -     0.949  -     -      -     -      0.061 0.968
ours-midas               0.046 0.985  0.063 0.972  0.142 0.788  0.049 0.980  0.057 0.976
ours-depth-anything-v2   0.043 0.981  0.070 0.949  0.233 0.753  0.043 0.980  0.054 0.981
"""


def mini():
    return load_study(str(Path(__file__).parents[2] / "config" / "mini.yaml"))


def value(table, row, dataset, metric="abs_rel"):
    return paper().number(table, row, dataset, metric).value


@pytest.mark.parametrize(
    ("table", "numbers"), [("table1", 16), ("table2", 8), ("table3", 12), ("table4", 8), ("table5", 114)]
)
def test_each_table_has_all_its_numbers(table, numbers):
    assert len(list(paper().numbers(table))) == numbers


def test_table_1_is_as_printed():
    for (mode, normalization), (eth3d, diode) in TABLE1.items():
        row = {"mode": mode, "normalization": normalization}
        assert (value("table1", row, "ETH3D"), value("table1", row, "DIODE")) == (eth3d, diode)


def test_table_2_is_as_printed():
    printed = {(n.row["mode"], n.dataset): (n.value, n.percent) for n in paper().numbers("table2")}
    assert printed == {
        ("baseline", "ETH3D"): (0.075, None),
        ("baseline", "DIODE"): (0.270, None),
        ("local-global", "ETH3D"): (0.064, -14.6),
        ("local-global", "DIODE"): (0.238, -13.3),
        ("shared", "ETH3D"): (0.058, -22.6),
        ("shared", "DIODE"): (0.237, -12.2),
        ("cross", "ETH3D"): (0.056, -25.3),
        ("cross", "DIODE"): (0.232, -14.1),
    }


def test_table_3_is_as_printed():
    printed = [(*n.row.values(), n.dataset, n.value, n.percent) for n in paper().numbers("table3")]
    assert printed == [
        ("da-l", "da-s", "base", "DIODE", 0.290, None),
        ("da-l", "da-s", "base", "ETH3D", 0.110, None),
        ("da-l", "da-s", "ours", "DIODE", 0.262, -9.6),
        ("da-l", "da-s", "ours", "ETH3D", 0.098, -10.9),
        ("da-l", "midas-l", "base", "DIODE", 0.313, None),
        ("da-l", "midas-l", "base", "ETH3D", 0.147, None),
        ("da-l", "midas-l", "ours", "DIODE", 0.295, -5.7),
        ("da-l", "midas-l", "ours", "ETH3D", 0.126, -14.3),
        ("midas-l", "midas-s", "base", "DIODE", 0.303, None),
        ("midas-l", "midas-s", "base", "ETH3D", 0.150, None),
        ("midas-l", "midas-s", "ours", "DIODE", 0.272, -10.2),
        ("midas-l", "midas-s", "ours", "ETH3D", 0.120, -20.0),
    ]


def test_table_4_is_as_printed():
    expected = {
        "teacher": (0.131, 0.262),
        "assistant": (0.096, 0.226),
        "average": (0.228, 0.371),
        "select": (0.054, 0.258),
    }
    for supervision, (eth3d, diode) in expected.items():
        row = {"supervision": supervision}
        assert (value("table4", row, "ETH3D"), value("table4", row, "DIODE")) == (eth3d, diode)


def test_table_5_is_as_printed():
    columns = list(itertools.product(("NYUv2", "KITTI", "DIODE", "ScanNet", "ETH3D"), ("abs_rel", "delta1")))
    lines = [line.split() for line in TABLE5.strip().splitlines()]
    assert len(lines) == 12
    for method, *numbers in lines:
        for (dataset, metric), number in zip(columns, numbers, strict=True):
            found = paper().number("table5", {"method": method}, dataset, metric)
            assert (None if number == "-" else float(number)) == (found.value if found else None), (
                method,
                dataset,
                metric,
            )


def test_the_tables_have_the_rows_that_are_run_in_the_same_order():
    for table in ("table1", "table2", "table3", "table4", "table5"):
        layout, rows = paper().table(table), table_rows(mini(), table)
        assert {tuple(row.factors) for row in rows} == {layout.factors}
        assert [row.factors for row in rows] == [row.row for row in layout.rows]
        assert len(layout.printed_rows) == {"table1": 8, "table2": 4, "table3": 6, "table4": 4, "table5": 12}[table]


def test_every_printed_percentage_follows_from_the_values_except_the_noted_one():
    wrong, cut_off = [], []
    for name, table in paper().tables.items():
        for number in paper().numbers(name):
            if number.percent is None:
                continue
            base = value(name, {**number.row, **table.percent_of}, number.dataset)
            exact = 100 * (number.value / base - 1)
            if abs(exact - number.percent) >= 0.1:
                wrong.append((name, number.row["mode"], number.dataset, round(exact, 1), number.notes))
            elif abs(exact - number.percent) > 0.05 + 1e-9:
                cut_off.append((number.percent, number.notes))
    assert wrong == [("table2", "local-global", "DIODE", -11.9, ("D1", "D38"))]
    assert [percent for percent, _ in cut_off] == [-14.6, -22.6, -9.6, -5.7]
    assert all("D13" in notes for _, notes in cut_off)


def test_the_noise_floor_is_the_difference_of_one_cell_in_two_tables():
    for dataset in ("ETH3D", "DIODE"):
        first = paper().number("table1", {"mode": "shared", "normalization": "hybrid"}, dataset, "abs_rel")
        second = paper().number("table2", {"mode": "shared"}, dataset, "abs_rel")
        assert abs(first.value - second.value) == pytest.approx(paper().noise_floor)
        assert "D2" in first.notes
        assert "D2" in second.notes


def test_contradictions_that_notes_speak_of_are_in_the_numbers():
    ours, teacher = ({"method": name} for name in ("ours-depth-anything-v2", "depth-anything-v2"))
    assert value("table5", ours, "ScanNet") > value("table5", teacher, "ScanNet")
    assert value("table5", ours, "DIODE", "delta1") < value("table5", teacher, "DIODE", "delta1")
    assert "D14" in paper().number("table5", ours, "ScanNet", "abs_rel").notes
    assert (value("table4", {"supervision": "select"}, "DIODE"), value("table5", ours, "DIODE")) == (0.258, 0.233)
    for dataset in ("DIODE", "ETH3D"):
        assert value("table4", {"supervision": "assistant"}, dataset) == value(
            "table5", {"method": "genpercept"}, dataset
        )
        assert value("table4", {"supervision": "teacher"}, dataset) == value("table5", teacher, dataset)


def test_every_note_is_used_by_a_number_or_is_about_the_text():
    used = {note for number in paper().numbers() for note in number.notes}
    assert set(paper().notes) - used == {"D17", "D18", "D36", "D39", "D41", *(f"D{number}" for number in range(22, 36))}


AMBIGUITIES = {  # what the evaluators and losses leave open or contradict -> a word of each that its note must have
    "unpublished evaluator": ("D22", "GeoBench"),
    "domain of the fit": ("D23", "disparity"),
    "DIODE's mask and floor": ("D24", "floor"),
    "ETH3D 0.131": ("D6", "0.131"),
    "ScanNet 1000 or 800": ("D4", "800"),
    "KITTI 697 or 652": ("D5", "652"),
    "NYUv2 raw or filled": ("D25", "in-painted"),
    "input size at test time": ("D26", "518"),
    "pixels outside the fit": ("D27", "fit"),
    "thinned columns": ("D28", "columns"),
    "NaN and empty images": ("D29", "NaN"),
    "hybrid normalization": ("D30", "percentiles"),
    "gradient matching": ("D31", "scales"),
    "feature alignment": ("D32", "margin"),
    "the assistant's output": ("D33", "bounded"),
    "patches": ("D34", "patches"),
    "one cell, two values": ("D2", "noise floor"),
    "DIODE 0.142": ("D12", "0.142"),
    "initial weights": ("D18", "encoder"),
    "optimisation": ("D35", "schedule"),
    "initial weights of Tables 1 and 2": ("D36", "begins at zero"),
    "no random cropping": ("D37", "largest central"),
    "lambda_1 alone": ("D38", "lambda_1"),
    "MiDaS's rates": ("D39", "in tune"),
    "Base against Ours": ("D40", "three things"),
    "sizes in Table 5": ("D41", "560"),
}


@pytest.mark.parametrize("name", AMBIGUITIES)
def test_every_known_ambiguity_is_in_the_log_with_what_is_done_about_it(name):
    note, word = AMBIGUITIES[name]
    assert word in paper().notes[note].text
    assert paper().notes[note].choice


def test_numbers_under_another_protocol_are_marked_and_ours_are_not():
    foreign = {
        (number.row["method"], number.dataset) for number in paper().numbers("table5") if paper().foreign(number)
    }
    assert ("depth-anything-v2", "ETH3D") in foreign
    assert {method for method, _ in foreign} >= {"diversedepth", "dpt", "marigold", "midas-v3.1"}
    assert not [method for method, _ in foreign if method.startswith("ours")]
    assert not paper().foreign(paper().number("table5", {"method": "genpercept"}, "DIODE", "abs_rel"))  # as in Table 4


def test_references_of_rows():
    table5, table2, table3 = (paper().table(f"table{number}") for number in (5, 2, 3))
    assert table5.reference_of({"method": "ours-midas"}) == {"method": "midas-v3.1"}
    assert table5.reference_of({"method": "hdn"}) is None
    assert table2.reference_of({"mode": "cross"}) == {"mode": "baseline"}
    assert table2.reference_of({"mode": "baseline"}) is None
    row = {"teacher": "da-l", "student": "da-s", "loss": "ours"}
    assert table3.reference_of(row) == row | {"loss": "base"}
    assert paper().table("scaling").reference_of({"method": "ours", "photos": "10"}) == {
        "method": "ssi",
        "photos": "10",
    }
    assert paper().table("table1").reference_of({"mode": "shared", "normalization": "none"}) is None


def test_lookups():
    assert paper().number("table1", {"mode": "shared", "normalization": "hybrid"}, "ETH3D", "delta1") is None
    assert paper().number("table1", {"mode": "cross", "normalization": "hybrid"}, "ETH3D", "abs_rel") is None
    assert paper().dataset_name("eth3d") == "ETH3D"
    assert paper().dataset_name("scenes-indoor") is None
    with pytest.raises(UserError, match="the paper has no 'table9'"):
        paper().table("table9")


def broken(change):
    value = read_yaml(FILE) | {
        "tables": {path.stem: read_yaml(path) | {"key": path.stem} for path in FOLDER.glob("*.yaml")}
    }
    change(value)
    return value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(surprise=1), "Extra inputs"),
        (lambda v: v["tables"]["table1"]["rows"][0].update(surprise=1), "Extra inputs"),
        (lambda v: v["tables"]["table1"]["rows"][0]["values"].pop(), "1 numbers for 2 columns"),
        (lambda v: v["tables"]["table1"]["rows"][1].update(notes={"D99": ["ETH3D"]}), "unknown note D99"),
        (lambda v: v["tables"]["table1"]["rows"][1].update(notes={"D2": ["KITTI"]}), "no column KITTI"),
        (lambda v: v["tables"]["scaling"]["columns"][1].update(dataset="Sintel"), "unknown dataset Sintel"),
        (lambda v: v["tables"]["scaling"]["columns"][1].update(metric="error"), "unknown metric error"),
        (
            lambda v: v["tables"]["table1"]["rows"][1].update(row=v["tables"]["table1"]["rows"][0]["row"]),
            "same factors",
        ),
        (lambda v: v["tables"]["table1"]["labels"]["mode"].pop("shared"), "no label for mode: shared"),
        (lambda v: v["tables"]["table2"].pop("percent_of"), "names no percent_of"),
    ],
)
def test_mistakes_in_the_data_are_refused(change, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        Paper.model_validate(broken(change))


def test_models_are_frozen():
    with pytest.raises(pydantic.ValidationError):
        paper().tables["table1"].title = "other"


def test_reading_the_paper_imports_nothing_heavy():
    code = (
        "import sys; from dad.study.claims import claims; claims(); "
        "print([name for name in ('torch', 'numpy', 'pandas', 'matplotlib', 'mlflow') if name in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
