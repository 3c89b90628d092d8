"""Write, install and run distributions as their authors do, from pages that show their files."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FILES = re.compile(r"^```\{code-block\} \w+\n:caption: '`(\S+)`'\n(.*?)^```", re.M | re.S)


def files_of(page: Path) -> dict[str, str]:
    """Text of each file of a page by its path."""
    return dict(FILES.findall(page.read_text(encoding="utf-8")))


def write(page: Path, project: Path) -> Path:
    """Write the files of a page as a project."""
    for path, text in files_of(page).items():
        target = project / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return project


def run(*command: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a command that must succeed and return what it prints."""
    done = subprocess.run([str(c) for c in command], env=env, cwd=cwd, capture_output=True, text=True, timeout=240)  # noqa: PLW1510
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(site: Path, *projects: Path) -> dict[str, str]:
    """Install distributions into a folder and return the environment in which they are installed."""
    pip = (sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps")
    run(*pip, "--no-build-isolation", "--target", site, *projects)
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path}
