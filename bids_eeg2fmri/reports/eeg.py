"""The EEG of a recording: its power, and what that tells about its quality."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bids_eeg2fmri.bids.recordings import shorten
from bids_eeg2fmri.reports.figures import GREY, INK, Picture, blank, picture
from bids_eeg2fmri.reports.wording import count, number, percent

# A channel whose power is this far from the median of the channels is worth a look.
FAR_DB = 10.0
_LINE_HZ = (50.0, 60.0)


def draw_spectra(spectrum: Mapping[str, Any]) -> Picture:
    """Show the mean power of each channel over frequency."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable

    freqs, power, middle = _read(spectrum)
    names = spectrum["channels"]
    distance = (power - middle).mean(axis=1)
    farthest = int(np.argmax(np.abs(distance)))
    front = np.array(
        [np.nan if xyz is None else xyz[1] for xyz in spectrum.get("positions_m") or [None] * len(names)], float
    )
    known = np.isfinite(front)
    with blank(3.2) as figure:
        axes = figure.subplots()
        if known.any() and np.ptp(front[known]) > 0:
            # The light end of the scale would not be seen on white.
            scale = colormaps["viridis"].resampled(256)
            shade = (front - front[known].min()) / np.ptp(front[known])
            colors = [scale(0.85 * s) if k else GREY for s, k in zip(shade, known, strict=True)]
            bar = figure.colorbar(
                ScalarMappable(cmap=scale), ax=axes, aspect=30, ticks=[0, 0.85], boundaries=np.linspace(0, 0.85, 50)
            )
            bar.ax.set_yticklabels(["back", "front"])
            bar.outline.set_visible(False)
        else:
            colors = [GREY] * len(names)
        for line, color in zip(power, colors, strict=True):
            axes.plot(freqs, line, color=color, linewidth=0.9, alpha=0.8)
        axes.plot(freqs, middle, color=INK, linewidth=2.2, label="median of the channels")
        axes.legend(fontsize=10)
        axes.set_xlabel("frequency (Hz)")
        axes.set_ylabel("power (dB re 1 µV²/Hz)")
        peak = _peak(freqs, middle)
        return picture(
            figure,
            alt=f"Power of {count(len(names), 'channel')} from {number(freqs[0], 0)} to {number(freqs[-1], 0)} Hz. The median "
            f"falls from {number(middle[0], 0)} to {number(middle[-1], 0)} dB"
            f"{f', with a peak at {number(peak[0], 0)} Hz' if peak else ''}. Channel {names[farthest]} "
            f"lies farthest from it, by {number(distance[farthest], 1)} dB on average.",
            caption="Mean over the recording, one line per channel, average reference. A channel that stands apart by more than "
            f"about {FAR_DB:.0f} dB is worth a look.",
        )


def draw_artefact(gradient: Mapping[str, Any]) -> Picture:
    """Show the power of the median channel before and after the artefact of the gradients was subtracted."""
    before, after = gradient["spectra_db"]
    with blank(3.2) as figure:
        axes = figure.subplots()
        axes.plot(gradient["freqs_hz"], before, color=GREY, linewidth=0.9, label="as recorded")
        axes.plot(gradient["freqs_hz"], after, color=INK, linewidth=1.4, label="artefact subtracted")
        axes.legend(fontsize=10)
        axes.set_xlabel("frequency (Hz)")
        axes.set_ylabel("power (dB re 1 µV²/Hz)")
        at_before, at_after = gradient["volume_db"]
        return picture(
            figure,
            alt=f"Power of the median channel during the volumes. As recorded, the harmonics of the volumes stand "
            f"{number(at_before, 0)} dB above the EEG beside them; after the artefact was subtracted {number(at_after, 0)} dB.",
            caption="Median channel during the volumes, before and after. Where lines are left, or where the alpha rhythm is "
            "gone, the correction has failed. Somewhat less than the EEG is left at the harmonics: a template holds a little "
            "of the EEG.",
        )


