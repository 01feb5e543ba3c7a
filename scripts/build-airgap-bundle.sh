#!/usr/bin/env bash
# Writes gitgrit-bundle-TAG.tar, which `docker load -i` takes, and gitgrit-install-TAG.tgz with its .sha256:
# `scripts/build-airgap-bundle.sh [TAG] [arguments of "gitgrit-ops bundle tgz"]`. TAG is today's date when not given.
# OUT_DIR is the folder for the files, the root of the tree when not given; ALLOW_DIRTY=1 builds from a tree with changes.
# Paths in arguments are from where you are. GITGRIT_OPS is the program; when not given, that of PATH or of target/ if it says that it is of this commit, or else it is built.
# Without further arguments the images of bundle/images.toml are built first. docs/bundle-contents.md says more.
set -euo pipefail

here="$PWD"

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# A path of the caller's, wherever the program runs.
from_here() {
    case "$1" in /*) printf '%s' "$1" ;; *) printf '%s/%s' "$here" "$1" ;; esac
}

command -v docker >/dev/null || fail "docker not found in PATH"
command -v git >/dev/null || fail "git not found in PATH (needed to stamp the image with HEAD)"
root="$(cd "$(dirname "$0")/.." && pwd)"
tag="${1:-$(date +%Y.%m.%d)}"
[ $# -eq 0 ] || shift
required=(compose/.env.example)
if [ $# -eq 0 ]; then
    set -- --build-images
    required+=(bundle/images.toml)
fi
for path in "${required[@]}"; do
    [ -f "$root/$path" ] || fail "missing required file: $path"
done
arguments=()
[ "${ALLOW_DIRTY:-}" != 1 ] || arguments+=(--allow-dirty)
while [ $# -gt 0 ]; do
    case "$1" in
        --program=* | --images=* | --cache=*) arguments+=("${1%%=*}=$(from_here "${1#*=}")") ;;
        --program | --images | --cache)
            arguments+=("$1")
            if [ $# -gt 1 ]; then
                shift
                arguments+=("$(from_here "$1")")
            fi
            ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
out="${OUT_DIR:-$root}"
{ mkdir -p "$out" 2>/dev/null && [ -w "$out" ]; } || fail "output dir not writable: $out"
out="$(cd "$out" && pwd)"
program="${GITGRIT_OPS:-}"
case "$program" in
    "" | /*) ;;
    */*) program="$(from_here "$program")" ;;
    *) program="$(command -v "$program")" || fail "$GITGRIT_OPS not found in PATH" ;;
esac
beside="$(command -v gitgrit-ops || true)"
[ -z "$beside" ] || beside="$(from_here "$beside")"

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
    [ -z "$dirty" ] || [ "${ALLOW_DIRTY:-}" = 1 ] || fail "error: working tree is dirty, and a bundle says which commit it is" \
        "error: commit or stash the changes, or set ALLOW_DIRTY=1 to bundle anyway" \
        "error: the tree has changes that no commit has: \`$(git diff --name-only HEAD -- | head -n 1)\`"
    command -v cargo >/dev/null || fail "no gitgrit-ops of this commit in PATH or target/, and no cargo to build it"
    GITGRIT_BUILD_COMMIT="$commit$dirty" cargo build --locked --release --bin gitgrit-ops
    program="$built/release/gitgrit-ops"
fi
code=0
"$program" bundle tgz --tag "$tag" --out "$out" --source "$root" "${arguments[@]}" || code=$?
# No engine is 18 for the program; whoever calls this script knows 1.
[ "$code" != 18 ] || code=1
exit "$code"
