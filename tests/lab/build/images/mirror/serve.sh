#!/bin/bash
# Runs the mirror's servers; when one ends, all end, and the container shows it.
set -eu
install -d -o apt-cacher-ng -g apt-cacher-ng /run/apt-cacher-ng /var/cache/apt-cacher-ng
python3 -m http.server --directory /srv/mirror 8080 >/dev/null 2>&1 &
docker-registry serve /etc/kraf-lab/registry.yml &
setpriv --reuid apt-cacher-ng --regid apt-cacher-ng --clear-groups \
  apt-cacher-ng -c /etc/apt-cacher-ng ForeGround=1 'PassThroughPattern=.*' &
wait -n