def describe_artefact(gradient: Mapping[str, Any]) -> str:
    """Say what was found of the artefact of the gradients, and what became of it."""
    ratio = gradient.get("ratio")
    if ratio is None or np.isnan(ratio):
        return "not looked for: too few volumes"
    if not gradient.get("corrected"):
        return (
            f"none to speak of: what volumes have in common is {number(ratio)} of the rest; the EEG was left as it is"
        )
    told = f"subtracted from {count(gradient['n_volumes'], 'volume')}"
    for name, key in (("volumes", "volume_db"), ("slices", "slice_db")):
        if gradient.get(key):
            before, after = gradient[key]
            told += f"; {name}\N{RIGHT SINGLE QUOTATION MARK} harmonics {number(before, 0)} dB over the EEG beside them before, "
            told += f"{number(after, 0)} dB after"
    return told


def describe_wires(wires: Mapping[str, Any]) -> str:
    """Say what loops of carbon wire told of a moving head, and what became of it."""
    loops = wires.get("loops") or []
    left_out = "".join(f"; {name} left out: it {reason}" for name, reason in (wires.get("left_out") or {}).items())
    by = f"{count(len(loops), 'carbon-wire loop')} ({', '.join(loops)})"
    if wires.get("corrected"):
        before, after = wires["size_uv"]
        told = f"regressed, by {by}; EEG of {number(before, 1)} µV before, {number(after, 1)} µV after"
        return told + _describe_alpha(wires) + left_out
    if wires.get("explained") is None or np.isnan(wires["explained"]):
        return f"not looked for: {'less than a minute of EEG' if loops else 'no carbon-wire loop that works'}{left_out}"
    share = max(0.0, 100 * wires["explained"])
    return f"none to speak of, by {by}: they foretell {number(share, 1)} % of the EEG; it was left as it is{left_out}"


def _describe_alpha(artefact: Mapping[str, Any]) -> str:
    share = artefact.get("alpha")
    if share is None or np.isnan(share):
        return ""
    return f"; the alpha rhythm has {number(100 * share, 0)} % of its power left"


def describe_pulse(pulse: Mapping[str, Any]) -> str:
    """Say what was found of the artefact of the pulse, and what became of it."""
    if not pulse.get("source"):
        return f"not looked for, as no heartbeats were found ({pulse.get('reason') or 'no reason given'})"
    by = (
        f"{count(pulse['n_beats'], 'heartbeat')} by {'the EEG itself' if pulse['source'] == 'EEG' else pulse['source']}"
    )
    if pulse.get("corrected"):
        before, after = pulse["locked_uv"]
        told = f"subtracted, {by}; locked to them {number(before, 1)} µV before, {number(after, 1)} µV after"
        return told + _describe_alpha(pulse)
    if pulse.get("ratio") is None or np.isnan(pulse["ratio"]):
        return f"not looked for: {by} are too few"
    return f"none to speak of, {by}: what they have in common is {number(pulse['ratio'])} of the rest; the EEG was left as it is"


def describe_bad_channels(bad: Mapping[str, Any]) -> str:
    """Say which channels were bad, why, and what became of them."""
    reasons = bad.get("reasons") or {}
    if not reasons:
        return "none found"
    told = "; ".join(f"{name} {reason}" for name, reason in reasons.items())
    return f"{'interpolated from the others' if bad.get('interpolated') else 'left out'}: {told}"


def describe_places(montage: Mapping[str, Any]) -> str:
    """Say where the positions of a recording's channels are from."""
    by_name, unplaced = (list(montage.get(key) or []) for key in ("by_name", "unplaced"))
    told = [f"{montage['n_measured']} as measured"] if montage.get("n_measured") else []
    few = f" ({shorten(by_name, 6)})" if told and len(by_name) < 20 else ""
    told += [f"{len(by_name)} by name, on a template head{few}"] if by_name else []
    told += [f"{len(unplaced)} unknown ({shorten(unplaced, 6)})"] if unplaced else []
    remark = montage.get("remark")
    return "; ".join(told) + (f". Those that were measured are not used: {remark}" if remark else "")


