"""The page in a real Chromium, opened from disk: keyboard, touch, phone width, both colour schemes, no errors.

Needs `chromium` and `chromedriver` (Debian packages chromium and chromium-driver). DAD_SCREENSHOTS=FOLDER keeps the
pictures.
"""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BROWSER, DRIVER = shutil.which("chromium") or shutil.which("chromium-browser"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="chromium or chromedriver is not installed (apt: chromium chromium-driver)"
)

FLAGS = ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking")
FLAGS += ("disable-component-update", "disable-sync", "disable-dev-shm-usage")
DESKTOP, PHONE = (1280, 900), (360, 740)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"user-data-dir={tmp_path_factory.mktemp('browser')}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def visit(browser, page):
    """Opens the page anew at a size and in a colour scheme; afterwards nothing may have been complained about."""

    def go(size=DESKTOP, scheme="light", anchor=""):
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": size == PHONE})
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get("about:blank")
        browser.get(f"{page.as_uri()}{anchor}")
        wait(lambda: browser.execute_script("return document.getElementById('stage').dataset.drawn"))
        return browser

    def wait(condition):
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(browser, 20).until(lambda _: condition())

    go.wait = wait
    yield go
    assert browser.get_log("browser") == []


def _one(browser, selector):
    from selenium.webdriver.common.by import By

    return browser.find_element(By.CSS_SELECTOR, selector)


def _press(browser, *keys):
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def _focus(browser, selector):
    browser.execute_script(
        "const e = document.querySelector(arguments[0]); e.focus(); e.scrollIntoView({block: 'center'})", selector
    )


def _picture(browser, name):
    """What is on screen (H,W,3); kept under DAD_SCREENSHOTS where that is set."""
    data = browser.get_screenshot_as_png()
    if folder := os.environ.get("DAD_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.png").write_bytes(data)
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def _column(browser, table, place):
    script = (
        "const rows = document.querySelectorAll(`table[data-table=${arguments[0]}-1] tbody tr`);"
        "return [...rows].map(row => row.cells[arguments[1]].dataset.sort)"
    )
    return [float(value) if value else None for value in browser.execute_script(script, table, place)]


def test_a_table_is_sorted_by_keyboard(visit):
    from selenium.webdriver.common.keys import Keys

    browser = visit()
    header = "table[data-table=table1-1] thead th:nth-child(3)"
    before = _column(browser, "table1", 2)
    _focus(browser, f"{header} button")
    _press(browser, Keys.ENTER)
    assert _one(browser, header).get_attribute("aria-sort") == "ascending"
    assert _column(browser, "table1", 2) == sorted(before) != before
    _press(browser, Keys.SPACE)
    assert _one(browser, header).get_attribute("aria-sort") == "descending"
    assert _column(browser, "table1", 2) == sorted(before, reverse=True)
    assert "descending" in _one(browser, "#announcement").get_attribute("textContent")
    _press(browser, Keys.ENTER)
    assert _column(browser, "table1", 2) == before and _one(browser, header).get_attribute("aria-sort") == "none"


def test_what_has_no_value_stays_at_the_end(visit):
    browser = visit()
    for _ in range(2):
        _one(browser, "table[data-table=table5-1] thead th:nth-child(2) button").click()
        values = _column(browser, "table5", 1)
        assert (
            None in values and None not in values[: values.index(None)] and set(values[values.index(None) :]) == {None}
        )


