"""What a run has learned from and what it has held out, known again by the digests of the files.

A test is never on what was learned from, though files were added, removed or moved since.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from entrannas.core.errors import InputError
from entrannas.data.folders import count
from entrannas.data.images import Images
from entrannas.data.kept import digests_at, read_kept
from entrannas.data.sources import HELD_OUT, Source, Split, balanced_order, digest

_HARDLY_ANY = 0.25  # of the fifth of a class


@dataclass(frozen=True)
class Seen:
    """The digests of a run's images, int64, sorted; also those of damaged images that were left out.

    Attributes:
        trained: those of the training images.
        held_out: those of the test images.
        before: those of the images that other runs had learned from, of whose results it made use.
    """

    trained: Tensor
    held_out: Tensor
    before: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    @classmethod
    def of(cls, trained: Images, held_out: Images) -> "Seen":
        """Note the images of a run that begins."""
        return cls(*(torch.cat([images.digests, images.damaged]).sort().values for images in (trained, held_out)))

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "Seen":
        """Read what `tensors` gave.

        Raises:
            InputError: these are other tensors.
        """
        if tensors.keys() - {"before"} != {"trained", "held_out"} or any(
            tensor.dtype != torch.int64 or tensor.ndim != 1 for tensor in tensors.values()
        ):
            raise InputError("the digests of the images are damaged: start anew with another --out")
        return cls(**tensors)

    def join(self, other: "Seen") -> "Seen":
        """Return what both have seen: what one of them has learned from is held out by none."""
        held_out = torch.cat([self.held_out, other.held_out]).unique()
        trained = torch.cat([self.trained, other.trained]).unique()
        learned = self.learned(held_out) | other.learned(held_out)
        return Seen(trained, held_out[~learned], torch.cat([self.before, other.before]).unique())

    def behind(self, other: "Seen | None") -> "Seen":
        """Return these, of a run that makes use of what has come of others."""
        return self if other is None else replace(self, before=torch.cat([other.trained, other.before]).unique())

    def learned(self, there: Tensor) -> Tensor:
        """Tell which of some digests are of images that were learned from, by the run or by those before it.

        Of a copy that the run had on both sides it was told when it began: it stays in the test.
        """
        by_run = torch.isin(there, self.trained) & ~torch.isin(there, self.held_out)
        return by_run | torch.isin(there, self.before)

    def tensors(self) -> dict[str, Tensor]:
        """Return what a run keeps."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def change_to(self, now: "Seen") -> str | None:
        """Tell how other images differ from these, or None."""
        before, after = torch.cat([self.trained, self.held_out]), torch.cat([now.trained, now.held_out])
        gone, new = (~torch.isin(before, after)).sum(), (~torch.isin(after, before)).sum()
        if gone or new:
            return f"{count(int(gone), 'image')} gone, {int(new):,} new"
        same = torch.equal(self.trained, now.trained) and torch.equal(self.held_out, now.held_out)
        return None if same else "some images have changed places between training and test"


def keep_apart(source: Source, seen: Seen) -> tuple[Source, str | None]:
    """Take out of the test images of a source those that a run has learned from.

    Where a fifth of the images is held out, it is the images that the run held out, of those that are still there; all
    others are training images.

    Returns:
        The source, and what was changed, if anything.

    Raises:
        InputError: no test image is left.
    """
    there = _digests(source.test)
    if source.drawn:
        if torch.equal(there.sort().values, seen.held_out):
            return source, None
        return _held_out_again(source, seen)
    learned = seen.learned(there)
    if not learned.any():
        return source, None
    if learned.all():
        raise InputError("the run has learned from all of these test images: give others")
    note = f"{count(int(learned.sum()), 'test image')} left out, since the run has learned from the same"
    return replace(source, test=source.test.select((~learned).nonzero().squeeze(1))), note


def _held_out_again(source: Source, seen: Seen) -> tuple[Source, str | None]:
    """Hold out what the run held out, unless it knows none of the images."""
    indices = torch.cat([source.train.indices, source.test.indices])
    order = indices.argsort()
    whole = Split(source.train.reader, indices[order], torch.cat([source.train.labels, source.test.labels])[order])
    there = _digests(whole)
    held_out, trained = torch.isin(there, seen.held_out), torch.isin(there, torch.cat([seen.trained, seen.before]))
    if not (held_out | trained).any():
        return source, None
    held_out &= ~trained  # of copies of one image, which were on both sides
    gone = int((~torch.isin(seen.held_out, there)).sum())
    unknown = ~(held_out | trained)
    left = int(held_out.sum())
    fresh = _of_new_classes(whole, held_out, unknown)
    held_out[fresh] = True
    if not held_out.any():
        raise InputError("none of the images that the run held out is left to test on: give a test split")
    note = (
        f"the images have changed: {gone:,} of the {len(seen.held_out):,} that were held out are gone, "
        f"{int(unknown.sum()):,} are new or were not in use; the test is on the {left:,} that are left"
    )
    note += f", and on {len(fresh):,} of classes of which hardly any was held out" if len(fresh) else ""
    train, test = (whole.select(mask.nonzero().squeeze(1)) for mask in (~held_out, held_out))
    return replace(source, train=train, test=test), note


def _of_new_classes(whole: Split, held_out: Tensor, unknown: Tensor) -> Tensor:
    """Choose of the unknown images of each class of which hardly any is held out, up to a fifth of the class."""
    order = balanced_order(whole.labels, "held out")
    chosen = []
    for label in whole.labels.unique():
        members = whole.labels == label
        there, wanted = int(held_out[members].sum()), HELD_OUT * int(members.sum())
        if there < _HARDLY_ANY * wanted:
            free = order[(members & unknown)[order]]
            chosen.append(free[: round(min(HELD_OUT * len(free), wanted - there))])
    return torch.cat([torch.zeros(0, dtype=torch.int64), *chosen])


def _digests(split: Split) -> Tensor:
    """Return the digest of each image's file; that of one that cannot be read is 0, since decoding will name it."""
    for wide in (False, True):
        if (kept := read_kept(digests_at(split, wide), "digests")) is not None:
            return kept
    digests = []
    for index in split.indices.tolist():
        try:
            digests.append(digest(split.reader.read(index)))
        except (OSError, ValueError):
            digests.append(0)
    return torch.tensor(digests, dtype=torch.int64)
