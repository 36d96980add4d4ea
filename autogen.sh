#!/bin/sh
# Makes ./configure from configure.ac. Needs autoconf, automake and pkg-config.
set -e
cd "$(dirname "$0")"
# where it puts what it brings along
mkdir -p build-aux
exec autoreconf --install --force "$@"
