#!/usr/bin/env bash
# The steps of `kraf.edge.site` as someone would type them, without checks, waiting limits or a second run in mind:
# the floor against which the playbook's first run is measured.
#
#   by_hand.sh SSH_KEY PREFIX     servers PREFIX.11 to .13, device PREFIX.21, mirror PREFIX.2
# Lists of hosts are split into words on purpose.
# shellcheck disable=SC2086
set -euo pipefail
KEY=$1 PREFIX=$2
HERE=$(cd "$(dirname "$0")" && pwd)
EDGE_CONTEXT=$HERE/../../roles/image_registry/files/edge KINDS=$HERE/../../roles/crds/files
CONTROL=$PREFIX.11 WORKERS="$PREFIX.12 $PREFIX.13" DEVICE=$PREFIX.21 MIRROR=$PREFIX.2
FILES=http://$MIRROR:8080 IMAGES=$MIRROR:5000 REGISTRY=$CONTROL:5000
RESOLVER=$(awk '$1 == "nameserver" && $2 !~ /^127/ {print $2; exit}' /etc/resolv.conf)
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

on() { # on HOST < script
    ssh -i "$KEY" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "root@$1" "${2:-bash -euo pipefail -s}"
}
together() { # together FUNCTION HOST...
    local function=$1 host pids=()
    shift
    for host in "$@"; do "$function" "$host" & pids+=($!); done
    for pid in "${pids[@]}"; do wait "$pid"; done
}
say() { echo "[$SECONDS s] $*"; }

server() {
    on "$1" <<END
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -q -y --no-install-recommends docker.io iptables conntrack socat ethtool ebtables ca-certificates curl e2fsprogs >/dev/null
python3 - <<'PY'
import json, pathlib
path = pathlib.Path("/etc/docker/daemon.json")
settings = json.loads(path.read_text()) if path.exists() else {}
settings.update({"exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file",
                 "log-opts": {"max-size": "10m", "max-file": "3"}, "insecure-registries": ["$IMAGES"]})
path.write_text(json.dumps(settings))
PY
systemctl restart docker
for program in kubeadm kubelet kubectl; do
    url=$FILES/dl.k8s.io/release/v1.22.9/bin/linux/amd64/\$program
    curl -sSfo /usr/local/bin/\$program "\$url"
    [ "\$(sha256sum < /usr/local/bin/\$program | cut -d' ' -f1)" = "\$(curl -sSf "\$url.sha256" | cut -d' ' -f1)" ]
    chmod 755 /usr/local/bin/\$program
done
mkdir -p /opt/cni/bin /etc/kubernetes /etc/systemd/system/kubelet.service.d
curl -sSf $FILES/github.com/containernetworking/plugins/releases/download/v1.1.1/cni-plugins-linux-amd64-v1.1.1.tgz | tar -C /opt/cni/bin -xz
echo 'nameserver $RESOLVER' > /etc/kubernetes/resolv.conf
cat > /etc/systemd/system/kubelet.service <<'UNIT'
[Unit]
Wants=network-online.target
After=network-online.target docker.service
[Service]
Environment=KUBELET_KUBECONFIG_ARGS="--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
ExecStart=/usr/local/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml \$KUBELET_KUBEADM_ARGS
Restart=always
RestartSec=2
[Install]
WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable -q kubelet
END
}

control() {
    on "$CONTROL" <<END
cat > /etc/kubernetes/kubeadm.yaml <<'YAML'
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: v1.22.9
controlPlaneEndpoint: $CONTROL:6443
imageRepository: $IMAGES/registry.k8s.io
dns: {imageTag: v1.8.4, imageRepository: $IMAGES/registry.k8s.io/coredns}
etcd: {local: {imageTag: 3.5.13-0}}
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failSwapOn: false
cgroupDriver: systemd
resolvConf: /etc/kubernetes/resolv.conf
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: {maxPerCore: 0}
YAML
kubeadm init --config /etc/kubernetes/kubeadm.yaml --ignore-preflight-errors=$IGNORED >/dev/null
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl apply -f - >/dev/null <<'YAML'
$(sed "s#IMAGES#$IMAGES#" "$HERE/by_hand/flannel.yaml.in")
YAML
END
}

join() {
    on "$1" "$(on "$CONTROL" 'kubeadm token create --ttl 10m --print-join-command') --ignore-preflight-errors=$IGNORED >/dev/null"
}

certificate() { # certificate NAME SUBJECT SAN
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$WORK/$1.key" -subj "/CN=$2" -out "$WORK/$1.csr" 2>/dev/null
    openssl x509 -req -in "$WORK/$1.csr" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" -CAcreateserial -days 365 \
        -extfile <(echo "subjectAltName=$3") -out "$WORK/$1.crt" 2>/dev/null
}

