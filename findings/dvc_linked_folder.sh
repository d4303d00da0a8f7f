#!/usr/bin/env bash
# DVC passes by what lies behind a link to a folder inside of a folder that it depends on.
#
# Expected: a dependency on a folder changes when a file changes that a command finds in it, as it
# does behind a link to a file. Seen: behind a link to a folder nothing is hashed, counted or listed;
# files that come, go or change there leave the stage "up to date", with no word of it.
set -euo pipefail
VERSION=3.67.1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "dvc==$VERSION" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
echo "dvc $(dvc --version), $(python3 --version), $(git --version)"

mkdir -p "$t/r/raw" "$t/disk"; cd "$t/r"; git init -q; dvc init -q
echo own > raw/own; echo 1 > "$t/file"; echo 1 > "$t/disk/1"
ln -s "$t/file" raw/file; ln -s "$t/disk" raw/folder
cat > dvc.yaml <<'Y'
stages:
  read:
    cmd: cat raw/own raw/file raw/folder/* > read
    deps: [raw]
    outs: [read]
Y
dvc repro -q
echo "--- the command has read $(wc -l < read) lines of 3 files; dvc.lock says:"
grep -A5 'path: raw' dvc.lock
grep -q 'nfiles: 2' dvc.lock || { echo "the behaviour has changed"; exit 1; }
echo "--- a file comes and one changes behind the link to a folder: dvc status"
echo 2 > "$t/disk/2"; echo 3 > "$t/disk/1"; touch -d '+1 minute' "$t/disk"
dvc status | tee "$t/said"
grep -q "up to date" "$t/said" || { echo "the behaviour has changed"; exit 1; }
echo "--- what the link to a file leads to changes: dvc status"
echo 23 > "$t/file"; dvc status | tee "$t/said"
grep -q "modified: *raw" "$t/said" || { echo "the behaviour has changed"; exit 1; }
