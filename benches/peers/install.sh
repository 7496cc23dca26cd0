#!/usr/bin/env bash
# Installs what `cargo bench --bench pipeline -- --scenario peers` measures Forgebell against: packages of npm and PyPI
# into this folder, and Debian's Alertmanager.
set -euo pipefail
cd "$(dirname "$0")"
npm ci --no-fund --no-audit
[ -x python/bin/python ] || python3 -m venv python
python/bin/pip install --quiet --requirement requirements.txt
[ -x /usr/bin/prometheus-alertmanager ] || apt-get install --yes --no-install-recommends prometheus-alertmanager
