#!/usr/bin/env bash
# A dvc.yaml that is a committed symbolic link: `dvc repro` takes it, and so do `status` and the lock.
# One would guess that git revisions are read as well, for the link leads to a file of the same
# commit. They are not: DVC's view of a revision gives the text of the link, the file is called
# invalid, and `metrics diff` knows no old value any more: in the whole repository, for files whose
# own dvc.yaml is no link too. Hence studies/*/dvc.yaml are copies.
set -euo pipefail
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"; "$t/venv/bin/pip" install -q 'dvc==3.67.1'
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
dvc --version
mkdir -p "$t/repository/study"; cd "$t/repository"; git init -q .; dvc init -q
cat > dvc.yaml <<'Y'
stages:
  count:
    cmd: mkdir -p metrics && echo "{\"n\":${n}}" > metrics/n.json
    params: [n]
    metrics:
      - metrics/n.json: {cache: false}
Y
echo 'n: 1' > params.yaml
dvc repro -q; git add -A; git commit -qm root
echo 'n: 2' > params.yaml; dvc repro -q
echo "--- without a link:"; before=$(dvc metrics diff --md 2>&1); echo "$before"
git checkout -q .
ln -s ../dvc.yaml study/dvc.yaml; echo 'n: 1' > study/params.yaml
dvc repro -q study/dvc.yaml && echo "dvc repro of the link: works"
git add -A; git commit -qm 'a study whose dvc.yaml is a link'
echo 'n: 2' > params.yaml; dvc repro -q
echo "--- with a link beside it:"; after=$(dvc metrics diff --md 2>&1); echo "$after"
grep -q '| n .*| 1 .*| 2 ' <<<"$before"
if grep -q '| n .*| 1 .*| 2 ' <<<"$after"; then echo "CHANGED: the old value is read"; exit 1; fi
grep -q "validation failed in revision" <<<"$after"
echo "as found: a linked dvc.yaml makes revisions unreadable for diff"
