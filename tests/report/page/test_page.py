"""The page's structure and numbers, read without a browser."""

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from dad.cli import main
from dad.errors import UserError
from dad.pointcloud import write_ply
from dad.report.page import premises_section, write_page
from dad.report.page.cells import Run, cell_links, learning_curves
from dad.report.page.clouds import clouds_view
from dad.report.page.curves import POINTS, curve
from dad.study.cells import all_cells, beside_rows, table_rows
from dad.study.claims import claims
from dad.study.layout import Layout
from dad.study.paper import paper

MINI = Path(__file__).parents[3] / "config" / "mini.yaml"
VOID = {"meta", "link", "img", "input", "br", "hr", "line", "polyline"}


class _Reader(HTMLParser):
    """Every element with its attributes, and a check that what is opened is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.elements, self._open = [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open and self._open[-1] == tag, f"</{tag}> closes <{self._open[-1:]}> at {self.getpos()}"
        self._open.pop()


def _elements(path):
    reader = _Reader()
    reader.feed(path.read_text())
    reader.close()
    assert not reader._open
    return reader.elements


@pytest.fixture(scope="module")
def elements(page):
    return _elements(page)


def _ids(elements):
    return [attributes["id"] for _, attributes in elements if "id" in attributes]


def test_it_loads_nothing(page, elements):
    for tag, attributes in elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, name, value)
    text = page.read_text()
    assert "@import" not in text and not re.search(r"url\(\s*['\"]?(?!data:)", text)
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|importScripts|sendBeacon)\b", text)
    policy = next(attributes["content"] for tag, attributes in elements if tag == "meta" and "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_every_link_has_its_target(elements):
    ids = _ids(elements)
    assert len(ids) == len(set(ids))
    for tag, attributes in elements:
        if tag == "a" and not ("download" in attributes and attributes["href"].startswith("data:")):
            assert attributes["href"][1:] in ids, attributes["href"]


def test_it_can_be_read_aloud(elements):
    tags = [tag for tag, _ in elements]
    assert {"header", "nav", "main", "footer"} <= set(tags) and tags.count("h1") == 1
    assert dict(elements)["html"]["lang"] == "en"
    assert all(attributes.get("alt") is not None for tag, attributes in elements if tag == "img")
    assert all(attributes.get("aria-label") for tag, attributes in elements if tag == "svg")
    for tag, attributes in elements:
        if attributes.get("role") == "region" or tag == "nav":
            assert attributes.get("aria-label") or attributes.get("aria-labelledby") in _ids(elements)


def test_text_is_escaped(page):
    text = page.read_text()
    assert "Made-up &lt;script&gt;alert(" in text and "<script>alert(" not in text
    assert "cpu, Made-up &lt;9&gt;" in text
    assert "<strong>caption</strong> with &lt;b&gt;tags&lt;/b&gt;" in text and "example.org" not in text


def test_the_header_says_what_stands_in(page):
    text = page.read_text()
    assert "scenes-indoor for ETH3D" in text and "small relatives of the paper" in text
    assert "marigold@1" in text and "2026-01-02" in text and "abcdef012345" in text


def test_every_tables_files_are_inside(page_files, elements):
    links = {
        attributes["download"]: attributes["href"]
        for tag, attributes in elements
        if tag == "a" and "download" in attributes
    }
    made = set(paper().tables) - {"table3"}
    assert links.keys() == {f"{table}.{kind}" for table in made for kind in ("csv", "tex")} | {"claims.csv"}
    for name, address in links.items():
        assert base64.b64decode(address.partition(";base64,")[2]) == (page_files[1] / name).read_bytes()


def test_clouds_are_stored_to_their_size_over_65535(tmp_path):
    points = np.random.default_rng(0).uniform((-2, -1, 3), (2, 1, 9), (500, 3))
    rgb = np.random.default_rng(1).integers(0, 255, (500, 3)).astype(np.uint8)
    write_ply(tmp_path / "a-b.ply", points, rgb)
    found = clouds_view(tmp_path)
    (cloud,) = json.loads(found.data)
    steps = np.frombuffer(base64.b64decode(cloud["points"]), "<u2").reshape(-1, 3)
    np.testing.assert_allclose(cloud["low"] + steps * cloud["step"], points, atol=6 / 65535)
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(cloud["colours"]), np.uint8).reshape(-1, 3), rgb)
    assert found.names == ("a-b",) and clouds_view(tmp_path / "none").names == ()
    (tmp_path / "bad.ply").write_bytes(b"ply\n")
    with pytest.raises(UserError, match="bad.ply is not a file of coloured points"):
        clouds_view(tmp_path)


def test_every_table_is_there_with_all_its_rows(page_study, page, elements):
    shown = {attributes["data-table"] for tag, attributes in elements if tag == "table" and "data-table" in attributes}
    made = set(paper().tables) - {"table3"}
    assert {f"{table}-1" for table in made} <= shown and not any(name.startswith("table3-") for name in shown)
    text = page.read_text()
    for table in made:
        part = text[text.index(f'<article id="{table}"') :]
        body = part[part.index("<tbody>") : part.index("</tbody>")]
        rows = table_rows(page_study, table)
        assert body.count("<tr") == len(rows) + len(beside_rows(page_study, table))
        for cell in (cell for row in rows for cell in row.cells):
            assert body.count(f'href="#cell-{cell}"') == body.count(f'href="#curves-{cell}"') == 1
    buttons = [attributes for tag, attributes in elements if tag == "button"]
    others = [
        one for one in buttons if {"data-do", "data-zoom", "id"} & one.keys() or "zoomable" in one.get("class", "")
    ]
    assert text.count('aria-sort="none"') == len(buttons) - len(others) > 50


def test_numbers_are_the_files_numbers(page, page_files):
    frame = pd.read_csv(page_files[1] / "table2.csv")
    line = frame[
        (frame["mode"] == "cross") & (frame["dataset"] == "scenes-indoor") & (frame["metric"] == "abs_rel")
    ].iloc[0]
    part = page.read_text()
    part = part[part.index('<article id="table2"') : part.index('<article id="table3"')]
    mean, ends = f"{line['mean']:.3f}", f"[{line['ci_low']:.3f}, {line['ci_high']:.3f}]"
    assert f'data-sort="{float(mean)}"' in part and f'<span class="interval">{ends}</span>' in part
    assert 'href="#D3"' in part and "−14.6 %" in part


def test_what_is_not_made_yet_comes_with_its_command(page):
    text = page.read_text()
    for file in ("table3.csv", "fig2.png"):  # the command of another study than the default one names its file
        assert f"snakemake --cores 1 reports/tiny/{file} --configfile FILE_OF_tiny.yaml" in text
    assert "not trained yet" in text


def test_claims_come_first_and_are_complete(page, page_files):
    text = page.read_text()
    assert text.index('<section id="claims"') < text.index('<section id="tables"')
    frame = pd.read_csv(page_files[1] / "claims.csv")
    verdicts = frame.drop_duplicates("claim")["verdict"].value_counts()
    for verdict, count in verdicts.items():
        assert f"<strong>{count}</strong> {verdict}" in text
    assert all(f'id="claim-{claim.id}"' in text for claim in claims())


def test_every_cell_and_every_note_has_a_place(page_study, elements):
    ids = set(_ids(elements))
    assert {f"cell-{name}" for name in all_cells(page_study)} <= ids
    assert {f"curves-{name}" for name in all_cells(page_study)} <= ids
    assert set(paper().notes) <= ids


def _pixels(source):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))))


@pytest.fixture(scope="module")
def thumbnails(page):
    """The comparer's images: (data set, name, picture)."""
    found = re.findall(r'<img id="photo-\d+" src="([^"]+)" alt="(\S+) ([^"]+)">', page.read_text())
    return [(dataset, name, _pixels(source)) for source, dataset, name in found]


