"""The regularisation of a training, and whether its network is compiled."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """The regularisation of a training, by default that of DARTS on CIFAR-10 (Liu et al., ICLR 2019).

    Attributes:
        weight_decay: of SGD.
        label_smoothing: of both losses.
        auxiliary: the weight of the auxiliary head's loss; 0 for no such head.
        drop_path: the probability at the end of the training with which a connection is left out; it rises from 0.
        compile: whether the network is compiled, by `torch.compile`.
    """

    weight_decay: float = 3e-4
    label_smoothing: float = 0.0
    auxiliary: float = 0.4
    drop_path: float = 0.2
    compile: bool = False
