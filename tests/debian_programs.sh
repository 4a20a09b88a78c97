#!/usr/bin/env bash
# Unpack programs of Debian that tests talk to, with what they need and this machine lacks, into a directory.
# Nothing is installed, no daemon is started, and nobody has to be root.  usage: tests/debian_programs.sh DIRECTORY
set -euo pipefail

into=$1
mkdir -p "$into"/apt/{state/lists/partial,cache/archives/partial}
into=$(cd "$into" && pwd)
apt=(apt-get -q -q -o "Dir::State=$into/apt/state" -o "Dir::State::status=/var/lib/dpkg/status" -o "Dir::Cache=$into/apt/cache"
     -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)")

"${apt[@]}" update
# One after the other: each of them would be the system's only log daemon.
"${apt[@]}" install --download-only --no-install-recommends -y rsyslog rsyslog-openssl
"${apt[@]}" install --download-only --no-install-recommends -y syslog-ng-core
for package in "$into"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$into/root"
done
rm -rf "$into/apt"
