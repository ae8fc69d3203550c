"""The reports as people open them: from disk, in a browser."""

import copy as copying
import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote

import nibabel as nib
import numpy as np
import pytest

from bids_eeg2fmri.evaluation.__main__ import main
from bids_eeg2fmri.reports.participant import participant_report

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
HOSTILE = "<script>window.harmed=1</script><img src=x onerror=window.harmed=2>\"'><b onclick=alert(1)>$\\"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        message = f"expected a browser, one of {', '.join(NAMES)}, on the PATH; on Debian: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        # Root, as in a container, may not use the sandbox.
        arguments = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
        running = playwright.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


@pytest.fixture
def visit(browser):
    """Open a file; when the test is over, nothing may have been complained of or fetched."""
    opened, complaints = [], []

    def open_page(path: Path, **options):
        context = browser.new_context(**{"viewport": DESKTOP, "offline": True} | options)
        opened.append(context)
        page = context.new_page()
        address = path.resolve().as_uri()

        def note(request):
            if request.url.split("#")[0] != address and not request.url.startswith(("data:", "blob:")):
                complaints.append(f"asked for {request.url[:99]}")

        page.on("request", note)
        page.on("requestfailed", lambda request: complaints.append(f"missing: {request.url[:99]}"))
        page.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.goto(address)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def everything(viewable, written) -> Path:
    """A page with a viewer, a failed recording, and hostile names wherever a dataset has a say."""
    summary = copying.deepcopy(written)
    good = copying.deepcopy(viewable.entry)
    good |= {"name": f"sub-07_task-{HOSTILE}", "pairing": HOSTILE, "event_conflicts": [HOSTILE]}
    good["alignment"] |= {"evidence": HOSTILE, "notes": [HOSTILE], "code": HOSTILE}
    good["spectrum"]["channels"][1] = HOSTILE
    good["gradient"] = {
        "corrected": True, "ratio": 5.7, "n_volumes": 40, "volume_db": [38.5, -8.7], "slice_db": [], "freqs_hz": [1.0, 2.0, 3.0],
        "spectra_db": [[9.0, 30.0, 8.0], [9.0, 8.5, 8.0]],
    }  # fmt: skip
    good["pulse"] = {
        "source": HOSTILE,
        "n_beats": 90,
        "ratio": 1.7,
        "corrected": True,
        "locked_uv": [23.6, 0.1],
        "reason": "",
        "alpha": 0.98,
    }
    good["wires"] = {
        "loops": [HOSTILE],
        "left_out": {HOSTILE: "never changes"},
        "explained": 0.6,
        "corrected": True,
        "size_uv": [25.0, 12.0],
        "alpha": None,
    }
    good["bad_channels"] = {"reasons": {HOSTILE: "never changes"}, "interpolated": True}
    failed = {"name": "sub-07_task-nap", "eeg": "nap.vhdr", "bold": "nap.nii", "pairing": "same run", "files": {}}
    failed |= {"status": "failed", "remark": f"nap_eeg.vhdr: expected 100 volumes, found {HOSTILE}"}
    summary["covariates"] = {HOSTILE: HOSTILE}
    summary["recordings"] = [good, failed]
    row = {"recording": good["name"], "condition": HOSTILE, "r": 0.3, "dice": 0.2, "threshold_share": 0.1}
    summary["task"] = [row | {"model": model} for model in ("separable", "schedule only")]
    summary["provenance"]["command"] = HOSTILE
    return viewable.derivatives.write_report("sub-07", participant_report(viewable.derivatives, summary))


@pytest.fixture(scope="module")
def judgement(tmp_path_factory) -> Path:
    """The page about somebody's prediction, in files of hostile names."""
    folder = tmp_path_factory.mktemp("judgement")
    rng = np.random.default_rng(0)
    signal = np.cumsum(rng.standard_normal((9, 10, 9, 120)), axis=-1)
    brain = np.pad(np.full((5, 6, 5, 1), 900.0), [(2, 2), (2, 2), (2, 2), (0, 0)])
    paths = [folder / f"{name}{HOSTILE.replace('/', '')}.nii.gz" for name in ("predicted", "measured")]
    for path, noise in zip(paths, (0.0, 2.0), strict=True):
        values = brain + signal + noise * rng.standard_normal(signal.shape)
        image = nib.Nifti1Image(values.astype(np.float32), np.diag([12.0, 12.0, 12.0, 1.0]))
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((12.0, 12.0, 12.0, 2.0))
        nib.save(image, path)
    assert main([*map(str, paths), "--output", str(folder / "out")]) == 0
    return folder / "out" / "report.html"


@pytest.fixture(params=["participant", "group", "everything", "judgement"])
def report(request) -> Path:
    """Each kind of page."""
    if request.param in ("everything", "judgement"):
        return request.getfixturevalue(request.param)
    run = request.getfixturevalue(f"{request.param}_run")
    return run.output / ("group.html" if request.param == "group" else "sub-01.html")


