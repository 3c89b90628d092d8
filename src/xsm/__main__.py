"""``python -m xsm``: the ``xsm`` command; ``python -m xsm worker VERB``: the worker that the QGIS plugin starts.

The QGIS plugin relies on this command line in every version.
"""

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["worker"]:
        from xsm.faces import worker

        sys.exit(worker.main(sys.argv[2:]))
    from xsm.faces import cli

    cli.main()
