"""Files, written whole or not at all; what is read from them checked; packages that may be missing."""
