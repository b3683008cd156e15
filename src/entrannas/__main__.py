"""`python -m entrannas`."""

from entrannas.cli import main

if __name__ == "__main__":
    main()
