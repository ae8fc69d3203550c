"""Derivatives -> HTML: pages that open anywhere, from the numbers and images that a run wrote."""
