"""Families of rich scenes, by style and kind."""

from collections.abc import Callable

from dad.data.scenes.rich import foreign
from dad.data.scenes.rich.lands import driving, outdoor
from dad.data.scenes.rich.rooms import indoor
from dad.data.scenes.rich.stage import Setting
from dad.data.scenes.rich.surfaces import Palette

FAMILIES: dict[str, dict[str, Callable[[Palette], Setting]]] = {
    "rich": {"indoor": indoor, "outdoor": outdoor, "driving": driving},
    "foreign": {"indoor": foreign.indoor, "outdoor": foreign.outdoor, "driving": foreign.driving},
}
