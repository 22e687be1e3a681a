"""``python -m services.fleet``: the ``nautilus`` command without the script."""

from services.fleet.cli import main

if __name__ == "__main__":
    main()
