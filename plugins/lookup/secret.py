# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One value of a Secret or ConfigMap."""

from __future__ import annotations

DOCUMENTATION = r"""
name: secret
short_description: One value of a Secret or ConfigMap of the cluster
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Returns one value as text. Use it only in tasks with C(no_log), unless O(kind) is V(ConfigMap).
  - Sends two requests to the API server, and none if O(kubeconfig) cannot be used.
extends_documentation_fragment:
  - kraf.edge.cluster
options:
  _terms:
    description: Not used; everything is named by keywords.
    required: false
  namespace:
    description: Namespace of the object.
    type: str
    default: kraf-system
  name:
    description: Name of the object.
    type: str
    required: true
  key:
    description: Key of the value in the object's C(data).
    type: str
    required: true
  kind:
    description: Kind of the object.
    type: str
    choices: [Secret, ConfigMap]
    default: Secret
  default:
    description: Returned when there is no such object or key. Without it that is an error.
    type: str
"""

EXAMPLES = r"""
- name: The authority that a device has to trust
  ansible.builtin.copy:
    content: "{{ lookup('kraf.edge.secret', kind='ConfigMap', name='kraf-ca', key='ca.crt') }}"
    dest: /etc/kraf/tls/ca.crt
    mode: "0644"

- name: The key of a device
  ansible.builtin.copy:
    content: "{{ lookup('kraf.edge.secret', namespace='kraf-pi1', name='device-tls', key='tls.key', kubeconfig=path) }}"
    dest: /etc/kraf/tls/device.key
    mode: "0600"
  no_log: true
  vars:
    path: "{{ kraf_kubeconfig }}"
"""

RETURN = r"""
_raw:
  description: The value, decoded.
  type: list
  elements: str
"""

from base64 import b64decode
from typing import Any

from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils.cluster.client import connect
from ..module_utils.cluster.kinds import CONFIG_MAP, SECRET
from ..module_utils.cluster.options import CLUSTER_ARGS
from ..module_utils.core.errors import KrafError

KINDS = {"Secret": SECRET, "ConfigMap": CONFIG_MAP}


class LookupModule(LookupBase):  # type: ignore[misc]
    """See the documentation above."""

    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleError("kraf.edge.secret takes keywords only: namespace, name, key, kind.")
        try:
            return [self._value()]
        except KrafError as error:
            raise AnsibleLookupError(str(error)) from error

    def _value(self) -> str:
        kind, namespace = self.get_option("kind"), self.get_option("namespace")
        name, key = self.get_option("name"), self.get_option("key")
        cluster = connect(self._connection())
        data = (cluster.get(KINDS[kind], name, namespace) or {}).get("data") or {}
        if key in data:
            return b64decode(data[key]).decode() if kind == "Secret" else str(data[key])
        if self.get_option("default") is not None:
            return str(self.get_option("default"))
        why = f"the object has no such key, only {', '.join(sorted(data))}" if data else "there is no such object"
        fix = "Run the playbook kraf.edge.cluster if it belongs to kraf.edge itself"
        raise KrafError(f"key {key} of {kind} {namespace}/{name}", None, f"{why} in the cluster {cluster.server}", fix)

    def _connection(self) -> dict[str, Any]:
        """The options of the connection, with the same environment variables as those of the modules."""
        found: dict[str, Any] = {}
        for name, spec in CLUSTER_ARGS.items():
            found[name] = self.get_option(name)
            if found[name] is None and "fallback" in spec:
                found[name] = _from_environment(*spec["fallback"])
        return found


def _from_environment(strategy: Any, names: list[str]) -> Any:
    from ansible.module_utils.basic import AnsibleFallbackNotFound

    try:
        return strategy(*names)
    except AnsibleFallbackNotFound:
        return None
