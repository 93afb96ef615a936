"""Pixels: photos and their manifest, crops, rendered scenes, labelled benchmarks. Nothing here knows of networks."""
