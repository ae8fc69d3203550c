"""Published metrics computed by other libraries: the constants of tests/evaluation/test_published.py.

The libraries are no dependencies of the project. In an environment of their own:

    pip install scikit-image torchmetrics torch
    python benchmarks/reference_metrics.py

With TensorFlow (in the project's own environment), SSIM of calhas2022 by the function that the original calls.
"""

from importlib.metadata import version
from importlib.util import find_spec

import numpy as np


def make_images(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Make measured and predicted volumes (x, y, z, volumes), just as the test does."""
    rng = np.random.default_rng(7)
    noise, other = rng.standard_normal((2, 21, 18, 11, 4))
    if kind == "noise":
        return noise, other
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in (21, 18, 11)), indexing="ij")
    head = np.where(x**2 + y**2 + z**2 < 0.9, 1000 + 200 * np.cos(5 * x) * np.sin(4 * y + z), 0)[..., None]
    return head + 20 * noise * (head > 0), 0.9 * head + 15 * other * (head > 0)


def calhas2022_by_scikit_image(measured, predicted):
    from skimage.metrics import structural_similarity

    def ssim(x, y):
        return structural_similarity(
            x, y, data_range=max(x.max(), y.max()), gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )

    return _calhas2022(measured, predicted, ssim)


def calhas2022_by_tensorflow(measured, predicted):
    import tensorflow as tf

    def ssim(x, y):
        x, y = (tf.constant(image[..., None], tf.float32) for image in (x, y))
        return float(tf.image.ssim(x, y, max_val=max(np.max(x), np.max(y))))

    return _calhas2022(measured, predicted, ssim)


def _calhas2022(measured, predicted, ssim):
    measured, predicted = ((image - image.mean()) / image.std() for image in (measured, predicted))
    rmse, mae, similar = [], [], []
    for x, y in zip(np.moveaxis(measured, 3, 0), np.moveaxis(predicted, 3, 0), strict=True):
        rmse.append(np.sqrt(((x - y) ** 2).mean()))
        mae.append(np.abs(x - y).mean())
        similar.append(np.mean([ssim(x[:, :, 3 * k], y[:, :, 3 * k]) for k in range(x.shape[2] // 3)]))
    return {"RMSE": np.mean(rmse), "MAE": np.mean(mae), "SSIM": np.mean(similar)}


def e2fnet2025_by_torchmetrics(measured, predicted):
    import torch
    from torchmetrics import MeanSquaredError
    from torchmetrics.image import PeakSignalNoiseRatio, StructuralSimilarityIndexMeasure

    metrics = {
        "SSIM": StructuralSimilarityIndexMeasure(data_range=1.0, sigma=1.5, kernel_size=11),
        "PSNR": PeakSignalNoiseRatio(data_range=1.0),
        "RMSE": MeanSquaredError(squared=False),
    }
    values = []
    for x, y in zip(np.moveaxis(measured, 3, 0), np.moveaxis(predicted, 3, 0), strict=True):
        # (batch of one, slices as channels, x, y)
        scaled = ((image - image.min()) / (image.max() - image.min()) for image in (x, y))
        x, y = (torch.tensor(np.moveaxis(image, 2, 0)[None].copy()) for image in scaled)
        values.append([float(metric(y, x)) for metric in metrics.values()])
    return dict(zip(metrics, np.mean(values, axis=0), strict=True))


def main() -> None:
    libraries = {
        "scikit-image": ("skimage", calhas2022_by_scikit_image),
        "tensorflow": ("tensorflow", calhas2022_by_tensorflow),
        "torchmetrics": ("torchmetrics", e2fnet2025_by_torchmetrics),
    }
    for name, (module, compute) in libraries.items():
        if find_spec(module) is None:
            continue
        print(f"{name} {version(name)}, numpy {version('numpy')}")
        for kind in ("noise", "head"):
            values = {metric: round(float(value), 8) for metric, value in compute(*make_images(kind)).items()}
            print(f"  {compute.__name__}, {kind}: {values}")


if __name__ == "__main__":
    main()
