"""One of several processes: loss and gradient of its share of a batch, for every state in a folder. Started by
test_processes.py.

Arguments: the folder, which holds `cell.json`, `batch.pt` and `state-*.pt`; the first process writes `found-*.pt`
beside them.
"""

import json
import sys
from pathlib import Path

import torch

from dad.distill.processes import accelerator_for
from dad.distill.train import cell_loss
from dad.models.checkpoints import load_network
from dad.study.base import parse_model
from dad.study.config import Cell


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    accelerator = accelerator_for("no")
    cell = parse_model(Cell, json.loads((folder / "cell.json").read_text()), source="test")
    batch = torch.load(folder / "batch.pt", weights_only=True)
    network, frozen = (load_network(cell.student.model)[0].to(batch["square"].dtype) for _ in range(2))
    frozen.eval().requires_grad_(False)
    prepared = accelerator.prepare(network)
    share = len(batch["square"]) // accelerator.num_processes
    mine = slice(accelerator.process_index * share, (accelerator.process_index + 1) * share)
    batch = {key: value[mine] for key, value in batch.items()}
    for path in sorted(folder.glob("state-*.pt")):
        accelerator.unwrap_model(prepared).load_state_dict(torch.load(path, weights_only=True))
        prepared.zero_grad()
        result = cell_loss(prepared, batch, cell, frozen.encode)
        accelerator.backward(result.loss * accelerator.num_processes)
        if accelerator.is_main_process:
            gradient = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
            found = {"loss": result.loss.detach(), "prediction": result.prediction.detach(), "gradient": gradient}
            torch.save(found, folder / path.name.replace("state", "found"))
    accelerator.end_training()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
