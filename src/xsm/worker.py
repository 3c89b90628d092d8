"""Answer to QGIS plugins of protocol 1, which start ``python -m xsm.worker``: they then ask for `xsm qgis install`.

Will be removed in the next minor release; the worker itself is `xsm.faces.worker`.
"""

import json
import sys

from xsm._version import __version__

if __name__ == "__main__":
    event = "describe" if sys.argv[1:] == ["describe"] else "hello"
    print(json.dumps({"event": event, "protocol": 2, "version": __version__}))
