#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Certificates of the service CA, as Secrets of the cluster
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Makes the service CA of the collection where there is none (Secret C(kraf-system/kraf-ca), and a ConfigMap of the
    same name with its public part), and the certificates that are signed by it.
  - A certificate is issued again when it ends within O(renew_before_days), when its names changed, when the CA has
    another key, or when it cannot be read. Everything else is left as it is, and nothing is written.
  - The CA is signed again with its old key when it ends within O(ca_renew_before_days), so what it signed stays valid.
  - Runs where the Kubernetes API server can be reached, normally on the controller. Private keys are made there, go
    into Secrets, and never into results, differences or logs.
extends_documentation_fragment:
  - kraf.edge.cluster
options:
  certificates:
    description: What is to be signed. Empty makes sure of the CA alone.
    type: list
    elements: dict
    default: []
    suboptions:
      device:
        description:
          - Name of the device whose client certificate this is. It gives all the others of these options their values;
            the Secret is C(device-tls) in the device's namespace.
        type: str
      device_uid:
        description: The device's uid in the catalog. Needed with O(certificates[].device).
        type: str
      namespace:
        description: Namespace of the Secret.
        type: str
        default: kraf-system
      name:
        description: Name of the Secret. Needed without O(certificates[].device).
        type: str
      common_name:
        description: Subject; the Secret's name by default.
        type: str
      dns_names:
        description: Names by which clients know this server.
        type: list
        elements: str
        default: []
      ip_addresses:
        description: Addresses by which clients know this server.
        type: list
        elements: str
        default: []
      usages:
        description: What it may be used for.
        type: list
        elements: str
        choices: [server, client]
        default: [server]
  days:
    description: How long certificates are valid, in days.
    type: int
    default: 397
  renew_before_days:
    description: How many days before its end a certificate is renewed.
    type: int
    default: 60
  ca_days:
    description: How long the CA is valid, in days.
    type: int
    default: 3650
  ca_renew_before_days:
    description: How many days before its end the CA is signed again.
    type: int
    default: 730
attributes:
  check_mode:
    support: full
    description: Predicts what would be issued, and changes nothing.
  diff_mode:
    support: full
    description: Shows names and dates, never keys.
requirements:
  - Python package C(cryptography), 42 or later
seealso:
  - plugin: kraf.edge.secret
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: The certificate of the door
  kraf.edge.certificate:
    kubeconfig: "{{ kraf_kubeconfig }}"
    certificates:
      - name: door-tls
        common_name: door
        dns_names: [door.kraf.internal]
  delegate_to: localhost

- name: The client certificate of a device
  kraf.edge.certificate:
    kubeconfig: "{{ kraf_kubeconfig }}"
    certificates:
      - device: pi1
        device_uid: 1d6c9f4e-3b0a-4d59-9f0c-2f6a5f1f7c11
  delegate_to: localhost

- name: Which certificates end soon
  kraf.edge.certificate:
    kubeconfig: "{{ kraf_kubeconfig }}"
    certificates: [{name: door-tls, common_name: door, dns_names: [door.kraf.internal]}]
  check_mode: true
  register: certificates
  delegate_to: localhost
"""

RETURN = r"""
ca:
  description: The service CA. C(certificate) is what everybody has to trust, PEM.
  returned: success
  type: dict
  sample: {not_after: "2036-11-22T04:40:00Z", days_left: 3649, fingerprint: 5f1c, renewed: false}
certificates:
  description:
    - One entry for each of O(certificates), in their order.
    - In check mode one that would be issued has the dates that it would get, and an empty fingerprint.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the Secret.
      type: str
      sample: kraf-system
    name:
      description: Name of the Secret.
      type: str
      sample: door-tls
    not_after:
      description: End of validity, UTC.
      type: str
      sample: "2027-12-27T04:40:00Z"
    days_left:
      description: Whole days until then.
      type: int
      sample: 396
    fingerprint:
      description: SHA-256 of the certificate, which changes with every renewal.
      type: str
      sample: 9d3e
    renewed:
      description: Whether it was, or in check mode would be, issued.
      type: bool
    reason:
      description: Why it was issued; empty when it was not.
      type: str
      sample: there is none
cluster:
  description: URL of the API server and uid of the cluster.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b8f2d0e-8f0f-4d0b-9f3e-6f7f3f2b9a11}
requests:
  description: Requests that were sent to the API server.
  returned: success
  type: int
  sample: 4
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.cluster.client import connect
from ..module_utils.cluster.options import CLUSTER_ARGS
from ..module_utils.core.module import run
from ..module_utils.core.names import SYSTEM_NAMESPACE
from ..module_utils.tls.issuer import Issuer, wanted

CERTIFICATE_ARGS: dict[str, Any] = {
    "device": {"type": "str"},
    "device_uid": {"type": "str"},
    "namespace": {"type": "str", "default": SYSTEM_NAMESPACE},
    "name": {"type": "str"},
    "common_name": {"type": "str"},
    "dns_names": {"type": "list", "elements": "str", "default": []},
    "ip_addresses": {"type": "list", "elements": "str", "default": []},
    "usages": {"type": "list", "elements": "str", "choices": ["server", "client"], "default": ["server"]},
}
ARGS: dict[str, Any] = {
    **CLUSTER_ARGS,
    "certificates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": CERTIFICATE_ARGS,
        "required_one_of": [("device", "name")],
        "required_by": {"device": ("device_uid",)},
    },
    "days": {"type": "int", "default": 397},
    "renew_before_days": {"type": "int", "default": 60},
    "ca_days": {"type": "int", "default": 3650},
    "ca_renew_before_days": {"type": "int", "default": 730},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    asked = [wanted(entry, params["days"]) for entry in params["certificates"]]
    cluster = connect(params)
    issuer = Issuer(cluster, datetime.now(timezone.utc), module.check_mode)
    ca = issuer.authority(params["ca_days"], params["ca_renew_before_days"])
    signed = [issuer.leaf(one, params["renew_before_days"]) for one in asked]
    return {
        "changed": issuer.change.changed,
        "ca": ca,
        "certificates": signed,
        "diff": issuer.change.diff,
        "cluster": cluster.identity(),
        "requests": cluster.requests,
    }


def main() -> None:
    run(ARGS, body)


if __name__ == "__main__":
    main()
