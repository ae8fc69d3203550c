"""Is it better than chance, and better than what ignores the EEG? Numbers in, numbers out.

To judge files: ``python -m bids_eeg2fmri.evaluation PREDICTED MEASURED``, or from Python
``bids_eeg2fmri.workflow.judging.judge_files``. With arrays, these rooms can be used one by one; docs/evaluation.md of the
project has the formulas and an example::

    splits        hold_out, pair_once: what is learned from and what is judged, nested, with a gap; none that leaks can be made
    baselines     fit_ridge on time_features, schedule_features, cardiac_features, expand_motion: what needs no EEG
    metrics       measure_agreement of Courses: r, skill and amplitude of each voxel and over all
    patterns      spatial_r, connectivity_agreement, spectral_agreement, without_global
    task          design_matrix, split_by_block, map_contrasts, agree: first-level maps of both sides
    ceilings      split_half_reliability, intersubject_correlation: what could be reached
    chance        compare_with a Forecast shifted in time, exchanged, or with randomize_phases: p, corrected over regions
    inference     block_intervals over time; bootstrap_interval and p_by_sign_flips over participants
    published     calhas2022, e2fnet2025: metrics of whole images under their papers' names, never without a mean image
    confounds     read_confounds: motion as fMRIPrep has it
"""
