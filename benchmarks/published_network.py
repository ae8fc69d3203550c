"""Seconds and memory of the network of Calhas & Henriques at the published shapes, with its dense and its low-rank decoder.

64 channels x 134 frequencies x 10 frames of EEG; volumes of 64 x 64 x 30 voxels, or 32 coefficients. Best of several; CPU
seconds beside them, which other work on the machine disturbs less.

    python benchmarks/published_network.py [--repeats N] [--threads N] [--voxels SHARE] [--no-onednn]
"""

import argparse
import os
import resource
import subprocess
import sys
import time


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--voxels", type=float, default=1.0, help="share of the volume that is brain")
    parser.add_argument("--no-onednn", action="store_true", help="as TensorFlow does by itself on many processors")
    parser.add_argument("--decoder", choices=["dense", "low_rank"], help="measure this one here")
    options = parser.parse_args()
    if options.decoder:
        measure(options)
        return
    for decoder in ("dense", "low_rank"):  # a process each, for peak memory
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--decoder", decoder], check=True)


def measure(options: argparse.Namespace) -> None:
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0" if options.no_onednn else "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import numpy as np
    import tensorflow as tf

    from bids_eeg2fmri.models.registry import load_architecture
    from bids_eeg2fmri.models.spec import SampleSpec

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.threads)
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    architecture = load_architecture("calhas2022", {"decoder": options.decoder})
    mask = rng.random((64, 64, 30)) < options.voxels if architecture.predicts == "voxels" else None
    spec = SampleSpec(
        tuple(2.16 * frame for frame in range(10)),
        tuple(f"E{number}" for number in range(64)),
        tuple((k + 1) / 2.16 for k in range(134)),
        n_outputs=32 if mask is None else int(mask.sum()),
        mask=mask,
    )
    model = architecture.build(spec)
    model.compile(keras.optimizers.Adam(0.003), loss="mse", jit_compile=False)
    print(f"{options.decoder}: {model.count_params():,} parameters", flush=True)

    def report(name, call, n):
        call()  # traces
        walls, cpus = [], []
        for _ in range(options.repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            walls.append(time.perf_counter() - wall)
            cpus.append(time.process_time() - cpu)
        print(
            f"  {name}: {min(walls):.3f} s, {n / min(walls):.0f} volumes/s, {min(cpus) / n:.3f} CPU s per volume",
            flush=True,
        )

    for n in (1, 16):
        power = rng.standard_normal((n, *spec.power_shape), dtype=np.float32)
        report(f"inference, batch {n}", lambda power=power: model.predict_on_batch(power), n)
    print(f"  peak of inference: {peak_gb():.1f} GB")
    for n in (4, 16):
        power = rng.standard_normal((n, *spec.power_shape), dtype=np.float32)
        y = rng.standard_normal((n, spec.n_outputs), dtype=np.float32)
        report(f"training step, batch {n}", lambda power=power, y=y: model.train_on_batch(power, y), n)
    print(f"  peak of training: {peak_gb():.1f} GB")


def peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
