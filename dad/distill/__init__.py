"""Distillation: normalisation of maps, the losses of the paper's equations 1-9, and what trains a student with them."""
