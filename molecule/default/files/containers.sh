#!/usr/bin/env bash
# Containers of the device that use the disk, as their owner may have made them: before anything was mounted.
set -euo pipefail
image=$(mktemp -d)
mkdir "$image/usr"
for folder in bin lib lib64 sbin; do ln -s usr/$folder "$image/$folder"; done
tar -C "$image" -c . | docker import - kraf/host:1
systemctl stop srv-kraf-photos.automount srv-kraf-photos.mount

run() {
    docker rm --force "$1" >/dev/null 2>&1 || true
    docker run --detach --network none --volume /usr:/usr:ro --name "$@"
}

# With what is mounted below the folder later, since mounts come to it from the host.
run first --volume /srv/kraf:/srv/kraf:rslave kraf/host:1 \
    sh -c 'while sleep 0.5; do echo first >/srv/kraf/photos/first && exit; done'
# With the disk itself, and started at boot. Its shell reads the name.
# shellcheck disable=SC2016
run boot --restart always --volume /proc/sys/kernel/random:/random:ro --volume /srv/kraf/photos:/data kraf/host:1 \
    sh -c 'read -r id </random/boot_id; echo "$id" >/data/boot && exec sleep infinity'

sleep 2
# Nothing of it lies on the device's own disk.
[ -z "$(ls -A /srv/kraf/photos)" ]
systemctl start srv-kraf-photos.automount
ls /srv/kraf/photos
docker wait first
