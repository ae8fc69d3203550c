"""From synthesized BOLD to a group."""
