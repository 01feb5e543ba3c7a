#!/usr/bin/env bash
# Writes gitgrit-bundle-TAG.tar, which `docker load -i` takes, and gitgrit-install-TAG.tgz with its .sha256:
# `scripts/build-airgap-bundle.sh [TAG] [arguments of "gitgrit-ops bundle tgz"]`. TAG is today's date when not given.
# OUT_DIR is the folder for the files, the root of the tree when not given; ALLOW_DIRTY=1 builds from a tree with changes.
# GITGRIT_OPS is the program; when not given, that of PATH or of target/ if it says that it is of this commit, or else it is built.
# Without further arguments the images of bundle/images.toml are built first. docs/bundle-contents.md says more.
set -euo pipefail

fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

command -v docker >/dev/null || fail "docker not found in PATH"
command -v git >/dev/null || fail "git not found in PATH (needed to stamp the bundle with its commit)"
root="$(cd "$(dirname "$0")/.." && pwd)"
tag="${1:-$(date +%Y.%m.%d)}"
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- --build-images
[ "${ALLOW_DIRTY:-}" != 1 ] || set -- --allow-dirty "$@"
out="${OUT_DIR:-$root}"
{ mkdir -p "$out" 2>/dev/null && [ -w "$out" ]; } || fail "output dir not writable: $out"
out="$(cd "$out" && pwd)"
program="${GITGRIT_OPS:-}"
case "$program" in
    "" | /*) ;;
    */*) program="$PWD/$program" ;;
    *) program="$(command -v "$program")" || fail "$GITGRIT_OPS not found in PATH" ;;
esac
beside="$(command -v gitgrit-ops || true)"
case "$beside" in "" | /*) ;; *) beside="$PWD/$beside" ;; esac

cd "$root"
commit="$(git rev-parse HEAD)"
dirty=""
git diff --quiet HEAD -- || dirty="-dirty"
built="${CARGO_TARGET_DIR:-$root/target}"
for found in "$beside" "$built/dist/gitgrit-ops" "$built/release/gitgrit-ops"; do
    # A program of another commit, or of changes that may be gone, is none of this bundle's.
    if [ -z "$program$dirty" ] && [ -x "$found" ]; then
        said="$("$found" version --json 2>/dev/null || true)"
        ! grep -Eq "\"commit\": *\"$commit\"" <<<"$said" || program="$found"
    fi
done
if [ -z "$program" ]; then
    [ -z "$dirty" ] || [ "${ALLOW_DIRTY:-}" = 1 ] || fail "working tree is dirty, and a bundle says which commit it is" \
        "commit or stash the changes, or set ALLOW_DIRTY=1 to bundle anyway"
    command -v cargo >/dev/null || fail "no gitgrit-ops of this commit in PATH or target/, and no cargo to build it"
    GITGRIT_BUILD_COMMIT="$commit$dirty" cargo build --locked --release --bin gitgrit-ops
    program="$built/release/gitgrit-ops"
fi
code=0
"$program" bundle tgz --tag "$tag" --out "$out" --source "$root" "$@" || code=$?
# No engine is 18 for the program; whoever calls this script knows 1.
[ "$code" != 18 ] || code=1
exit "$code"
