"""Synthesize fMRI from EEG: a BIDS App.

The folders are the way of the data::

    cli.py, config.py      what to do and how, checked once
    convert/               downloads of others to BIDS datasets, before all else
    bids/                  the dataset on disk: recordings found, paired and read; derivatives written
    eeg/                   EEG in memory: volume onsets on its clock, the scanner's artefacts, power over time and frequency
    bold/                  BOLD in memory: mask, voxels as a table, drift, low-rank basis, regions
    windows.py             the EEG before a volume, paired with the volume
    models/                networks: one layer per file, one architecture per file
    training/              from windows to a synthesizer, and its bundle on disk
    evaluation/            splits, baselines, agreement, chance
    classification/        from participants' features to groups
    reports/               derivatives to HTML
    workflow/              where everything meets
    testing/               datasets whose answer is known
"""

__version__ = "0.1.0"
