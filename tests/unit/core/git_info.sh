#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# git_info.sh CMAKE SCRIPT: what core/git_info.cmake writes without a repository, in a clean one and in a changed one.
set -eu
cmake=$1
script=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
tree=$folder/tree
header=$folder/git.hpp
mkdir "$tree"

fail() { echo "FAILED: $1"; cat "$header"; exit 1; }
update() { "$cmake" -DSOURCE="$tree" -DOUTPUT="$header" -P "$script"; }
says() { grep -q "$1" "$header" || fail "expected $1"; }
git() { command git -C "$tree" -c user.name=test -c user.email=test@localhost "$@"; }

update
says 'SHA "unknown"'
says 'DIRTY false'

git init -q
echo one > "$tree/file"
git add file
git commit -qm one
update
says "SHA \"$(git rev-parse HEAD)\""
says 'DIRTY false'

touch -d '2001-01-01' "$header"
update
[ "$(date -r "$header" +%Y)" = 2001 ] || fail "no news: the header must not be rewritten"

echo two > "$tree/file"
update
says 'DIRTY true'
echo passed
