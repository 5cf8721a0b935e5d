# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the options by which a module finds and enters the cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of C(module_utils/cluster/options.py)."""

    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file.
      - Without O(kubeconfig), O(host) and O(in_cluster) the file C(~/.kube/config) is used if it exists.
      - Can also be set by the environment variables E(KRAF_KUBECONFIG) and E(K8S_AUTH_KUBECONFIG).
      - Setting more than one of O(kubeconfig), O(host) and O(in_cluster) is an error.
    type: path
  context:
    description:
      - Context of the kubeconfig file; the file's current context by default.
      - Can also be set by the environment variable E(K8S_AUTH_CONTEXT).
    type: str
  host:
    description:
      - URL of the API server, for O(api_key), or O(username) and O(password).
      - Can also be set by the environment variable E(K8S_AUTH_HOST).
    type: str
  api_key:
    description:
      - Bearer token for O(host).
      - Can also be set by the environment variable E(K8S_AUTH_API_KEY).
    type: str
  ca_cert:
    description:
      - Path of the certificates, PEM, of the authorities that may have signed the API server's certificate.
      - Can also be set by the environment variable E(K8S_AUTH_SSL_CA_CERT).
    type: path
  validate_certs:
    description:
      - Whether the API server's certificate is checked.
      - Can also be set by the environment variable E(K8S_AUTH_VERIFY_SSL).
    type: bool
    default: true
  username:
    description:
      - User for O(host) on an OpenShift cluster, where a token is got for it by the Python package C(openshift).
      - Can also be set by the environment variable E(K8S_AUTH_USERNAME).
    type: str
  password:
    description:
      - Password of O(username).
      - Can also be set by the environment variable E(K8S_AUTH_PASSWORD).
    type: str
  in_cluster:
    description:
      - Use the service account of the pod that this runs in.
      - Never done unless asked for, since on AWX that cluster is AWX's own.
    type: bool
    default: false
  cluster_uid:
    description:
      - The uid of namespace C(kube-system) of the cluster that is meant; any other cluster is refused.
    type: str
  request_timeout:
    description:
      - Limit for one request, in seconds.
    type: int
    default: 30
requirements:
  - Python package C(kubernetes)
  - Python package C(openshift), for O(username) and O(password) only
"""
