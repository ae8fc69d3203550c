"""Networks: tensors in, tensors out. One architecture per file of ``zoo``; the folder is the registry."""