def test_details_open_by_keyboard_and_by_link(visit):
    from selenium.webdriver.common.keys import Keys

    browser = visit()
    details = _one(browser, "#table2-details")
    assert not details.get_attribute("open")
    _focus(browser, "#table2-details summary")
    _press(browser, Keys.ENTER)
    assert details.get_attribute("open")
    assert _one(browser, "#table2-details table[data-table=table2-more-1]").is_displayed()
    _press(browser, Keys.ENTER)
    assert not details.get_attribute("open")
    link = _one(browser, '#table2 a[href="#table2-details"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", link)
    visit.wait(lambda: details.get_attribute("open"))


def test_claims_are_chosen_by_verdict(visit):
    from selenium.webdriver.common.keys import Keys

    browser = visit(anchor="#claims")
    shown = (
        "return [...document.querySelectorAll('#claims tr[data-verdict]')].filter(e => e.offsetHeight).map(e => "
        "e.dataset.verdict)"
    )
    every = browser.execute_script(shown)
    _focus(browser, "[name=verdict]")
    _press(browser, Keys.ARROW_RIGHT)
    chosen = browser.execute_script(shown)
    assert len(set(chosen)) == 1 and 0 < len(chosen) == every.count(chosen[0]) < len(every)


def test_the_border_moves_by_keyboard_and_shows_more_of_one_side(visit):
    from selenium.webdriver.common.keys import Keys

    browser = visit(anchor="#comparer")
    _focus(browser, "#border")
    before = _picture(browser, "comparer")
    _press(browser, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.PAGE_DOWN)
    border = _one(browser, "#border")
    assert border.get_property("value") == "36" and "36 %" in border.get_attribute("aria-valuetext")
    assert (before != _picture(browser, "comparer-moved")).any(axis=2).mean() > 0.02
    _press(browser, Keys.END)
    assert border.get_property("value") == "100"
    _press(browser, Keys.HOME, Keys.ARROW_LEFT)
    assert border.get_property("value") == "0"
    _press(browser, "++")
    assert _one(browser, "#compare-zoom").text == "225 %"
    _picture(browser, "comparer-enlarged")
    view = (
        "const s = document.getElementById('stage'); return [s.scrollWidth / s.clientWidth, s.scrollLeft, s.scrollTop]"
    )
    larger, left, top = browser.execute_script(view)
    assert larger == pytest.approx(2.25, rel=0.02) and left > 0 and top > 0  # its middle stays in the middle
    _press(browser, "0")
    assert _one(browser, "#compare-zoom").text == "100 %" and browser.execute_script(view)[0] == 1


def test_colours_mean_the_same_on_the_common_scale(visit, comparer_data):
    browser = visit()
    key = list(comparer_data["images"][0]["maps"])[-1]
    pixels = (
        "const c = document.getElementById(`layer-${arguments[0]}`);"
        "const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', {willReadFrequently: true});"
        "copy.drawImage(c, 0, 0); return [...copy.getImageData(0, 0, c.width, c.height).data]"
    )

    def choose(scale):
        script = """
            const [scale, key] = arguments;
            for (const [id, value] of [['left', 'truth'], ['right', key]]) {
              const picker = document.getElementById(`compare-${id}`);
              picker.value = value;
              picker.dispatchEvent(new Event('change', {bubbles: true}));
            }
            document.querySelector(`[name=scale][value=${scale}]`).click();
        """
        browser.execute_script(script, scale, key)
        visit.wait(lambda: _one(browser, "#stage").get_attribute("data-drawn") == f"0 truth {key} {scale} spectral")
        return [np.reshape(browser.execute_script(pixels, side), (48, 64, 4))[..., :3] for side in ("left", "right")]

    common, own = choose("common"), choose("own")
    assert (common[1] != own[1]).any()
    assert np.abs(common[0].astype(int) - own[0]).max() <= 8  # the truth's own scale is the common one
    assert "AbsRel" in _one(browser, "#plate-right").text


def test_points_are_turned_by_keyboard_and_by_hand(visit):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser = visit(anchor="#fig10")
    _focus(browser, "#cloud")
    drawn = lambda: _one(browser, "#cloud").get_attribute("data-drawn")  # noqa: E731
    visit.wait(lambda: drawn() == "0 0.00 0.00 1.00")
    before = _picture(browser, "cloud")
    _press(browser, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP, "+")
    visit.wait(lambda: drawn() == "0 0.20 0.10 1.20")
    assert (before != _picture(browser, "cloud-turned")).any(axis=2).mean() > 0.005
    ActionChains(browser).drag_and_drop_by_offset(_one(browser, "#cloud"), -60, 0).perform()
    visit.wait(lambda: float(drawn().split()[1]) < 0)
    _one(browser, "#cloud-reset").click()
    visit.wait(lambda: drawn() == "0 0.00 0.00 1.00")


def test_a_tables_first_column_stays_on_a_phone(visit):
    browser = visit(PHONE)
    script = """
        const box = document.querySelector("#table1 .scroll");
        box.scrollLeft = 150;
        return [box.scrollLeft, ...[...box.querySelectorAll("thead th:first-child, tbody th")].map(
          (head) => head.getBoundingClientRect().left - box.getBoundingClientRect().left)];
    """
    moved, *places = browser.execute_script(script)
    assert moved > 100 and len(places) > 5 and max(map(abs, places)) <= 1.5


def test_a_link_opens_its_cell(visit, page_study):
    from dad.study.cells import table_rows

    browser = visit()
    cell = next(iter(table_rows(page_study, "table2")[-1].cells))
    link = _one(browser, f'a[href="#curves-{cell}"]')
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'}); arguments[0].click()", link)
    visit.wait(lambda: _one(browser, f"#cell-{cell.replace('+', chr(92) + '+')}").get_attribute("open") is not None)
    assert _one(browser, f'[id="cell-{cell}"] svg').is_displayed()
    _one(browser, "#cell-filter").send_keys("cross")
    assert _one(browser, "#cell-count").text.startswith(str(sum("cross" in name for name in _cells(page_study))))


def _cells(study):
    from dad.study.cells import all_cells

    return all_cells(study)


def test_a_figure_is_enlarged_and_closed_by_keyboard(visit):
    from selenium.webdriver.common.keys import Keys

    browser = visit()
    _focus(browser, ".zoomable")
    _press(browser, Keys.ENTER)
    assert _one(browser, "#viewer").get_attribute("open") is not None
    assert "Fig. 7" in _one(browser, "#viewer-title").text
    _press(browser, Keys.ESCAPE)
    visit.wait(lambda: _one(browser, "#viewer").get_attribute("open") is None)
    assert browser.execute_script("return document.activeElement.className") == "zoomable"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_fits_the_screen_in_both_schemes(visit, size, scheme):
    browser = visit(size, scheme)
    content, room, window = browser.execute_script(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth, innerWidth]"
    )
    assert content <= room and window == size[0]
    background = _picture(browser, f"{'phone' if size == PHONE else 'desktop'}-{scheme}")[:, 2].mean()
    assert background > 200 if scheme == "light" else background < 60


def test_the_border_follows_a_finger(visit):
    browser = visit(PHONE)
    browser.execute_script("document.getElementById('stage').scrollIntoView({block: 'center'})")
    box = browser.execute_script(
        "const b = document.getElementById('stage').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
    )
    y = box[1] + box[3] / 2
    for kind, share in (("touchStart", 0.5), ("touchMove", 0.4), ("touchMove", 0.25), ("touchEnd", None)):
        points = [] if share is None else [{"x": box[0] + share * box[2], "y": y}]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert int(_one(browser, "#border").get_property("value")) == pytest.approx(25, abs=2)


def test_without_scripts_the_numbers_are_there(visit):
    browser = visit()
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.refresh()
        assert _one(browser, "table[data-table=table1-1] tbody td.value").is_displayed()
        assert not _one(browser, "#compare").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
