#!/usr/bin/env bash
# The control plane as it is when nobody renewed anything for a year: `expire_control.sh FOLDER_WITH_EXPIRE`.
set -euo pipefail
expire=$1/expire.sh
pki=/etc/kubernetes/pki

file() {
    cat "$pki/$1.crt" "$pki/$1.key" | bash "$expire" "$pki/$2.crt" "$pki/$2.key" >"$1.new"
    openssl x509 -in "$1.new" -out "$pki/$1.crt"
}

cd "$(mktemp -d)"
mkdir etcd
for name in apiserver apiserver-kubelet-client; do file $name ca; done
for name in apiserver-etcd-client etcd/server etcd/peer etcd/healthcheck-client; do file $name etcd/ca; done
file front-proxy-client front-proxy-ca
for name in admin controller-manager scheduler; do
    conf=/etc/kubernetes/$name.conf
    for part in certificate key; do sed -n "s/.*client-$part-data: //p" $conf | base64 -d; done |
        bash "$expire" $pki/ca.crt $pki/ca.key >$name.new
    data=$(openssl x509 -in $name.new | base64 -w 0)
    sed -i "s|client-certificate-data: .*|client-certificate-data: $data|" $conf
done
