#!/bin/sh
#
# Keep a file that says with which flags the objects were made, and touch it
# only when they change: the objects depend on it.  Prints its name.
#
# usage: stamp.sh FILE FLAGS

set -eu
mkdir -p "$(dirname "$1")"
if ! { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }; then
	echo "$2" >"$1"
fi
echo "$1"