def test_the_comparer_shows_teacher_students_and_truth(page_study, page, comparer_data, thumbnails):
    students = {
        next(iter(row.cells)) for table in ("table2", "table4") for row in table_rows(page_study, table) if row.cells
    }
    keys = {"model-vit-large"} | students
    choices = re.search(r'<select id="compare-left">(.*?)</select>', page.read_text(), re.DOTALL)[1]
    assert set(re.findall('<option value="([^"]+)"', choices)) == keys | {"photo", "truth"}
    assert len(comparer_data["images"]) == len(thumbnails) == 6
    for image, (_, _, photo) in zip(comparer_data["images"], thumbnails, strict=True):
        assert set(image["maps"]) == keys | {"truth"}
        assert (image["width"], image["height"]) == (64, 48) == photo.shape[1::-1]
    assert "Left out, assistant, zoo/diffusion" in page.read_text()


def test_maps_of_an_image_share_the_truths_scale(page_files, page_study, comparer_data, thumbnails):
    place = next(place for place, (dataset, _, _) in enumerate(thumbnails) if dataset == "scenes-indoor")
    image, name = comparer_data["images"][place], thumbnails[place][1].replace("rgb", "depth").replace("png", "npy")
    depth = np.load(page_files[0] / page_study.name / "benchmarks/scenes-indoor" / name)
    seen = (depth > 1e-3) & (depth < 10)
    low, high = np.percentile(1 / depth[seen].astype(np.float64), (2, 98))
    stored = image["maps"]["truth"]
    codes = _pixels(stored["source"])[..., 0].astype(float)  # WebP has no single channel
    values = low + (stored["low"] + (codes - 1) / 254 * (stored["high"] - stored["low"])) * (high - low)
    inside = seen & (1 / np.maximum(depth, 1e-3) < low + 1.5 * (high - low))
    assert np.abs(values - 1 / np.maximum(depth, 1e-3))[inside].max() < 0.01 * (high - low)
    assert (codes[~seen] == 0).all()
    assert stored["own"] == pytest.approx([0, 1], abs=1e-3)


