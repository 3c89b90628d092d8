"""``python -m xsm``: the same as the ``xsm`` command."""

from xsm.faces.cli import main

if __name__ == "__main__":
    main()
