"""The bundle: what comes out is what went in, and nothing else is taken for it."""

import hashlib
import json
import pickle
import shutil
from dataclasses import replace

import keras
import numpy as np
import pytest

from bids_eeg2fmri.bold.basis import Basis
from bids_eeg2fmri.bold.grid import Grid
from bids_eeg2fmri.errors import MissingFilesError, ModelError
from bids_eeg2fmri.models.registry import build_model
from bids_eeg2fmri.training.fitting import adapt_standardization
from bids_eeg2fmri.training.synthesizer import Synthesizer, load_synthesizer

AFFINE = np.array([[-3.0, 0.1, 0, 40], [0, 3.5, 0, -55], [0, 0, 4, -30], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def synthesizer(samples, spec):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    network = build_model("separable", spec, {"n_bands": 3})
    adapt_standardization(network, samples[0], np.arange(100))
    grid = Grid(rng.random((7, 8, 9)) < 0.4, AFFINE)
    components = np.linalg.qr(rng.standard_normal((grid.n_voxels, 2)))[0].T.astype(np.float32)
    template = (500 + 50 * rng.random((7, 8, 9))).astype(np.float32)
    card = {"architecture": "separable", "architecture_options": {"n_bands": 3}, "trained_on": ["sub-01_task-rest"]}
    card |= {"frame_s": 2.0, "step_s": 2.0, "tr_s": 2.0, "relative_power": False, "settings": {}, "settings_hash": "0"}
    scale, error = np.array([2.0, 0.3], np.float32), rng.random(grid.n_voxels).astype(np.float32)
    return Synthesizer(network, spec, Basis(components), grid, template, scale, error, card)


@pytest.fixture(scope="module")
def saved(synthesizer, tmp_path_factory):
    return synthesizer.save(tmp_path_factory.mktemp("bundle") / "models" / "mine")


@pytest.fixture
def bundle(saved, tmp_path):
    """Give a copy that a test may break."""
    return shutil.copytree(saved, tmp_path / "models" / "mine")


def edit_card(bundle, **changes):
    path = bundle / "card.json"
    card = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in card.items() if value is not None}))


def test_a_bundle_predicts_as_what_was_saved(synthesizer, bundle, samples):
    loaded = load_synthesizer(bundle)
    which = np.arange(150, 190)
    np.testing.assert_array_equal(loaded.predict(samples[0], which), synthesizer.predict(samples[0], which))
    assert loaded.predict(samples[0], which).shape == (40, synthesizer.grid.n_voxels)
    assert loaded.predict(samples[0], which).std() > 0
    assert loaded.spec == synthesizer.spec
    assert loaded.grid.same_as(synthesizer.grid)
    np.testing.assert_array_equal(loaded.grid.mask, synthesizer.grid.mask)
    np.testing.assert_array_equal(loaded.template, synthesizer.template)
    np.testing.assert_array_equal(loaded.error, synthesizer.error)
    assert loaded.card["trained_on"] == ["sub-01_task-rest"]


def test_a_bundle_survives_being_moved_and_saved_again(synthesizer, bundle, samples, tmp_path):
    shutil.move(bundle, tmp_path / "elsewhere")
    twice = load_synthesizer(load_synthesizer(tmp_path / "elsewhere").save(tmp_path / "again"))
    np.testing.assert_array_equal(
        twice.predict(samples[0], np.arange(9)), synthesizer.predict(samples[0], np.arange(9))
    )


def test_a_bundle_is_numbers_and_text(bundle):
    images = {f"{name}.nii.gz" for name in ("mask", "template", "components", "error")}
    assert {path.name for path in bundle.iterdir()} == images | {"card.json", "network.weights.h5"}
    for path in bundle.iterdir():
        assert path.read_bytes()[:4] in (b"{\n  ", b"\x89HDF") or path.read_bytes()[:2] == b"\x1f\x8b"
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["mine"]


def test_saving_replaces_the_whole_bundle(synthesizer, bundle):
    (bundle / "left over").write_text("from an older version")
    replace(synthesizer, output_scale=np.array([5.0, 6.0], np.float32)).save(bundle)
    assert not (bundle / "left over").exists()
    np.testing.assert_array_equal(load_synthesizer(bundle).output_scale, [5, 6])


