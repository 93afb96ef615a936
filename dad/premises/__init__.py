"""Premises: whether the conditions of the paper's effects hold for a teacher and photos, before anything is trained.

`sources` gives photos, with exact or measured depth where there is some; `patches` compares a teacher's local labels with its
global ones; `leak` asks how far an error of one region reaches under each normalization; `shares` which term rules a training;
`facts` gathers all of it (and `dad.report.premises` writes it down).
"""

from dad.premises.facts import gather, read_facts

__all__ = ["gather", "read_facts"]
