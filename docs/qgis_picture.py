"""Make `_static/qgis.png`, the desktop of QGIS with an estimate: ``python docs/qgis_picture.py`` (needs QGIS and Xvfb).

The plugin is installed into a profile of its own as `xsm qgis install` does; what QGIS tells of its layers is printed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLEAN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
DAYS = 12


def main(target: Path) -> None:
    """Run QGIS under a display of its own and keep the picture."""
    folder = Path(tempfile.mkdtemp(prefix="xsm-qgis-"))
    try:
        print(json.dumps(desktop(folder), indent=1))
        shutil.copyfile(folder / "answer.png", target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def desktop(folder: Path) -> dict:
    """Estimate in the desktop; returns its answer and leaves ``answer.png`` in the folder."""
    import xsm
    from xsm.io import files

    cube = folder / "cube.nc"
    files.write(xsm.example("cube", size=48, days=DAYS), cube)
    profile = {"QGIS_CUSTOM_CONFIG_PATH": str(folder / "config")}
    subprocess.run([sys.executable, "-m", "xsm", "qgis", "install"], check=True, env=os.environ | profile)
    ini = folder / "config/profiles/default/QGIS"
    ini.mkdir(parents=True)
    for number in "34":
        (ini / f"QGIS{number}.ini").write_text("[PythonPlugins]\nxsm_qgis=true\n")
    request = {"cube": str(cube), "output": str(folder / "estimate.nc"), "answer": str(folder / "answer"), "days": DAYS}
    with subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "1400x860x24", "-nolisten", "tcp"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as screen:
        try:
            assert screen.stdout is not None
            env = {
                "PATH": CLEAN_PATH, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "LANG": "C.UTF-8", **profile,
                "DISPLAY": f":{screen.stdout.readline().strip()}", "LIBGL_ALWAYS_SOFTWARE": "1",
                "XSM_DESKTOP": json.dumps(request),
            }  # fmt: skip
            program = shutil.which("qgis.bin", path=CLEAN_PATH) or "qgis"
            options = ["--nologo", "--noversioncheck", "--code", str(HERE / "qgis_desktop.py")]
            done = subprocess.run(
                [program, *options], env=env, capture_output=True, text=True, timeout=240, check=False
            )
        finally:
            screen.terminate()
    failed, answer = folder / "answer.error", folder / "answer.json"
    if failed.exists() or not answer.exists():
        sys.exit(failed.read_text() if failed.exists() else done.stderr)
    return json.loads(answer.read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "_static" / "qgis.png")