def test_the_same_files_give_the_same_bytes(page, page_study, page_files, tmp_path):
    assert write_page(page_study, *page_files, tmp_path).read_bytes() == page.read_bytes()


def test_nothing_made_yet_is_a_page_too(page_study, tmp_path):
    path = write_page(page_study, tmp_path / "results", tmp_path / "reports", tmp_path)
    text = path.read_text()
    _elements(path)
    assert all(f"snakemake --cores 1 reports/tiny/{table}.csv" in text for table in (*paper().tables, "claims"))
    assert "0 of " in text and 'id="comparer-data"' not in text


def test_other_cells_in_a_table_are_told(page_study, page_files, tmp_path):
    other = page_study.model_copy(update={"seeds": (7,)})
    assert "Not of this study as it is configured now" in write_page(other, *page_files, tmp_path).read_text()


@pytest.mark.parametrize(
    ("name", "content"),
    [("table1.csv", "mode,mean\nshared,1\n"), ("claims.csv", "a\n1\n"), ("fig2.png", "no picture"), ("table2.csv", "")],
)
def test_a_damaged_file_is_named(page_study, tmp_path, name, content):
    (tmp_path / name).write_text(content)
    (tmp_path / name).with_suffix(".md").write_text("# A page\n")
    with pytest.raises(UserError, match=name):
        write_page(page_study, tmp_path / "results", tmp_path, tmp_path)


def test_long_logs_are_thinned():
    drawn = str(curve(range(20000), {"loss": [1.0] * 20000, "other": [float("nan")] * 20000}, "Loss"))
    assert drawn.count("polyline") == 1 and drawn.count(",") < 3 * POINTS
    assert curve([0, 1], {"loss": [float("nan")] * 2}, "Loss") == ""


def test_the_verb_writes_the_page(tmp_path, capsys):
    arguments = [
        "--config",
        "config/mini.yaml",
        "--results",
        str(tmp_path),
        "--reports",
        str(tmp_path),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["report", *arguments]) == 0
    assert (tmp_path / "out" / "index.html").is_file() and "index.html" in capsys.readouterr().out


def test_help_stays_quick():
    loaded = (
        "import sys; from dad import cli; cli._parser(); sys.exit('jinja2' in sys.modules or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", loaded], check=True)


def test_premises_are_a_section_where_they_were_measured(page, page_study, page_files, tmp_path):
    assert 'id="premises"' not in page.read_text()
    results = tmp_path / "results"
    folder = Layout(page_study, results).premises
    folder.mkdir(parents=True)
    table = "| premise | finding | verdict |\n|---|---|---|\n| a < b | gain -0.1 [-0.2, +0.0], 9 photos | holds |"
    (folder / "premises.md").write_text(f"# Premises\n\n{table}\n\n## Frames\n\nfar apart\n")
    section = premises_section(Layout(page_study, results), {})
    assert "a &lt; b" in section.text and "far apart" in section.details and "far apart" not in section.text
    # columns of sentences are no columns of numbers: not aligned to the right, no interval taken out and drawn
    assert "gain -0.1 [-0.2, +0.0], 9 photos" in section.text and 'class="value"' not in section.text


def test_links_to_the_seeds_of_a_row_break_between_seeds(page_study):
    cell = next(iter(all_cells(page_study).values()))
    shown = cell_links({"a": cell, "b": cell.model_copy(update={"seed": 1})}, "<row>")
    spans = re.findall(r"<span>(.*?)</span>", shown)
    assert [re.findall('href="#([^"]+)"', span) for span in spans] == [["cell-a", "curves-a"], ["cell-b", "curves-b"]]
    assert "&lt;row&gt;" in shown and "</span> <span>" in shown


def test_learning_curves_are_means_over_the_seeds_of_a_mode_and_normalization(page_study):
    cells = [cell for row in table_rows(page_study, "table1") for cell in row.cells.values()][:2]
    logs = [
        pd.DataFrame({"step": range(4), "loss": [4.0, 3, 2, 1], "agreement": [0, 0.2, 0.4, 0.6 + end]})
        for end in (0, 0.2)
    ]
    runs = [Run(f"{seed}", cells[0], ("table1",), True, {}, log) for seed, log in enumerate(logs)]
    runs += [
        Run("other", cells[1], ("table5",), True, {}, logs[0]),
        Run("none", cells[1], ("table1",), False, {}, None),
    ]
    first, second = learning_curves(runs)
    words = "mean from 0 to 0.7; lowest seed from 0 to 0.6; highest seed from 0 to 0.8"
    assert f"agreement with the labels over 3 steps: {words}" in first
    assert f"{cells[0].mode}, {cells[0].normalization}: loss" in second
