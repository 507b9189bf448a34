#!/usr/bin/env bash
# Brings what templates and scripts of the console say into each language's file. What is new there waits for a translator.
set -euo pipefail
cd "$(dirname "$0")/../raycctv/console"

pybabel=${PYBABEL:-../../.venv/bin/pybabel}
template=$(mktemp)
trap 'rm -f "$template"' EXIT

"$pybabel" --quiet extract --mapping po/babel.cfg --keyword N_ --add-location file --omit-header --sort-by-file \
    --output "$template" .
for language in po/*/; do
    "$pybabel" --quiet update --domain console --input-file "$template" --output-dir po --locale "$(basename "$language")" \
        --no-fuzzy-matching --ignore-obsolete --omit-header --width 120
done
