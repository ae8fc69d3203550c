"""Is it better than chance, and better than what ignores the EEG? Numbers in, numbers out."""
