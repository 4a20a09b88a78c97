#!/usr/bin/env bash
# Unpack programs of Debian that tests talk to, with what they need and this machine lacks, into a directory.
# Nothing is installed, no daemon is started, and nobody has to be root.
# usage: tests/debian_programs.sh DIRECTORY "PACKAGE…"…   (packages that exclude one another are arguments of their own)
set -euo pipefail

into=$1
shift
mkdir -p "$into"/apt/{state/lists/partial,cache/archives/partial} "$into/root"
into=$(cd "$into" && pwd)
apt=(apt-get -q -q -o "Dir::State=$into/apt/state" -o "Dir::State::status=/var/lib/dpkg/status" -o "Dir::Cache=$into/apt/cache"
     -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)")

"${apt[@]}" update
for packages in "$@"; do
    # shellcheck disable=SC2086  # the packages of one argument are separate words
    "${apt[@]}" install --download-only --no-install-recommends -y $packages
done
shopt -s nullglob  # whatever is installed already is not unpacked
for package in "$into"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$into/root"
done
rm -rf "$into/apt"
