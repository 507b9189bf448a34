#!/usr/bin/env bash
# System packages that are missing, with apt: `system_packages.sh run` for the product, `test` for its tests too.
set -euo pipefail

run=(ffmpeg nginx libnginx-mod-rtmp python3-venv)
test=(gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad libfaketime)
test+=(chromium default-jdk-headless docker-compose iproute2 maven mosquitto openssh-server prometheus redis-server rsync syslog-ng-core)

wanted=("${run[@]}")
[ "${1:-run}" = test ] && wanted+=("${test[@]}")

missing=()
for package in "${wanted[@]}"; do
    dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi
if ! command -v apt-get >/dev/null || { [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; }; then
    echo "These packages are missing and cannot be installed from here; install them and run make again:" >&2
    printf '    %s\n' "${missing[@]}" >&2
    exit 1
fi

# Debian starts a server as soon as it is installed: nginx on port 80, mosquitto, Prometheus, Redis. raycctv and its tests run their own.
policy=/usr/sbin/policy-rc.d
made_policy=""
if ! [ -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
    made_policy=1
fi
cleanup() { [ -z "$made_policy" ] || "${as_root[@]}" rm -f "$policy"; }
trap cleanup EXIT

echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update --quiet=2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"
