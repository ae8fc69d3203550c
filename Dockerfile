# docker build -t bids_eeg2fmri .
# docker run --rm --read-only --tmpfs /tmp --network none --user "$(id -u):$(id -g)" \
#     -v /path/to/bids:/data:ro -v /path/to/derivatives:/out bids_eeg2fmri /data /out participant
#
# apptainer.def makes the same for Apptainer: what changes here, changes there.

FROM python:3.11-slim-bookworm AS dependencies
# TensorFlow's C++ headers and libclang serve to compile extensions of TensorFlow, and take 350 MB. The bytecode that pip
# writes stays: without it imports take twice as long, and a read-only container could not keep its own.
COPY requirements.lock /src/
RUN python -m venv --without-pip /opt/bids_eeg2fmri \
    && pip --python /opt/bids_eeg2fmri/bin/python install --no-cache-dir --require-hashes -r /src/requirements.lock \
    && rm -rf /opt/bids_eeg2fmri/lib/python3.11/site-packages/tensorflow/include \
              /opt/bids_eeg2fmri/lib/python3.11/site-packages/clang/native


FROM python:3.11-slim-bookworm AS package
COPY pyproject.toml LICENSE /src/
COPY bids_eeg2fmri /src/bids_eeg2fmri
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /dist /src


FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="bids_eeg2fmri" \
      org.opencontainers.image.description="BIDS App that synthesizes fMRI from EEG" \
      org.opencontainers.image.authors="The bids_eeg2fmri developers" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm" \
      org.bids.app="true" \
      org.bids.app.analysis-levels="participant,group"

# Any user may run this, one without a name and a home too, and nothing outside /tmp and the output has to be writable.
# The number of threads is left to the options of the app: a limit that was set here would win over them.
ENV PATH=/opt/bids_eeg2fmri/bin:$PATH \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1 \
    LANG=C.UTF-8 \
    HOME=/tmp \
    USER=bids \
    LOGNAME=bids \
    XDG_CACHE_HOME=/tmp/.cache \
    XDG_CONFIG_HOME=/tmp/.config \
    MPLCONFIGDIR=/tmp/.cache/matplotlib \
    MPLBACKEND=Agg \
    KERAS_HOME=/tmp/.cache/keras

# The dependencies are a layer of their own, which lasts until the lock changes: a new version of the app is a small one.
COPY --from=dependencies /opt/bids_eeg2fmri /opt/bids_eeg2fmri
COPY --from=package /dist /dist
RUN pip --python /opt/bids_eeg2fmri/bin/python install --no-cache-dir --no-deps /dist/*.whl \
    && python -c "from importlib.metadata import version; print(version('bids_eeg2fmri'))" > /version

ENTRYPOINT ["bids_eeg2fmri"]