def describe_covering(montage: Mapping[str, Any]) -> str:
    """Say which channels are interpolated because they are wanted and not here, and how well electrodes cover them."""
    distances_mm, n = montage.get("distances_mm") or {}, montage["n_channels"]
    if not distances_mm:
        return f"all {n} channels that {montage['wanted_by']} asked for are here"
    told = (
        f"{len(distances_mm)} of {n} channels that {montage['wanted_by']} asked for are interpolated from the others; their "
        f"nearest electrodes are {number(min(distances_mm.values()), 0)} to {number(max(distances_mm.values()), 0)} mm away. "
        f"{percent(montage['covered'])} of the {n} are covered"
    )
    far = list(montage.get("far") or [])
    return told + (f"; no electrode is near to {shorten(far, 6)}: take what is synthesized with care" if far else "")


def describe_eeg(
    spectrum: Mapping[str, Any],
    gradient: Mapping[str, Any] | None = None,
    pulse: Mapping[str, Any] | None = None,
    bad_channels: Mapping[str, Any] | None = None,
    wires: Mapping[str, Any] | None = None,
    montage: Mapping[str, Any] | None = None,
) -> list[tuple[str, str]]:
    """List what the artefacts and the mean spectrum tell about the EEG: (what is asked, answer)."""
    freqs, power, middle = _read(spectrum)
    names = [str(name) for name in spectrum["channels"]]
    placed = sum(xyz is not None for xyz in spectrum.get("positions_m") or [])
    distance = (power - middle).mean(axis=1)
    far = [i for i in np.argsort(-np.abs(distance)) if abs(distance[i]) > FAR_DB]
    farthest = int(np.argmax(np.abs(distance)))
    peak = _peak(freqs, middle)
    line = next((hz for hz in _LINE_HZ if freqs[0] < hz < freqs[-1]), None)
    listed = ", ".join(f"{names[i]} ({number(distance[i], 1)} dB)" for i in far[:6])
    artefacts = [("Gradient artefact", describe_artefact(gradient))] if gradient else []
    artefacts += [("Motion of the head", describe_wires(wires))] if wires else []
    artefacts += [("Pulse artefact", describe_pulse(pulse))] if pulse else []
    artefacts += [("Bad channels", describe_bad_channels(bad_channels))] if bad_channels else []
    return [
        *artefacts,
        ("Channels", f"{len(names)}, {'all' if placed == len(names) else placed or 'none'} with a known position"),
        *([("Positions", describe_places(montage))] if montage else []),
        *([("Montage", describe_covering(montage))] if montage and montage.get("wanted_by") else []),
        (
            "Apart from the others",
            f"{listed}{' and more' if len(far) > 6 else ''}"
            if far
            else f"none by more than {FAR_DB:.0f} dB; the farthest is {names[farthest]}, {number(distance[farthest], 1)} dB",
        ),
        (
            "Alpha rhythm",
            f"peak at {number(peak[0], 0)} Hz, {number(peak[1], 1)} dB above its surroundings in the median channel"
            if peak
            else "no peak between 6 and 14 Hz in the median channel",
        ),
        (
            "Line noise",
            f"can\N{RIGHT SINGLE QUOTATION MARK}t be seen: power was computed up to {number(freqs[-1], 0)} Hz"
            if line is None
            else f"look for a peak at {number(line, 0)} Hz in the figure",
        ),
    ]


def _read(spectrum: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frequencies in Hz, power (channels, frequencies) in dB relative to 1 µV²/Hz, and the median channel's."""
    power = np.array(spectrum["mean_db"], dtype=float) + 120  # from V^2 to microvolt^2
    return np.array(spectrum["freqs_hz"], dtype=float), power, np.median(power, axis=0)


def _peak(freqs: np.ndarray, power: np.ndarray) -> tuple[float, float] | None:
    """Find the highest peak between 6 and 14 Hz: where, and by how much above a line through the ends of that range."""
    inside = np.flatnonzero((freqs >= 6) & (freqs <= 14))
    inner = [i for i in inside if 0 < i < len(freqs) - 1 and power[i - 1] < power[i] >= power[i + 1]]
    if not inner:
        return None
    best = max(inner, key=lambda i: power[i])
    # Power falls with the logarithm of frequency.
    floor = np.interp(np.log(freqs[best]), np.log(freqs[inside[[0, -1]]]), power[inside[[0, -1]]])
    return float(freqs[best]), float(power[best] - floor)
