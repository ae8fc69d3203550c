"""The two downloads that most papers of the field use, as BIDS datasets."""
