#!/usr/bin/env bash
# .venv with exactly the packages of requirements/dev.txt, checked against their hashes, and raycctv itself.
set -euo pipefail
cd "$(dirname "$0")/.."

supported() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

python=""
for candidate in "${RAYCCTV_PYTHON:-}" python3 python3.13 python3.12 python3.11; do
    if [ -n "$candidate" ] && command -v "$candidate" >/dev/null && supported "$candidate"; then
        python=$(command -v "$candidate")
        break
    fi
done
if [ -z "$python" ]; then
    echo "raycctv needs Python 3.11, 3.12 or 3.13; name one with RAYCCTV_PYTHON=/path/to/python" >&2
    exit 1
fi

if ! [ -x .venv/bin/uv ] || ! supported .venv/bin/python; then
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
fi
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements/uv.txt requirements/dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "$(.venv/bin/python --version) in .venv"
