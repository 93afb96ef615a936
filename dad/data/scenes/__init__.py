"""Procedural scenes: an RGB image, exact depth in metres and the camera, as a pure function of (kind, seed, size).

`layouts` decides what stands where, `materials` what it looks like, `render` traces it, `dataset` writes folders of it.
"""

from dad.data.scenes.dataset import write_scenes
from dad.data.scenes.layouts import KINDS
from dad.data.scenes.render import STYLES, Scene, render_scene

__all__ = ["KINDS", "STYLES", "Scene", "render_scene", "write_scenes"]
