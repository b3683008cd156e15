"""A data set of training images alone, part of which takes the place of the test images: nothing is chosen by those."""

from pathlib import Path

from datasets import load_dataset

from entrannas.files.whole import writing


def hold_out(data: Path, folder: Path, images: int, held_out: int) -> Path:
    """Make it in a folder, unless it is there, and return the folder.

    Args:
        data: a directory of CIFAR-10 as parquet files.
        folder: gets `train.parquet` and `test.parquet`.
        images: how many there are to learn from.
        held_out: how many others to measure on.
    """
    if not (folder / "test.parquet").exists():
        files = sorted(map(str, data.glob("train*.parquet")))
        every = load_dataset("parquet", data_files=files, split="train").shuffle(seed=0)
        for name, part in {"train": range(images), "test": range(images, images + held_out)}.items():
            with writing(folder / f"{name}.parquet") as file:
                every.select(part).to_parquet(file)
    return folder
