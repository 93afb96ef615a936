"""Networks (`build(name)`, with random weights) and estimators (`load(name_or_path)`, ready to predict)."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dad.models.estimator import load
    from dad.models.registry import build

__all__ = ["build", "load"]


def __getattr__(name: str) -> object:
    # torch and timm take seconds to import: `import dad.models.config` (study, command line) must not pay for them
    if name == "build":
        from dad.models.registry import build

        return build
    if name == "load":
        from dad.models.estimator import load

        return load
    raise AttributeError(f"module 'dad.models' has no attribute {name!r}")