def test_a_page_opens_without_network_and_its_pictures_are_there(visit, report):
    page = visit(report)
    page.wait_for_load_state("networkidle")
    assert re.search("synthesized|synthesis|predicted", page.title(), re.IGNORECASE)
    widths = page.eval_on_selector_all("img", "all => all.map(one => one.complete ? one.naturalWidth : 0)")
    assert len(widths) >= 1
    assert min(widths) > 0


def test_links_lead_to_files_and_places_that_exist(visit, report):
    page = visit(report)
    targets = page.eval_on_selector_all("a[href]", "all => all.map(one => one.getAttribute('href'))")
    places = set(page.eval_on_selector_all("[id]", "all => all.map(one => one.id)"))
    assert len(targets) > 5
    for target in targets:
        assert target[1:] in places if target.startswith("#") else (report.parent / unquote(target)).is_file(), target


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_axe_finds_no_serious_fault(visit, report, scheme, viewport):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(report, viewport=viewport, color_scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    found = Axe().run(page).response
    assert len(found["passes"]) > 10
    serious = [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]][:3])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("width", [320, 390])
def test_a_phone_need_not_scroll_sideways(visit, report, width):
    page = visit(report, viewport={"width": width, "height": 844}, is_mobile=True, has_touch=True)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_tab_reaches_the_link_to_the_content(visit, report):
    page = visit(report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"


def test_details_open_by_keyboard(visit, report):
    page = visit(report)
    closed = page.locator("details:not([open]) > summary").first
    closed.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open")


def test_print_keeps_what_is_on_the_page(visit, report):
    page = visit(report)
    page.emulate_media(media="print")
    headings = page.locator("h2, h3").all_inner_texts()
    assert len(headings) > 3
    assert all(place.is_visible() for place in page.locator("h2, h3, figure img").all())
    heights = page.eval_on_selector_all("details > :not(summary)", "all => all.map(one => one.offsetHeight)")
    assert all(height > 0 for height in heights)
    document = page.pdf()
    assert document.startswith(b"%PDF")
    assert len(document) > 20_000


def test_what_a_dataset_says_stays_text(visit, everything):
    page = visit(everything)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    page.wait_for_timeout(200)
    assert page.evaluate("window.harmed") is None
    shown = page.locator("body").inner_text()
    # Column and value, pairing, evidence, note, conflict, failure, command, task name, condition, ECG, bad channel.
    assert shown.count(HOSTILE) >= 12
    assert page.locator("img[src=x], b[onclick]").count() == 0
    assert page.locator("script:not([type])").count() == 1  # our own


def test_a_hostile_participants_table_stays_text(visit, copy, app, participant_run, tmp_path):
    dataset = copy(["04"])  # EEG alone, to which a model that is there is applied
    words = HOSTILE.replace("\\", "")
    (dataset / "participants.tsv").write_text(f"participant_id\t{words}\nsub-04\t{words}\n")
    result = app(dataset, tmp_path / "out", "participant", "--model", participant_run.output / "models" / "sub-01")
    assert result.code == 0, result.err
    page = visit(tmp_path / "out" / "sub-04.html")
    assert page.evaluate("window.harmed") is None
    assert page.locator("header").inner_text().count(words) == 2
    assert page.locator("img[src=x]").count() == 0


def test_the_policy_stops_a_script_that_got_in(browser, everything, tmp_path):
    """The second line of defense: escaping is the first."""
    broken = tmp_path / "broken.html"
    html = everything.read_text().replace("</main>", f"{HOSTILE}</main>")
    broken.write_text(html)
    page = browser.new_page()
    page.goto(broken.as_uri())
    page.wait_for_timeout(200)
    assert page.evaluate("window.harmed") is None
    assert page.locator(".viewer").is_visible()
    page.close()


def test_the_viewer_tells_the_numbers_of_the_place_under_the_cursor(visit, everything, viewable):
    page = visit(everything)
    sides = [viewable.residual("measured"), viewable.residual("synthesized")]
    for place, time in [((0, 0, 0), 0), ((4, 2, 6), 17), ((1, 5, 3), 35)]:
        move(page, place, time)
        mm = np.array(place) * (20, 21, 22) + (-40, -69, -48)
        told = words_at_cursor(page, f"At {mm[0]}, {mm[1]}, {mm[2]} mm and {2.1 * (time + 5):.1f} s: ")
        numbers = [float(number) for number in re.findall(r"-?\d+\.\d+", told.split(" s: ")[1])]
        courses = [side[np.ravel_multi_index(place, (5, 6, 7))] for side in sides]
        for number, course in zip(numbers[:2], courses, strict=True):
            assert number == pytest.approx(course[time], abs=np.abs(course).max() / 254 + 0.0051)
        assert numbers[2] == pytest.approx(np.corrcoef(*courses)[0, 1], abs=0.011)


def test_slices_show_each_place_where_it_is(visit, everything, viewable):
    """Left at the left, front and top at the top, increase in red."""
    page = visit(everything)
    place, time = (3, 1, 5), 7
    move(page, place, time)
    for side in ("measured", "synthesized"):
        volume = viewable.residual(side)[:, time].reshape(5, 6, 7)
        for plane, slice_ in {
            "axial": volume[:, :, place[2]], "coronal": volume[:, place[1], :], "sagittal": volume[place[0], :, :]
        }.items():  # fmt: skip
            canvas = page.locator(f"canvas[data-side={side}][data-plane={plane}]")
            # Off the middles, where the lines of the cursor run.
            drawn = canvas.evaluate(
                """(one, [columns, rows]) => {
                  const { data } = one.getContext("2d").getImageData(0, 0, one.width, one.height);
                  const pixel = (x, y) => 4 * (Math.floor(y * one.height) * one.width + Math.floor(x * one.width));
                  return Array.from({ length: columns }, (_, x) => Array.from({ length: rows }, (_, y) => {
                    const start = pixel((x + 0.27) / columns, 1 - (y + 0.73) / rows);
                    return [...data.slice(start, start + 4)];
                  }));
                }""",
                list(slice_.shape),
            )
            red, _, blue, opaque = np.moveaxis(np.array(drawn), -1, 0)
            clear = np.abs(slice_) > 0.2 * np.abs(slice_).max()
            clear[[0, -1], -1] = False  # there are the letters of the sides
            assert clear.sum() > 10
            assert np.all(opaque == 255)
            assert np.array_equal((red > blue)[clear], (slice_ > 0)[clear])


def test_arrow_keys_move_the_cursor_and_change_all_pictures(visit, everything):
    page = visit(everything)
    pictures = "() => [...document.querySelectorAll('.viewer canvas')].map(one => one.toDataURL())"
    page.wait_for_function("document.querySelector('.viewer canvas').width > 20")
    for name in ("x", "y", "z", "time"):
        before = page.evaluate(pictures)
        slider = page.locator(f".viewer input[name={name}]")
        text = slider.get_attribute("aria-valuetext")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert slider.get_attribute("aria-valuetext") != text
        assert all(old != new for old, new in zip(before, page.evaluate(pictures), strict=True))


def test_a_click_into_a_slice_moves_the_cursor_there(visit, everything):
    page = visit(everything)
    canvas = page.locator("canvas[data-side=synthesized][data-plane=coronal]")
    canvas.scroll_into_view_if_needed()
    frame = canvas.bounding_box()
    canvas.click(position={"x": 0.1 * frame["width"], "y": 0.05 * frame["height"]})
    values = [page.locator(f".viewer input[name={name}]").input_value() for name in "xyz"]
    assert (values[0], values[2]) == ("0", "6")  # left, top
    page.mouse.move(frame["x"] + 0.5 * frame["width"], frame["y"] + 0.5 * frame["height"])
    page.mouse.down()
    page.mouse.move(frame["x"] + 2 * frame["width"], frame["y"] + 0.95 * frame["height"])  # beyond the edge
    page.mouse.up()
    values = [page.locator(f".viewer input[name={name}]").input_value() for name in "xyz"]
    assert (values[0], values[2]) == ("4", "0")


def test_one_color_scale_for_both_is_the_wider_one(visit, everything):
    page = visit(everything)
    # The viewer is drawn once its series are unpacked.
    page.wait_for_function("() => [...document.querySelectorAll('.viewer .high')].every(one => one.textContent)")
    ends = "() => [...document.querySelectorAll('.viewer .high')].map(one => one.textContent)"
    measured, synthesized = page.evaluate(ends)
    assert float(measured.strip("+ %")) > float(synthesized.strip("+ %"))
    page.locator(".viewer input[type=checkbox]").press("Space")
    assert page.evaluate(ends) == [measured, measured]


def test_without_scripts_and_in_print_words_stand_for_the_viewer(visit, everything):
    page = visit(everything, java_script_enabled=False)
    assert page.locator(".instead").is_visible()
    assert not page.locator(".viewer").is_visible()
    page = visit(everything)
    assert page.locator(".viewer").is_visible()
    assert not page.locator(".instead").is_visible()
    page.emulate_media(media="print")
    assert page.locator(".instead").is_visible()
    assert not page.locator(".viewer").is_visible()


def test_an_old_browser_is_told_why_there_is_no_viewer(browser, everything):
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto(everything.as_uri())
    assert "DecompressionStream" in page.locator(".instead").inner_text()
    assert not page.locator(".viewer").is_visible()
    page.close()


def move(page, place, time) -> None:
    """Put the viewer's cursor on a block and a time."""
    for name, value in zip(("x", "y", "z", "time"), (*place, time), strict=True):
        page.locator(f".viewer input[name={name}]").fill(str(value))


def words_at_cursor(page, start: str) -> str:
    """Wait for the text at the cursor, which is throttled; give it with plain minus signs."""
    page.wait_for_function(
        "start => document.querySelector('.readout').textContent.replaceAll('\u2212', '-').startsWith(start)",
        arg=start,
    )
    return page.locator(".readout").inner_text().replace("\N{MINUS SIGN}", "-")
