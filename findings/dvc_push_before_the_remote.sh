#!/usr/bin/env bash
# `dvc push --all-commits` passes over commits that are older than the remote's configuration.
#
# Expected: "all git commits", as the option says, to the remote that is configured now. Seen: each
# commit is pushed by the `.dvc/config` that it has; one without the remote is passed over without a
# word, and exit 0. `dvc fetch --all-commits` likewise. A remote that is added with `--local` (or
# `--global`) holds for all commits.
set -euo pipefail
VERSION=3.67.1
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
python3 -m venv "$t/venv"
"$t/venv/bin/pip" install -q --disable-pip-version-check "dvc==$VERSION" 2> "$t/pip" \
  || { cat "$t/pip" >&2; exit 2; }
export PATH="$t/venv/bin:$PATH" DVC_NO_ANALYTICS=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@example.org
echo "dvc $(dvc --version), $(python3 --version), $(git --version)"

pushed() { # the option of `dvc remote add`; how many of two commits' files are in the remote
  rm -rf "$t/r" "$t/remote"; mkdir "$t/r"; cd "$t/r"; git init -q; dvc init -q
  for value in 1 2; do
    echo "$value" > file; dvc add -q file; git add -A; git commit -qm "$value"
  done
  dvc remote add -q ${1:+"$1"} -d mine "$t/remote"
  dvc push -q --all-commits
  find "$t/remote" -type f | wc -l
}
committed=$(pushed ""); own=$(pushed --local)
echo "two commits, then \`dvc remote add\`, then \`dvc push --all-commits\`, which exits 0"
echo "files in the remote: $committed of 2 with the remote in .dvc/config, $own of 2 with --local"
[ "$committed" = 1 ] && [ "$own" = 2 ] || { echo "this has changed"; exit 1; }
