#!/usr/bin/env bash
# Writes gitgrit-bundle-TAG.tar, which `docker load -i` takes, and gitgrit-install-TAG.tgz with its .sha256:
# `scripts/build-airgap-bundle.sh [TAG] [arguments of "gitgrit-ops bundle tgz"]`. TAG is today's date when not given.
# OUT_DIR is the folder for the files, the root of the tree when not given; ALLOW_DIRTY=1 builds from a tree with changes.
# GITGRIT_OPS is the program; when not given, that of PATH or of target/, or else it is built.
# Without further arguments the images of bundle/images.toml are built first. docs/bundle-contents.md says more.
set -euo pipefail

root="$(cd "$(dirname "$0")/.." && pwd)"
tag="${1:-$(date +%Y.%m.%d)}"
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- --build-images
[ "${ALLOW_DIRTY:-}" != 1 ] || set -- --allow-dirty "$@"
out="$(mkdir -p "${OUT_DIR:-$root}" && cd "${OUT_DIR:-$root}" && pwd)"
program="${GITGRIT_OPS:-}"
for found in "$(command -v gitgrit-ops || true)" "$root/target/dist/gitgrit-ops" "$root/target/release/gitgrit-ops"; do
    [ -n "$program" ] || [ ! -x "$found" ] || program="$found"
done

cd "$root"
if [ -z "$program" ]; then
    command -v cargo >/dev/null || { echo "error: no gitgrit-ops in PATH or target/, and no cargo to build it" >&2; exit 1; }
    GITGRIT_BUILD_COMMIT="$(git rev-parse HEAD)" cargo build --locked --release --bin gitgrit-ops
    program="$root/target/release/gitgrit-ops"
fi
exec "$program" bundle tgz --tag "$tag" --out "$out" --source "$root" "$@"
