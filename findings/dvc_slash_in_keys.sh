#!/usr/bin/env bash
# `foreach` takes items whose names have a slash; `dvc exp run -S` cannot name their parameters.
#
# Expected: `-S sets.tests/val.size=3`, in some spelling, sets what `params: ["sets.tests/val"]`
# tracks. Seen: Hydra's grammar, by which DVC parses -S, has no slash in a key, quoted or not.
set -euo pipefail
VERSION=3.67.1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "dvc==$VERSION" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
echo "dvc $(dvc --version), $(python -c 'import importlib.metadata as m; print("hydra-core", m.version("hydra-core"))')"

mkdir "$t/r"; cd "$t/r"; git init -q; dvc init -q
cat > dvc.yaml <<'Y'
stages:
  make:
    foreach: ${sets}
    do:
      cmd: mkdir -p out/${key} && echo ${item.size} > out/${key}/size
      params:
        - "sets.${key}"
      outs:
        - out/${key}/size
Y
printf 'sets:\n  pool: {size: 1}\n  tests/val: {size: 2}\n' > params.yaml
echo "--- dvc repro"
dvc repro -q; dvc stage list --name-only; cat out/tests/val/size
git add -A; git commit -qm all
echo "--- dvc exp run -S sets.pool.size=3"
dvc exp run -q -S sets.pool.size=3; cat out/pool/size
for word in 'sets.tests/val.size=3' 'sets."tests/val".size=3' "sets.'tests/val'.size=3" 'sets.tests\/val.size=3'; do
  echo "--- dvc exp run -S $word"
  if dvc exp run -S "$word" > "$t/out" 2>&1; then echo "the behaviour has changed"; exit 1; fi
  grep ERROR "$t/out" | tee "$t/error"
  grep -qE "mismatched input '/'|LexerNoViableAlt|token recognition" "$t/error" \
    || { echo "the behaviour has changed"; exit 1; }
done
