#!/usr/bin/env bash
# DVC reads a dvc.yaml that is a symbolic link in the workspace, and not in a git revision.
#
# Expected: `dvc metrics diff`, `dvc params diff` and `dvc exp show` read the committed link as
# `dvc repro` does. Seen: "validation failed in revision", and these commands then show nothing of
# any pipeline of the repository, that of the root included. They exit 0.
set -euo pipefail
VERSION=3.67.1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "dvc==$VERSION" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
echo "dvc $(dvc --version), $(python3 --version), $(git --version)"

mkdir "$t/r"; cd "$t/r"; git init -q; dvc init -q
cat > dvc.yaml <<'Y'
stages:
  score:
    cmd: echo "{\"score\":${value}}" > score.json
    params: [value]
    metrics:
      - score.json: {cache: false}
Y
for value in 1 2; do
  echo "value: $value" > params.yaml; dvc repro -q; git add -A; git commit -qm "$value"
done
echo "--- before: dvc metrics diff HEAD~1 HEAD"
dvc metrics diff HEAD~1 HEAD | tee "$t/before"
grep -q score.json "$t/before"

mkdir -p studies/x; ln -s ../../dvc.yaml studies/x/dvc.yaml; echo "value: 3" > studies/x/params.yaml
echo "--- the link in the workspace: dvc repro studies/x/dvc.yaml"
dvc repro -q studies/x/dvc.yaml; cat studies/x/score.json
git add -A; git commit -qm linked
echo "value: 4" > params.yaml; dvc repro -q dvc.yaml; git add -A; git commit -qm 4
for command in "metrics diff" "params diff"; do
  echo "--- the link committed: dvc $command HEAD~1 HEAD"
  dvc $command HEAD~1 HEAD 2>&1 | tee "$t/after"
  grep -q "studies/x/dvc.yaml' validation failed in revision" "$t/after" \
    || { echo "the behaviour has changed"; exit 1; }
done
echo "--- the link committed: dvc exp show (commits without their metrics)"
dvc exp show --csv --num 2 2>&1 | tr -d '\r' | tee "$t/after"
# its last columns, metrics and parameters, are empty
[ "$(grep -c ',baseline,,*$' "$t/after")" = 2 ] || { echo "the behaviour has changed"; exit 1; }
