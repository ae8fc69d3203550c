"""From windows to a synthesizer."""