def test_a_failed_save_leaves_the_old_bundle(synthesizer, bundle):
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    with pytest.raises(TypeError):
        replace(synthesizer, card=synthesizer.card | {"what": object()}).save(bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["mine"]


@pytest.mark.parametrize("name", ["card.json", "network.weights.h5", "mask.nii.gz"])
def test_a_missing_file_is_named(name, bundle):
    (bundle / name).unlink()
    with pytest.raises(MissingFilesError, match=f"mine: expected a bundle with .*, found no {name}; check --model"):
        load_synthesizer(bundle)


@pytest.mark.parametrize("name", ["network.weights.h5", "template.nii.gz", "components.nii.gz", "error.nii.gz"])
def test_a_file_that_was_changed_is_noticed(name, bundle):
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(bytes(content))
    with pytest.raises(ModelError, match=f"{name}: is not the file that the card describes; copy the bundle anew"):
        load_synthesizer(bundle)


def test_a_newer_bundle_asks_for_an_update(bundle):
    edit_card(bundle, format_version=3)
    with pytest.raises(ModelError, match="expected a bundle of format 2 or older, found 3; update bids_eeg2fmri"):
        load_synthesizer(bundle)


def test_a_bundle_from_before_errors_were_kept_is_read(synthesizer, bundle, samples):
    (bundle / "error.nii.gz").unlink()
    hashes = json.loads((bundle / "card.json").read_text())["sha256"]
    edit_card(bundle, format_version=1, sha256={name: hashes[name] for name in hashes if name != "error.nii.gz"})
    loaded = load_synthesizer(bundle)
    assert np.isnan(loaded.error).all()
    np.testing.assert_array_equal(
        loaded.predict(samples[0], np.arange(9)), synthesizer.predict(samples[0], np.arange(9))
    )


@pytest.mark.parametrize(
    "changes",
    [{"channels": None}, {"lags_s": "many"}, {"output_scale": ["x"]}, {"format_version": "new"}, {"sha256": None},
     {"sha256": 3}, {"step_s": None}, {"frame_s": None}, {"tr_s": "2 s"}, {"relative_power": None},
     {"positions_m": [None]}, {"positions_m": "here"}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_broken_card_is_told(changes, bundle):
    edit_card(bundle, **changes)
    with pytest.raises(
        ModelError, match=r"card.json: expected the card of a bundle, found it broken \(.*\); save it anew"
    ):
        load_synthesizer(bundle)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_card_that_is_none_is_told(text, bundle):
    (bundle / "card.json").write_text(text)
    with pytest.raises(ModelError, match="expected the card of a bundle, found it broken"):
        load_synthesizer(bundle)


def test_an_architecture_that_nobody_knows_is_told(bundle):
    edit_card(bundle, architecture="seperable")
    with pytest.raises(ModelError, match=r"cannot use the architecture 'seperable': .*; did you mean separable"):
        load_synthesizer(bundle)


def test_an_architecture_of_another_package_is_imported_only_if_the_user_names_it(bundle, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    edit_card(bundle, architecture="elsewhere.network")
    with pytest.raises(
        ModelError, match=r"of another package, .*; set training.architecture of --config-file to elsewh"
    ):
        load_synthesizer(bundle)
    with pytest.raises(SystemExit, match="imported"):
        load_synthesizer(bundle, trusted="elsewhere.network")


def test_weights_of_another_size_are_told(bundle):
    edit_card(bundle, architecture_options={"n_bands": 5})
    with pytest.raises(ModelError, match="the weights do not fit the architecture separable") as caught:
        load_synthesizer(bundle)
    assert "\n" not in str(caught.value)


def test_loading_runs_nothing_of_the_bundle(bundle, tmp_path):
    """A pickle where weights or images should be, with a card that vouches for it, is refused and not run."""

    class Trap:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'sprung')!r}, 'w').close()",))

    trap = pickle.dumps(Trap())
    pickle.loads(trap)
    assert (tmp_path / "sprung").exists()
    (tmp_path / "sprung").unlink()
    for name in ("network.weights.h5", "template.nii.gz"):
        whole = (bundle / name).read_bytes()
        hashes = json.loads((bundle / "card.json").read_text())["sha256"]
        (bundle / name).write_bytes(trap)
        edit_card(bundle, sha256=hashes | {name: hashlib.sha256(trap).hexdigest()})
        with pytest.raises(ModelError):
            load_synthesizer(bundle)
        assert not (tmp_path / "sprung").exists()
        (bundle / name).write_bytes(whole)
        edit_card(bundle, sha256=hashes)


def test_a_basis_is_kept_where_most_of_it_is_left(synthesizer):
    grid = synthesizer.grid
    assert np.array_equal(synthesizer.basis_on(grid).components, synthesizer.basis.components)
    smaller = grid.mask.copy()
    smaller[:5] = False
    with pytest.raises(ModelError, match="expected a brain that holds at least 90% of what the model's components"):
        synthesizer.basis_on(replace(grid, mask=smaller))
    one_less = grid.mask.copy()
    one_less[tuple(np.argwhere(grid.mask)[0])] = False
    assert synthesizer.basis_on(replace(grid, mask=one_less)).components.shape == (2, grid.n_voxels - 1)
    of_voxels = replace(synthesizer, spec=replace(synthesizer.spec, mask=grid.mask))
    with pytest.raises(ModelError, match="separable puts out each voxel of the model's brain"):
        of_voxels.basis_on(replace(grid, mask=one_less))
