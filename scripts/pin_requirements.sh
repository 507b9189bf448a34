#!/usr/bin/env bash
# Pins what pyproject.toml asks for, with hashes and without any index address, for every supported Python.
set -euo pipefail
cd "$(dirname "$0")/.."

pin() {
    local output=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
        --no-annotate --upgrade --output-file "requirements/$output" "$@"
}

pin dev.txt --group dev pyproject.toml
pin npm.txt --group npm
pin uv.txt --group uv
