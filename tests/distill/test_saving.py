"""The same step in less memory or with a compiler: equal results, and memory that is really saved."""

import pytest
import torch

from dad.distill.heads import make_student
from dad.distill.saving import save_where_asked
from dad.distill.train import cell_loss
from dad.errors import UserError
from dad.models.config import MidasDptConfig, MidasSmallConfig, MidasSwinConfig, VitDptConfig
from dad.models.registry import build_network
from dad.study.cells import cell_id

TOKENS = {"width": 32, "depth": 6, "heads": 2, "taps": (1, 2, 4, 5), "reassemble": (8, 8, 16, 16), "fusion": 8}
FAMILIES = {
    "vit-dpt": VitDptConfig(patch=16, grid=4, **TOKENS),
    "hybrid": VitDptConfig(patch=16, grid=4, stem="hybrid", **TOKENS),
    "beit": MidasDptConfig(encoder="beit", grid=4, classes=0, **TOKENS),
    "vit": MidasDptConfig(encoder="vit", grid=4, classes=0, **TOKENS),
    "swin": MidasSwinConfig(width=8, depths=(2, 2, 2, 2), heads=(1, 1, 2, 2), window=4, size=64, fusion=8, classes=0),
}


def fresh(config):
    torch.manual_seed(0)
    network = build_network(config)
    with torch.no_grad():
        network.last_bias.fill_(5.0)
    return network


def asked(cell, **changes):
    return cell.optim.model_copy(update=changes)


def step(network, loss):
    """The loss, all gradients, and the bytes the forward pass keeps for the backward pass beside the parameters."""
    parameters, kept = {p.data_ptr() for p in network.parameters()}, {}

    def keep(tensor):
        if tensor.data_ptr() not in parameters:
            kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        value = loss(network)
    value.backward()
    return (
        value.detach(),
        {name: p.grad for name, p in network.named_parameters() if p.grad is not None},
        sum(kept.values()),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_activations_computed_anew_give_the_same_bits_and_keep_less(family, cell):
    pixels = torch.rand(2, 3, 64, 64)

    def loss(network):
        prediction, features = network(pixels, with_features=True)
        return prediction.square().mean() + features.square().mean()

    value, gradients, kept = step(fresh(FAMILIES[family]), loss)
    saving = fresh(FAMILIES[family])
    save_where_asked(saving, asked(cell, activation_checkpointing=True))
    found, same, kept_now = step(saving, loss)
    assert torch.equal(found, value)
    assert gradients.keys() == same.keys()
    assert all(torch.equal(gradient, same[name]) for name, gradient in gradients.items())
    assert kept_now < 0.6 * kept


@pytest.mark.parametrize("both", [False, True])
def test_a_batch_in_parts_has_the_whole_batchs_loss(cell, both):
    """Whatever a loss takes means and medians over: hybrid normalization, patches, gradients, tokens below a margin."""
    whole = cell.model_copy(update={"mode": "cross", "optim": asked(cell, batch=5)})
    generator = torch.Generator().manual_seed(1)
    corners = torch.tensor([[0.0, 0.0, 40.0, 40.0], [20.0, 20.0, 60.0, 60.0]])
    batch = {
        "square": torch.rand(5, 3, 48, 48, generator=generator),
        "boxes": corners.expand(5, 2, 4),
        "side": torch.full((5,), 60),
        "labels_square": torch.rand(5, 1, 48, 48, generator=generator) + 1,
        "labels_patches": torch.rand(5, 2, 1, 48, 48, generator=generator) + 1,
    }
    frozen = make_student(cell.student, seed=3)
    batch["tokens"] = frozen.encode(frozen.normalise(batch["square"])).detach()

    def loss(network):
        return cell_loss(network, batch, whole, frozen).loss

    def student():
        network = make_student(cell.student, seed=0)
        with torch.no_grad():
            network.last_bias.add_(1)
        return network

    value, gradients, kept = step(student(), loss)
    parts = student()
    save_where_asked(parts, asked(cell, batch=5, micro_batch=2, activation_checkpointing=both))
    found, same, kept_now = step(parts, loss)
    assert float(found) == pytest.approx(float(value), rel=1e-5)
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    assert torch.stack([(gradient - same[name]).norm() for name, gradient in gradients.items()]).norm() < 1e-4 * norm
    assert kept_now < 0.5 * kept


def test_a_compiled_network_is_the_same_function(cell):
    pixels = torch.rand(2, 3, 64, 64)
    plain, compiled = fresh(FAMILIES["vit-dpt"]), fresh(FAMILIES["vit-dpt"])
    names = list(compiled.state_dict())
    save_where_asked(compiled, asked(cell, compile="aot_eager"))
    assert list(compiled.state_dict()) == names
    results = [step(network, lambda network: network(pixels).square().mean()) for network in (plain, compiled)]
    assert float(results[1][0]) == pytest.approx(float(results[0][0]), rel=1e-6)
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], gradient, rtol=1e-4, atol=1e-6)


def test_networks_that_cannot_are_refused(cell):
    small = MidasSmallConfig(channel_multiplier=0.25, depth_multiplier=0.5, fusion=8)
    with pytest.raises(UserError, match=r"micro_batch: this network has BatchNorm"):
        save_where_asked(build_network(small), asked(cell, batch=4, micro_batch=2))


def test_what_changes_no_bit_changes_no_id(cell):
    def of(**changes):
        return cell_id(cell.model_copy(update={"optim": asked(cell, **changes)}))

    assert of(activation_checkpointing=True) == of() == cell_id(cell)
    assert len({of(), of(micro_batch=1), of(compile="inductor")}) == 3
