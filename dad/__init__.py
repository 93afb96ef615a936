"""Distill Any Depth, reproduced: pseudo-label distillation of monocular depth, its ablations and its evaluation.

`dad.load`, `dad.predict`, `dad.evaluate` and `dad.train` are functions (`dad.api`); everything else is in the
subpackages.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dad.api import evaluate, load, predict, train

__version__ = "0.1.0"
__all__ = ["evaluate", "load", "predict", "train"]


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: `import dad` must not pay for it
    if name in __all__:
        from dad import api

        return getattr(api, name)
    raise AttributeError(f"module 'dad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
