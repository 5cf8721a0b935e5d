#!/usr/bin/env bash
# Runs the mirror's two servers; when one ends, both end, and the container shows it.
set -eu
python3 -m http.server --directory /srv/mirror 8080 >/dev/null 2>&1 &
docker-registry serve /etc/kraf-lab/registry.yml &
wait -n
