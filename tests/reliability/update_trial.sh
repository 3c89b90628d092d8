#!/usr/bin/env bash
# A small study, 30 updates of one day each, kills, a late and a replaced granule; the last line has the figures.
set -euo pipefail
cd "$(dirname "$0")/../.."
exec "${PYTHON:-.venv/bin/python}" -m tests.reliability.update_trial "$@"
