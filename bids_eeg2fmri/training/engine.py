"""Start Keras and its backend quietly, seeded, on the processors that were granted."""

import contextlib
import os
import sys
from collections.abc import Iterator

from bids_eeg2fmri.errors import UsageError


def start_engine(*, seed: int, n_cpus: int, device: str = "auto") -> str:
    """Import Keras with TensorFlow unless ``KERAS_BACKEND`` says otherwise; seed it; return what it runs on.

    Parameters
    ----------
    seed : int
    n_cpus : int
        Threads of the backend; with the same number, seed and machine, results are the same to the last bit.
    device : {"auto", "cpu", "gpu"}

    Raises
    ------
    UsageError
        If a GPU is asked for and none can be used.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _stderr_closed():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            with contextlib.suppress(RuntimeError):  # threads and devices can be set once per process
                tf.config.threading.set_intra_op_parallelism_threads(n_cpus)
                tf.config.threading.set_inter_op_parallelism_threads(1)
                if device == "cpu":
                    tf.config.set_visible_devices([], "GPU")
        found = device != "cpu" and has_gpu()
    if device == "gpu" and not found:
        raise UsageError("--device gpu: expected a GPU, found none that the backend can use; use --device auto or cpu")
    keras.utils.set_random_seed(seed)
    return f"{keras.backend.backend()} on {'GPU' if found else f'{n_cpus} CPU threads'}"


def has_gpu() -> bool:
    """Tell whether the engine that was started computes on a GPU."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.get_visible_devices("GPU"))
    return any("gpu" in name or "cuda" in name for name in keras.distribution.list_devices())


@contextlib.contextmanager
def _stderr_closed() -> Iterator[None]:
    """Keep the notices of TensorFlow's libraries off the terminal; its log level does not reach all of them."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
