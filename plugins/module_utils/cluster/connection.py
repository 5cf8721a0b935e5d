# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a module's options to a connection. Nothing is guessed: an ambient service account is used only on demand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..core.imports import require
from .errors import ClusterError
from .package import parts
from .transport import Transport

DEFAULT_KUBECONFIG = "~/.kube/config"


def transport(params: Mapping[str, Any]) -> Transport:
    """The connection that the options (``CLUSTER_ARGS``) ask for; nothing is sent yet.

    Raises:
        ClusterError: when the options contradict each other, or name no cluster.
    """
    given = {key: value for key, value in params.items() if value not in (None, "")}
    ways = [way for way in ("kubeconfig", "host", "in_cluster") if given.get(way)]
    if len(ways) > 1:
        values = ", ".join(f"{way}={given[way]}" for way in ways)
        why = "each of them names a cluster, and they could be different ones"
        raise ClusterError("connection to the cluster", values, why, "Set one, and leave the others empty")
    configuration = parts().configuration.Configuration()
    if ways == ["host"]:
        _from_host(configuration, given)
    elif ways == ["in_cluster"]:
        _from_pod(configuration)
    else:
        _from_kubeconfig(configuration, given)
    if given.get("ca_cert"):
        configuration.ssl_ca_cert = given["ca_cert"]
    if params.get("validate_certs") is False:
        configuration.verify_ssl = False
        configuration.assert_hostname = False
    if ways == ["host"] and (given.get("username") or given.get("password")):
        _log_in(configuration, given)
    return Transport(configuration, float(given.get("request_timeout", 30)))


def _from_host(configuration: Any, given: Mapping[str, Any]) -> None:
    host = str(given["host"]).rstrip("/")
    if not host.startswith(("https://", "http://")):
        raise ClusterError("host", host, "it has no scheme", f"Write https://{host}")
    configuration.host = host
    if given.get("api_key"):
        # Older releases of the package know this key only, newer ones take it as an alias.
        configuration.api_key["authorization"] = f"Bearer {given['api_key']}"


def _from_pod(configuration: Any) -> None:
    config = parts().config
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        fix = "Set kubeconfig or host unless this runs in a pod with a service account"
        raise ClusterError("in_cluster", True, str(error), fix) from error


def _from_kubeconfig(configuration: Any, given: Mapping[str, Any]) -> None:
    path = os.path.expanduser(str(given.get("kubeconfig", DEFAULT_KUBECONFIG)))
    if not os.path.exists(path):
        if given.get("kubeconfig"):
            why, fix = (
                "there is no such file",
                "Give the path of the kubeconfig that the cluster's installation fetched",
            )
            raise ClusterError("kubeconfig", path, why, fix)
        why = f"neither kubeconfig nor host is set and {DEFAULT_KUBECONFIG} does not exist"
        fix = "Set kubeconfig (or KRAF_KUBECONFIG), or host and api_key; a pod's own cluster only by in_cluster: true"
        raise ClusterError("connection to the cluster", None, why, fix)
    config = parts().config
    try:
        config.load_kube_config(path, given.get("context"), configuration, persist_config=False)
    except Exception as error:  # what a broken YAML file raises is no promise of that package
        why = f"it cannot be used: {error}".replace("\n", " ")
        raise ClusterError("kubeconfig", path, why, "Check the file, and that it has this context") from error


def _log_in(configuration: Any, given: Mapping[str, Any]) -> None:
    """Exchange user name and password for a token, as OpenShift's OAuth server does it.

    See https://docs.openshift.com/container-platform/4.10/authentication/using-service-accounts-as-oauth-client.html
    """
    module = require("openshift.helper.userpassauth")
    login = module.OCPLoginConfiguration.__new__(module.OCPLoginConfiguration)
    # Its constructor passes an argument that today's kubernetes.client.Configuration no longer takes.
    type(configuration).__init__(login, host=configuration.host)
    login.ocp_username, login.ocp_password = given.get("username"), given.get("password")
    login.verify_ssl, login.ssl_ca_cert = configuration.verify_ssl, configuration.ssl_ca_cert
    try:
        login.get_token()
    except (module.OCPLoginException, OSError, KeyError, ValueError) as error:
        reason = str(error).strip().split("\t", maxsplit=1)[0] or type(error).__name__
        why = f"no token for user {given.get('username')!r}: {reason}"
        fix = "username and password work on OpenShift clusters only: check them, or use api_key or kubeconfig"
        raise ClusterError("log-in at the API server", configuration.host, why, fix) from error
    configuration.api_key["authorization"] = str(login.api_key["authorization"])
