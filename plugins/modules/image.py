#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: A container image on a host, or in an image registry by way of a host
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Pulls, builds and pushes by the Docker daemon of the host it runs on. Needs nothing there but Docker and Python.
  - Whether there is something to do is asked of the image registry, by that daemon, so that an unchanged run proves
    that this host reaches and trusts the registry.
  - Credentials go with each request; none are stored on the host.
  - What a registry refuses because it came too often (429) is tried again after a growing delay, and
    twice what it answers with a fault of its own (5xx).
options:
  name:
    description: Full name of the image, with its registry and its tag.
    type: str
    required: true
  state:
    description:
      - V(present) pulls the image to this host unless it has what the registry serves.
      - V(pushed) brings the image to its registry unless it is there.
    type: str
    choices: [present, pushed]
    default: present
  context:
    description:
      - For O(state=pushed), the files to build it from, by path, C(Dockerfile) among them. Built only when the registry
        does not have O(name), so the tag should follow from the files.
    type: dict
    default: {}
  folder:
    description: As O(context), a folder of this host.
    type: path
  joined:
    description:
      - For O(state=pushed) with O(context) or O(folder), whether the registry is to have the image for this host's
        architecture, too. What it has under O(name) for others stays; of all of them an index is made.
      - Run on one host after the other, each architecture is built once.
    type: bool
    default: false
  build_args:
    description: Build arguments.
    type: dict
    default: {}
  build_network:
    description: Network for the build's containers, such as V(host); Docker's default when empty.
    type: str
    default: ""
  source:
    description: For O(state=pushed), the image of this host that is pushed under O(name); it must have been pulled.
    type: str
    default: ""
  username:
    description: User of the image registry.
    type: str
    default: ""
  password:
    description: Password of O(username).
    type: str
    default: ""
  timeout:
    description: Limit for each step, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    support: full
    description: Asks the registry, and neither builds, pulls nor pushes.
"""

EXAMPLES = r"""
- name: An image that every node has to be able to pull
  kraf.edge.image:
    name: 10.0.0.10:5000/kraf/edge:3f1c
    username: kraf
    password: "{{ lookup('kraf.edge.secret', name='image-registry', key='password') }}"
  no_log: true
"""

RETURN = r"""
digest:
  description: Digest by which the registry serves the image; empty in check mode for one that is not there yet.
  returned: success
  type: str
  sample: sha256:7d1c
architecture:
  description: Architecture of this host's Docker.
  returned: success
  type: str
  sample: amd64
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.errors import KrafError
from ..module_utils.core.module import run
from ..module_utils.on_device import docker, images, registry
from ..module_utils.on_device.reference import Login, Reference

ARGS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "pushed"], "default": "present"},
    "context": {"type": "dict", "default": {}},
    "folder": {"type": "path"},
    "joined": {"type": "bool", "default": False},
    "build_args": {"type": "dict", "default": {}},
    "build_network": {"type": "str", "default": ""},
    "source": {"type": "str", "default": ""},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
    "timeout": {"type": "int", "default": 600},
}


def present(params: dict[str, Any], login: Login, there: str, check: bool) -> bool:
    """Pull the image if need be; whether there was need."""
    name = params["name"]
    if not there and not check:
        why, fix = "its registry does not have it", "Push it first, or correct the name"
        raise KrafError("image", name, why, fix)
    if there and there in images.digests(name):
        return False
    if not check:
        images.pull(name, login, params["timeout"])
        ours, its = images.architecture(), str((docker.inspect_image(name) or {}).get("Architecture", ""))
        if ours != its:
            images.untag(name)
            raise KrafError("image", name, f"it was built for {its}, this host is {ours}", "Build it for both")
    return True


def pushed(params: dict[str, Any], login: Login, there: str, check: bool) -> bool:
    """Bring the image to its registry if need be; whether there was need."""
    name, source = params["name"], params["source"]
    if there and (not source or there in images.digests(source) or same(params, login)):
        return False
    if check:
        return True
    if params["context"] or params["folder"]:
        build(params, name)
    if source:
        images.tag(source, name)
    images.push(name, login, params["timeout"])
    if source:
        images.untag(name)
    return True


def same(params: dict[str, Any], login: Login) -> bool:
    """Whether the registry has just what O(source) is here: one that came out of an index has that one's digest."""
    name = Reference.of(params["name"])
    found = registry.Registry(name.registry, login, params["timeout"]).manifest(name.repository, name.tag)
    image = (docker.inspect_image(params["source"]) or {}).get("Id")
    return found is not None and bool(image) and (found.parsed.get("config") or {}).get("digest") == image


def build(params: dict[str, Any], name: str) -> None:
    """Build an image of this host's architecture under a name."""
    context = images.pack_folder(params["folder"]) if params["folder"] else images.pack(params["context"])
    images.build(name, context, params["build_args"], params["build_network"], params["timeout"])


def joined(params: dict[str, Any], login: Login, check: bool) -> bool:
    """Bring this host's architecture to what the registry has of others; whether there was need."""
    name, mine = Reference.of(params["name"]), images.architecture()
    there = registry.Registry(name.registry, login, params["timeout"])
    has = registry.architectures(there, name.repository, name.tag)
    if mine in has or check:
        return mine not in has
    built = f"{name.full}-{mine}"
    build(params, built)
    images.push(built, login, params["timeout"])
    references = {**dict.fromkeys(has, name.full), mine: built}
    registry.join(there, name.repository, references, name.tag)
    return True


def body(module: AnsibleModule) -> dict[str, Any]:
    params, check = module.params, module.check_mode
    login = Login(params["username"], params["password"])
    if check and not os.path.exists(docker.SOCKET):
        return {"changed": True, "digest": "", "architecture": ""}
    try:
        there = images.served(params["name"], login, params["timeout"])
    except KrafError:
        # Before the first run there is no image registry to ask.
        if not check:
            raise
        there = ""
    if there and params["joined"] and params["state"] == "pushed":
        changed = joined(params, login, check)
    else:
        changed = (pushed if params["state"] == "pushed" else present)(params, login, there, check)
    if changed and not check:
        there = images.served(params["name"], login, params["timeout"])
    return {"changed": changed, "digest": there, "architecture": images.architecture()}


def main() -> None:
    run(ARGS, body)


if __name__ == "__main__":
    main()
