import numpy as np
import pytest

from bids_eeg2fmri.evaluation.published import calhas2022, e2fnet2025

# Printed by benchmarks/reference_metrics.py on 2026-11-26: scikit-image 0.26.0, torchmetrics 1.4.3 (the version that
# E2fNet locks; 1.9.0 gives the same digits) with torch 2.14.1, numpy 2.4.6. tf.image.ssim of TensorFlow 2.21.0 gives
# the SSIM of calhas2022 as well, within 2e-7.
BY_SCIKIT_IMAGE = {
    "noise": {"RMSE": 1.41747889, "MAE": 1.13176618, "SSIM": -0.01184829},
    "head": {"RMSE": 0.03286912, "MAE": 0.01586255, "SSIM": 0.97706648},
}
BY_TORCHMETRICS = {
    "noise": {"SSIM": 0.01959429, "PSNR": 13.91007423, "RMSE": 0.20173962},
    "head": {"SSIM": 0.99496228, "PSNR": 36.71789551, "RMSE": 0.01462411},
}
METRICS = pytest.mark.parametrize("metrics", [calhas2022, e2fnet2025])


def make_images(kind):
    """Just as benchmarks/reference_metrics.py."""
    rng = np.random.default_rng(7)
    noise, other = rng.standard_normal((2, 21, 18, 11, 4))
    if kind == "noise":
        return noise, other
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (21, 18, 11)), indexing="ij")
    head = np.where(x**2 + y**2 + z**2 < 0.9, 1000 + 200 * np.cos(5 * x) * np.sin(4 * y + z), 0)[..., None]
    return head + 20 * noise * (head > 0), 0.9 * head + 15 * other * (head > 0)


@pytest.mark.parametrize("kind", ["noise", "head"])
def test_calhas2022_is_what_scikit_image_computes(kind):
    assert calhas2022(*make_images(kind)) == pytest.approx(BY_SCIKIT_IMAGE[kind], abs=1e-5, rel=0)


@pytest.mark.parametrize("kind", ["noise", "head"])
def test_e2fnet2025_is_what_torchmetrics_computes(kind):
    assert e2fnet2025(*make_images(kind)) == pytest.approx(BY_TORCHMETRICS[kind], abs=1e-5, rel=0)


@METRICS
def test_single_precision_and_order_in_memory_make_no_difference(metrics):
    images = make_images("head")
    single = [np.asfortranarray(image.astype(np.float32)) for image in images]
    assert metrics(*single) == pytest.approx(metrics(*images), abs=1e-5)


@METRICS
def test_the_unit_of_the_prediction_makes_no_difference(metrics):
    measured, predicted = make_images("head")
    assert metrics(measured, 0.01 * predicted - 4) == pytest.approx(metrics(measured, predicted), abs=1e-9)


def test_a_prediction_without_error_is_perfect():
    measured, _ = make_images("head")
    assert calhas2022(measured, measured) == pytest.approx({"RMSE": 0, "MAE": 0, "SSIM": 1})
    assert e2fnet2025(measured, measured) == pytest.approx({"RMSE": 0, "SSIM": 1, "PSNR": np.inf})


@METRICS
@pytest.mark.parametrize("constant", [0.0, 5.1])
def test_constant_images_and_volumes_give_numbers(metrics, constant):
    measured, predicted = make_images("head")
    flat = np.full_like(measured, constant)
    predicted[..., 2] = constant
    for pair in ((measured, flat), (flat, measured), (measured, predicted), (flat, flat)):
        assert not np.isnan(list(metrics(*pair).values())).any()
    assert metrics(measured, flat)["SSIM"] < 0.7 < metrics(flat, flat)["SSIM"] == 1


def test_only_every_third_slice_counts_for_the_ssim_of_calhas2022():
    measured, predicted = make_images("noise")
    shuffled = predicted.copy()
    shuffled[:, :, [1, 2, 4, 5, 7, 8, 9, 10]] = predicted[:, :, [10, 4, 1, 9, 2, 5, 8, 7]]  # 11 // 3 slices: 0, 3, 6
    assert calhas2022(measured, shuffled)["SSIM"] == pytest.approx(calhas2022(measured, predicted)["SSIM"])
    assert calhas2022(measured, shuffled)["RMSE"] != pytest.approx(calhas2022(measured, predicted)["RMSE"], abs=1e-4)


def test_slices_smaller_than_a_window_have_no_ssim():
    small = np.random.default_rng(0).standard_normal((10, 13, 7, 3))
    assert np.isnan(calhas2022(small, small)["SSIM"])
    assert e2fnet2025(small, small)["SSIM"] == pytest.approx(1)
    assert np.isnan(e2fnet2025(small[:5], small[:5])["SSIM"])


@METRICS
def test_images_of_different_shapes_are_refused(metrics):
    with pytest.raises(ValueError, match=r"same shape .* \(9, 8, 7, 3\) and \(9, 8, 7, 2\)"):
        metrics(np.ones((9, 8, 7, 3)), np.ones((9, 8, 7, 2)))


@METRICS
def test_ssim_can_hardly_tell_a_good_model_from_a_mean_image(metrics):
    """Why these metrics decide nothing: nearly all that they see is anatomy, which needs no EEG."""
    rng = np.random.default_rng(1)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (23, 26, 12)), indexing="ij")
    head = np.where(x**2 + y**2 + z**2 < 0.9, 1000 + 200 * np.cos(9 * x) * np.sin(7 * y + z), 0)[..., None]
    front = np.clip(y, 0, None)[..., None]  # changes, by 4 % at its rim; the noise of a voxel is 1 %
    signal = 0.04 * head * front * rng.standard_normal(15)
    measured = head + signal + 0.01 * head * rng.standard_normal((*head.shape[:3], 15))
    model = head + signal  # knows all that can be known
    mean_image = np.broadcast_to(head, measured.shape)
    active = (head * front)[..., 0] > 0
    assert np.corrcoef((measured - head)[active].ravel(), signal[active].ravel())[0, 1] > 0.7
    by_model, by_mean_image = (metrics(measured, image)["SSIM"] for image in (model, mean_image))
    assert by_mean_image > 0.99
    assert 0 < by_model - by_mean_image < 0.001
