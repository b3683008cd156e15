"""Notes in a file of weights, by which an export knows again what it wrote, and whether it is still as it was."""

from pathlib import Path

from safetensors import SafetensorError, safe_open


def notes_in(path: Path) -> dict[str, str]:
    """Return the notes in a safetensors file; none where there is no such file, or it is something else."""
    if not path.is_file():  # a FIFO would be waited for without end
        return {}
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError):
        return {}
