#!/usr/bin/env bash
# Signs a certificate again, with the same key, names and purposes, so that it ended yesterday: `expire.sh CA.crt CA.key < PEM`.
# The PEM holds certificate and key, as kubelet's does; so does what is printed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/pem"
mkdir "$work/certs"
: >"$work/index"
cat >"$work/config" <<END
[ca]
default_ca = own
[own]
database = $work/index
new_certs_dir = $work/certs
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copyall
unique_subject = no
email_in_dn = no
[any]
organizationName = optional
commonName = supplied
END
openssl x509 -x509toreq -copy_extensions copyall -in "$work/pem" -signkey "$work/pem" -out "$work/request" 2>/dev/null
openssl ca -batch -notext -config "$work/config" -cert "$1" -keyfile "$2" -in "$work/request" -out "$work/certificate" \
    -startdate "$(date -u -d '-8 days' +%Y%m%d%H%M%SZ)" -enddate "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)" 2>"$work/log" || {
    cat "$work/log" >&2
    exit 1
}
cat "$work/certificate"
openssl pkey -in "$work/pem"
