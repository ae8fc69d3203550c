import re
from importlib.resources import files

import pytest

from bids_eeg2fmri.config import Settings
from bids_eeg2fmri.reports.methods import as_html, bibliography, methods_text, references


@pytest.fixture
def before() -> dict:
    """What is known before anything has run."""
    return {
        "settings": Settings().as_dict(),
        "settings_hash": Settings().hash,
        "provenance": {"random_seed": 3, "versions": {"bids_eeg2fmri": "0.1.0", "python": "3.12", "numpy": "2.4.1"}},
    }


def keys_of(bibtex: str) -> list[str]:
    return re.findall(r"^@\w+\{([\w-]+),$", bibtex, re.MULTILINE)


def cited_in(text: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r"@([\w-]+)", text)))


def test_the_bibliography_holds_what_the_text_cites_and_nothing_else(before, written):
    for summary in (before, written):
        text = methods_text(summary)
        assert len(cited_in(text)) > 5
        assert keys_of(bibliography(text)) == cited_in(text)


def test_every_entry_has_author_title_and_a_place_to_find_it():
    library = (files("bids_eeg2fmri.reports") / "templates" / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{.*?^\}$", library, re.MULTILINE | re.DOTALL)
    assert len(entries) == len(set(keys_of(library))) > 20
    for entry in entries:
        assert re.search(r"^  author +=", entry, re.MULTILINE)
        assert re.search(r"^  title +=", entry, re.MULTILINE)
        assert re.search(r"^  (doi|eprint|pages|howpublished) +=", entry, re.MULTILINE)
        year = re.match(r"@\w+\{[a-z0-9]*?((?:19|20)\d\d),", entry)
        assert year is None or f"year    = {{{year[1]}}}" in re.sub(r"year += ", "year    = ", entry)


def test_every_entry_can_be_cited_in_words():
    library = (files("bids_eeg2fmri.reports") / "templates" / "references.bib").read_text(encoding="utf-8")
    told = references(" ".join(f"[@{key}]" for key in keys_of(library)))
    assert len(told) == len(keys_of(library))
    assert told["james1961"][0] == "James & Stein, 1961"
    assert told["harris2020"] == (
        "Harris et al., 2020",
        "Harris et al., 2020. Array programming with NumPy. Nature 585, 357\N{EN DASH}362. doi:10.1038/s41586-020-2649-2",
    )
    assert not [line for _, line in told.values() if re.search(r"[{}]|\.\.|, ,", line)]


def test_settings_are_told_as_they_were(before):
    before["settings"]["spectrum"] |= {"highest_hz": 33.0, "frame_s": 2.5}
    before["settings"]["training"]["n_folds"] = 7
    before["settings"]["evaluation"]["n_shifts"] = 555
    text = methods_text(before)
    for told in (
        "from 2 to 33 Hz",
        "frames of 2.5 s",
        "7 contiguous blocks",
        "up to 555 circular shifts",
        "numpy 2.4.1 [@harris2020]",
    ):
        assert told in text
    # A window of 18 s and its first frame are longer than the gap of 20 s that is set.
    assert "within 20.5 s of it" in text
    assert f"Random seed 3, settings {before['settings_hash']}." in text


def test_the_correction_of_the_gradient_artefact_is_told_where_there_was_one(before):
    assert "gradients" not in methods_text(before)
    before["recordings"] = [{"name": "sub-01", "gradient": {"corrected": False}}]
    assert "gradients" not in methods_text(before)
    before["recordings"].append({"name": "sub-02", "gradient": {"corrected": True}})
    text = methods_text(before)
    assert (
        "the mean of the 30 volumes around it [@allen2000], then up to 4 principal components of the rest [@niazy2005]"
        in text
    )
    assert keys_of(bibliography(text)) == cited_in(text)
    assert "pulse" not in text
    before["recordings"][0]["pulse"] = {"corrected": True}
    text = methods_text(before)
    assert "The artefact of the pulse was subtracted: the mean over heartbeats" in text
    assert "up to 4 principal components of what differed between them [@niazy2005]" in text
    assert keys_of(bibliography(text)) == cited_in(text)
    before["recordings"][0].pop("pulse")
    before["settings"]["gradient"]["n_components"] = 0
    assert "around it [@allen2000]. Log power" in methods_text(before)


def test_loops_of_carbon_wire_and_adaptive_noise_cancellation_are_told_where_they_were_used(before):
    before["recordings"] = [{"name": "sub-01", "gradient": {"corrected": True}, "wires": {"corrected": False}}]
    text = methods_text(before)
    assert "carbon wire" not in text
    assert "adaptive noise cancellation" not in text
    before["recordings"][0]["wires"] = {"corrected": True}
    before["settings"]["gradient"]["adaptive_noise_cancellation"] = True
    text = methods_text(before)
    assert "windows of 20 s that fade into one another [@vandermeer2016; @masterton2007]" in text
    assert "removed by adaptive noise cancellation [@allen2000; @widrow1975]." in text
    assert keys_of(bibliography(text)) == cited_in(text)


def test_bad_channels_are_told_where_they_were_interpolated(before):
    before["recordings"] = [
        {"name": "sub-01", "bad_channels": {"reasons": {"T7": "never changes"}, "interpolated": False}}
    ]
    assert "spherical splines" not in methods_text(before)
    before["recordings"][0]["bad_channels"]["interpolated"] = True
    text = methods_text(before)
    assert "were interpolated by spherical splines [@perrin1989]." in text
    assert keys_of(bibliography(text)) == cited_in(text)


def test_channels_that_were_placed_or_made_up_are_told(before):
    before["recordings"] = [{"name": "sub-01", "montage": {"by_name": [], "distances_mm": {}}}]
    assert "template of the 10-05 system" not in methods_text(before)
    assert "spherical splines" not in methods_text(before)
    before["recordings"][0]["montage"] = {"by_name": ["Cz"], "distances_mm": {"F1": 31.0}}
    text = methods_text(before)
    assert "interpolated from its electrodes by spherical splines [@perrin1989]." in text
    assert "template of the 10-05 system [@gramfort2013]." in text
    assert keys_of(bibliography(text)) == cited_in(text)


@pytest.mark.parametrize(
    ("by", "told"), [("run", "Every run was predicted"), ("session", "Every session was predicted")]
)
def test_what_is_held_out_is_told(before, by, told):
    before["settings"]["training"]["hold_out"] = by
    text = methods_text(before)
    assert told in text
    assert "contiguous blocks" not in text


def test_only_what_was_done_is_told(before, written):
    done = methods_text(written | {"settings": before["settings"]})
    for of in ("benjamini1995", "kunsch1989", "prichard1994", "dice1945", "calhas2022", "e2fnet2025", "nichols2002"):
        assert f"@{of}]" in done
        assert f"@{of}]" not in methods_text(before) or of == "nichols2002"
    assert (
        "Recording `sub-07_task-rest`: 41 volumes every 2.100 s; evidence of the alignment: marker R128: 41 found"
        in done
    )
    assert "123 circular shifts" in done
    assert "phase-randomized EEG [@prichard1994] (61 draws)" in done


def test_a_model_that_was_applied_is_not_told_as_trained(before):
    text = methods_text(before | {"model": {"architecture": "separable", "bundle": "models/group"}, "recordings": []})
    assert "by a saved model (architecture `separable`)" in text
    assert "Adam" not in text
    assert "@nichols2002" not in text  # nothing was scored


def test_a_summary_without_anything_makes_a_text():
    assert "public domain (CC0" in methods_text({})


def test_html_has_authors_for_keys_and_escapes_what_the_dataset_says():
    html = as_html("**Data.** By *app* `f_x` [@thomson1982; @james1961], <script> [@nobody1900].")
    assert html == (
        "<p><strong>Data.</strong> By <em>app</em> <code>f_x</code> (Thomson, 1982; James &amp; Stein, 1961), "
        "&lt;script&gt; [@nobody1900].</p>"
    )


def test_what_was_done_to_the_bold_is_told_and_nothing_else(before):
    as_recorded = {
        "space": "MNI152NLin2009aAsym", "n_unsteady": 3, "n_left_out": 3, "confounds": "none", "n_confounds": 0,
        "motion": {"realigned": True}, "normalization": {"overlap": [0.9, 0.95]},
    }  # fmt: skip
    text = methods_text(before | {"recordings": [{"name": "sub-01_task-x", "bold_done": as_recorded}]})
    assert "Volumes before the steady state, up to 3 of a run, were left out." in text
    assert "least squares over six degrees of freedom [@friston1995]" in text
    assert "registered with the template MNI152NLin2009aAsym [@fonov2011]" in text
    assert "fmriprep" not in text
    assert "smoothed" not in text
    assert keys_of(bibliography(text)) == cited_in(text)
    preprocessed = {
        "pipeline": "fmriprep", "file": "x", "space": "T1w", "n_unsteady": 0, "n_left_out": 0, "confounds": "simple",
        "n_confounds": 29, "smoothing_fwhm_mm": 6.0,
    }  # fmt: skip
    text = methods_text(before | {"recordings": [{"name": "sub-01_task-x", "bold_done": preprocessed}]})
    assert "as preprocessed by fmriprep [@esteban2019], in the space T1w." in text
    assert "within the brain mask of the pipeline" in text
    assert "Confounds (strategy `simple`, as nilearn [@abraham2014] selects them)" in text
    assert "smoothed within the brain by 6 mm" in text
    assert "realigned" not in text
    assert "[@friston1995]" not in text
    assert keys_of(bibliography(text)) == cited_in(text)