image_registry() {
    local password
    password=$(openssl rand -hex 20)
    certificate registry registry "IP:$CONTROL"
    tar -C "$WORK" -cf - ca.crt registry.crt registry.key | on "$CONTROL" "mkdir -p /var/lib/kraf/registry/tls && tar -C /var/lib/kraf/registry/tls -xf -"
    tar -C "$EDGE_CONTEXT" -cf - . | on "$CONTROL" "rm -rf /tmp/edge && mkdir /tmp/edge && tar -C /tmp/edge -xf -"
    together trust $CONTROL $WORKERS $DEVICE
    on "$CONTROL" <<END
export DEBIAN_FRONTEND=noninteractive KUBECONFIG=/etc/kubernetes/admin.conf
apt-get install -q -y --no-install-recommends apache2-utils >/dev/null
htpasswd -Bbn kraf $password > /var/lib/kraf/registry/htpasswd
kubectl create namespace kraf-system >/dev/null
kubectl apply -f - >/dev/null <<'YAML'
$(sed "s#IMAGES#$IMAGES#" "$HERE/by_hand/registry.yaml.in")
YAML
docker build -q --build-arg BASE=$IMAGES/docker.io/library/debian:bookworm-slim -t $REGISTRY/kraf/edge:1 /tmp/edge
until curl -s -o /dev/null --cacert /var/lib/kraf/registry/tls/ca.crt -u kraf:$password https://$REGISTRY/v2/; do sleep 0.5; done
docker login -u kraf --password-stdin $REGISTRY >/dev/null 2>&1 <<< $password
docker push -q $REGISTRY/kraf/edge:1
kubectl -n kraf-system create secret docker-registry image-registry --docker-server=$REGISTRY --docker-username=kraf --docker-password=$password >/dev/null
END
    REGISTRY_PASSWORD=$password together prove $CONTROL $WORKERS
}

prove() { # a pull and a push from each node
    on "$1" <<END
docker login -u kraf --password-stdin $REGISTRY >/dev/null 2>&1 <<< $REGISTRY_PASSWORD
docker pull -q $REGISTRY/kraf/edge:1
docker tag $REGISTRY/kraf/edge:1 $REGISTRY/kraf/proof:$1
docker push -q $REGISTRY/kraf/proof:$1
END
}

trust() { on "$1" "mkdir -p /etc/docker/certs.d/$REGISTRY && cat > /etc/docker/certs.d/$REGISTRY/ca.crt" < "$WORK/ca.crt"; }

door() {
    certificate door door.kraf.internal DNS:door.kraf.internal
    cat "$WORK/door.crt" "$WORK/door.key" > "$WORK/door.pem"
    tar -C "$WORK" -cf - ca.crt door.pem | on "$CONTROL" "mkdir -p /tmp/door && tar -C /tmp/door -xf -"
    on "$CONTROL" <<END
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl -n kraf-system create secret generic door-tls --from-file=/tmp/door >/dev/null
kubectl apply -f - >/dev/null <<'YAML'
$(sed "s#REGISTRY#$REGISTRY#" "$HERE/by_hand/door.yaml.in")
YAML
kubectl -n kraf-system rollout status daemonset/door >/dev/null
END
}

storage() {
    cat "$KINDS"/*.yaml | on "$CONTROL" 'kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f - >/dev/null'
    on "$CONTROL" <<'END'
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl apply -f - >/dev/null <<'YAML'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: kraf-local}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
YAML
END
    on "${WORKERS%% *}" <<'END'
DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends xfsprogs >/dev/null
truncate -s 512M /tmp/proof.img && mkfs.xfs -q /tmp/proof.img && mount -o loop /tmp/proof.img /mnt && umount /mnt && rm /tmp/proof.img
END
}

device() {
    certificate device pi1 DNS:pi1
    cat "$WORK/device.crt" "$WORK/device.key" > "$WORK/device.pem"
    on "$DEVICE" <<'END'
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
apt-get install -q -y --no-install-recommends davfs2 haproxy nftables rsync >/dev/null
systemctl disable -q --now haproxy
mkdir -p /etc/kraf/tls /var/lib/kraf
END
    tar -C "$WORK" -cf - ca.crt device.pem | on "$DEVICE" "tar -C /etc/kraf/tls -xf -"
}

IGNORED=${KRAF_IGNORED_PREFLIGHT_ERRORS:-HTTPProxyCIDR,SystemVerification,FileContent--proc-sys-net-bridge-bridge-nf-call-iptables,Swap,NumCPU,Mem}
command -v openssl >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends openssl >/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -keyout "$WORK/ca.key" -out "$WORK/ca.crt" -subj /CN=by-hand 2>/dev/null
say "docker and kubelet on the servers"; together server $CONTROL $WORKERS
say "control plane"; control
say "workers join"; together join $WORKERS
say "image registry"; image_registry
say "door"; door
say "kinds and storage class"; storage
say "device"; device
on "$CONTROL" 'kubectl --kubeconfig /etc/kubernetes/admin.conf wait --for condition=Ready node --all --timeout 120s >/dev/null'
say "done"
