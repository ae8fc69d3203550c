"""The dataset on disk: the only room that reads recordings and writes derivatives."""
