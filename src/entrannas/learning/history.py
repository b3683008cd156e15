"""The architecture variables over the epochs of a search, as arrays: what its pictures are drawn from."""

import json
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from entrannas.runs.run import ALPHAS, Run

if TYPE_CHECKING:
    from entrannas.core.searcher import Searcher


class History:
    """What is in `alphas.safetensors`, which is rewritten at the end of every epoch, a row each.

    For each kind of cell `alpha.KIND` and `p.KIND`, [epochs, edges, K]; of a method that learns beta as well
    `beta.KIND`, [epochs, nodes] or [epochs, edges], and `thresholds.KIND`, [epochs, nodes], where it is these that it
    learns; and `epoch`, [epochs], counted from 0. The file's note `space` is JSON that names the `operations`, K of
    them, and the `edges`, as the nodes from and to which they lead.
    """

    def __init__(self, run: Run, first_epoch: int) -> None:
        """Load the rows of the epochs before `first_epoch`.

        Raises:
            InputError: the file is damaged.
        """
        self.run = run
        rows = run.load_tensors(ALPHAS)[1] if first_epoch and run.file(ALPHAS) else {}
        kept = rows["epoch"] < first_epoch if rows else torch.empty(0)
        self.rows: dict[str, Tensor] = {name: row[kept] for name, row in rows.items()}

    def add(self, epoch: int, searcher: "Searcher") -> None:
        """Add the row of an epoch."""
        row = {"epoch": torch.tensor(epoch), **searcher.variables()}
        new = {name: x.detach().cpu().clone()[None] for name, x in row.items()}
        self.rows = {name: torch.cat([self.rows[name], x]) if self.rows else x for name, x in new.items()}
        space = searcher.space
        notes = {"operations": space.operations, "edges": space.edges}
        self.run.save_tensors(ALPHAS, self.rows, {"space": json.dumps(notes)})  # of several, the order would vary
