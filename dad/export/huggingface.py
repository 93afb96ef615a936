"""A folder that `transformers.pipeline("depth-estimation", model=FOLDER)` loads."""

import contextlib
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from dad.export import shipped
from dad.export.parity import Parity, as_rgb, compare, require, sample_image
from dad.export.stock import exact_at_own_size, has_stock_class, stock
from dad.files import scratch_folder, write_json
from dad.models.checkpoints import WRAPPED, Keys, describe, stamped
from dad.models.estimator import Estimator
from dad.models.network import DepthNetwork
from dad.models.policy import InputPolicy

EXACT, STOCK = "transformers", "transformers without trust_remote_code"
"""The two ways of loading a network that transformers has a class for."""


def write_folder(
    network: DepthNetwork, policy: InputPolicy, origin: str, out: Path, pictures: Mapping[str, NDArray[np.uint8]]
) -> list[Parity]:
    """Write weights, config, processor and code into `out`; returns the parities of a square input and of every
    picture.

    The processor is ours (`dad.export.shipped`): the resizing of transformers' own differs from every family's here.
    With `trust_remote_code=True` the pipeline gives the source's maps. Networks that transformers has a class for
    (`dad.export.stock`) load without it as well: how far these maps are off is measured and returned behind the others.
    Every other network needs `trust_remote_code=True` and this package.
    """
    plain = stock(network, policy)
    shipped.copy_processor(out)
    processor = {"policy": asdict(policy), "auto_map": {"AutoImageProcessor": "image_processing_dad.DadImageProcessor"}}
    if plain is not None:
        state = plain.state
        (name,) = plain.config["architectures"]
        described = plain.config | {"auto_map": {"AutoModelForDepthEstimation": f"{Path(plain.code).stem}.{name}"}}
        shipped.copy(plain.code, out)
        processor |= plain.processor
    else:
        state = {f"{WRAPPED}{key}": value for key, value in network.state_dict().items()}
        described = {
            "architectures": ["DadForDepthEstimation"],
            "model_type": "dad",
            "auto_map": {
                "AutoConfig": "modeling_dad.DadConfig",
                "AutoModelForDepthEstimation": "modeling_dad.DadForDepthEstimation",
            },
            "network": network.config.model_dump(mode="json"),
            "dtype": "float32",
        }
        shipped.copy("modeling_dad.py", out)
        processor |= {"image_processor_type": "DadImageProcessor"}
    stored = {key: value.clone().contiguous() for key, value in state.items()}
    keys: Keys = "wrapped" if plain is None else "transformers"
    about = stamped(describe(network, input_size=policy.size, origin=origin, keys=keys), stored)
    # transformers asks for `format`; the other entry lets `dad.models.load` read the file, and notice damage
    save_file(stored, out / "model.safetensors", metadata={"format": "pt", "dad": about})
    write_json(out / "config.json", described)
    write_json(out / "preprocessor_config.json", processor)
    return _check(network, policy, out, pictures)


def _check(
    network: DepthNetwork, policy: InputPolicy, out: Path, pictures: Mapping[str, NDArray[np.uint8]]
) -> list[Parity]:
    side = policy.size or 64
    square = (sample_image(1, side, side)[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    estimator = Estimator(network, name="source", short_side=policy.size, square=policy.fit == "square")
    expected = {name: estimator.predict(as_rgb(picture)) for name, picture in ({"": square} | dict(pictures)).items()}

    def measure(what: str, pipe: Any, name: str, picture: NDArray[np.uint8]) -> Parity:
        height, width = picture.shape[:2]
        found = pipe(Image.fromarray(picture))["predicted_depth"].float().reshape(1, 1, height, width)
        said = f"{what}, {name}" if name else what
        return compare(said, (1, 3, height, width), expected[name], found)

    exact = _pipeline(out, trust=True)
    found = [require(measure(EXACT, exact, "", square))]
    found += [require(measure(EXACT, exact, name, picture)) for name, picture in pictures.items()]
    if has_stock_class(network.config):
        other = _pipeline(out, trust=False)
        at_own_size = measure(STOCK, other, "", square)
        found.append(require(at_own_size) if exact_at_own_size(network.config, policy) else at_own_size)
        found += [measure(STOCK, other, name, picture) for name, picture in pictures.items()]
    return found


def _pipeline(folder: Path, *, trust: bool) -> Any:
    from transformers import pipeline

    with _quiet(), _own_module_cache():
        return pipeline("depth-estimation", model=str(folder), device="cpu", trust_remote_code=trust)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.enable_progress_bar()
        logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _own_module_cache() -> Iterator[None]:
    """transformers copies code that a folder brings along into the user's cache, under the folder's name: the check of
    a folder that is about to be renamed leaves nothing there.
    """
    from transformers import dynamic_module_utils as dynamic

    usual, paths = dynamic.HF_MODULES_CACHE, list(sys.path)
    with scratch_folder() as folder:
        dynamic.HF_MODULES_CACHE = str(folder)
        # before the caches of earlier pipelines, whose root package has the same name
        sys.path.insert(0, str(folder))
        mine = {name for name in sys.modules if name.split(".")[0] == dynamic.TRANSFORMERS_DYNAMIC_MODULE_NAME}
        held = {name: sys.modules.pop(name) for name in mine}
        try:
            yield
        finally:
            dynamic.HF_MODULES_CACHE = usual
            sys.path[:] = paths
            for name in [
                name for name in sys.modules if name.split(".")[0] == dynamic.TRANSFORMERS_DYNAMIC_MODULE_NAME
            ]:
                del sys.modules[name]
            sys.modules.update(held)
