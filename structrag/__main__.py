"""``python -m structrag`` is the command line."""

from structrag.cli import main

if __name__ == "__main__":
    main()
