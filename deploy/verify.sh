#!/usr/bin/env bash
# Checks the units with systemd's own tools: no unknown or wrong line, and an exposure of at most 1.5.
# Needs systemd-analyze (package systemd), not a running systemd. Installs it where CI may.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v systemd-analyze >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd >/dev/null
  else
    echo "deploy/verify.sh: systemd-analyze is missing; install the package systemd" >&2
    exit 1
  fi
fi

# The units are checked as shipped, but for the paths of a finished installation, which this machine need not have.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for unit in openrouter-monitor.service openrouter-monitor-failure@.service; do
  sed -e 's#^ExecStart=[^ ]*#ExecStart=/bin/true#' "$unit" >"$work/$unit"
done
systemd-analyze verify --recursive-errors=yes --man=no "$work/openrouter-monitor.service"
systemd-analyze security --offline=true --no-pager --threshold=15 "$work/openrouter-monitor.service" | tail -n 1
echo "systemd units: verified"
