#!/usr/bin/env bash
# A dependency that is edited while a stage's command runs is recorded as what the command read.
#
# Expected: `dvc.lock` has the hash of the dependency when the command began, or the stage fails.
# Seen: DVC hashes dependencies again after the command, so that lock and run cache pair the edited
# file with the result of the one before; `dvc status` says that all is up to date, and the result
# is served again for these bytes, in every clone that shares the cache.
set -euo pipefail
VERSION=3.67.1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "dvc==$VERSION" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
echo "dvc $(dvc --version), $(python3 --version)"

mkdir "$t/r"; cd "$t/r"; git init -q; dvc init -q
cat > dvc.yaml <<'Y'
stages:
  copy:
    cmd: cp code out && touch read && while [ ! -e go ]; do sleep 0.05; done
    deps: [code]
    outs: [out]
Y
echo one > code
dvc repro -q & pid=$!
until [ -e read ]; do sleep 0.05; done
echo two > code
touch go
wait $pid
echo "--- the code says $(cat code), its result says $(cat out); dvc status:"
dvc status | tee "$t/status"
grep -q "up to date" "$t/status" || { echo "the behaviour has changed"; exit 1; }
echo one > code; dvc repro -q; echo two > code
echo "--- code of before, then the edited one again: dvc repro"
dvc repro | tee "$t/repro"
echo "the code says $(cat code), its result says $(cat out)"
[ "$(cat out)" = one ] || { echo "the behaviour has changed"; exit 1; }
