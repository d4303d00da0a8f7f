#!/usr/bin/env bash
# DVC's `foreach` loops over keys with a slash (`tests/val`), names stages by them and tracks
# `sets.tests/val` as a parameter. One would guess that `dvc exp run -S`, which sets parameters, reaches
# that key: its overrides go through Hydra's grammar, in which a slash belongs to groups, so that the
# key cannot be said, quoted or escaped either, and the refusal is called an unexpected error.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"; "$t/venv/bin/pip" install -q 'dvc==3.67.1'
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
dvc --version
mkdir "$t/repository"; cd "$t/repository"; git init -q .; dvc init -q
cat > params.yaml <<'Y'
sets:
  pool: {size: 1}
  tests/val: {size: 1}
Y
cat > dvc.yaml <<'Y'
stages:
  make:
    foreach: ${sets}
    do:
      cmd: mkdir -p data/${key} && echo ${item.size} > data/${key}/n
      params: ["sets.${key}"]
      outs: ["data/${key}"]
Y
dvc repro -q; git add -A; git commit -qm x
dvc stage list --name-only
dvc exp run -q -S sets.pool.size=2 && echo "-S sets.pool.size=2: works"
fine=0
for key in 'sets.tests/val.size' "'sets.tests/val'.size" 'sets.tests\/val.size'; do
  if said=$(dvc exp run -S "$key=2" 2>&1); then fine=1; echo "CHANGED: -S $key works"
  else echo "-S $key=2: $(grep -m1 -i error <<<"$said")"; fi
done
exit $fine
