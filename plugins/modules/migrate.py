#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name; nothing here runs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: migrate
version_added: 0.1.0
short_description: Moves apps of a device to the cluster and back
description:
  - Moves a running app, its data with it, from its device to the cluster, or back. Clients keep the device's port;
    while the app moves they wait at the device's own forward, and nothing that was acknowledged to them is lost.
  - One side owns an app. The owner is changed by one write, once the copy of the data is verified; until the forward
    is released, everything can be undone, and is when a step fails.
  - A run that was killed is taken up by the next one, whichever side that one moves the app to.
  - The app is a row of the catalog (module M(kraf.edge.app)) and a Docker container on the device. What really runs
    is moved, its arguments, environment and user with it; what cannot be the same at the edge is refused, or reported
    in RV(apps).
  - Runs on the controller, with the device as host of the task, as root (C(become)).
author: kraf.edge contributors (@kraf-edge)
extends_documentation_fragment:
  - kraf.edge.cluster
  - kraf.edge.catalog
attributes:
  check_mode:
    description: Changes nothing; returns the steps and the portability report, and fails for what cannot move.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
options:
  apps:
    description: Apps of the device, as V(pi1/faces) or V(faces). They are moved one after the other.
    type: list
    elements: str
    required: true
  to:
    description: The side that is to own them. An app that is there already stays as it is.
    type: str
    choices: [edge, device]
    required: true
  volume_size:
    description:
      - Size of the volume that holds the data of an app at the edge. It grows, never shrinks.
      - It has to hold the data twice, since a copy never goes over the last good one.
    type: str
    default: 2Gi
  storage_class:
    description: Class of a new volume; the cluster's default class if it is not given.
    type: str
  lock_timeout:
    description: How long to wait for another run on the same app, in seconds.
    type: float
    default: 60
  wait_timeout:
    description: Limit of each wait, in seconds, such as for the image to be pulled.
    type: float
    default: 180
  hold_timeout:
    description:
      - Limit of each wait of the device while clients are held, in seconds, such as for the app to answer on its new
        side. After it the owner is given back.
    type: float
    default: 60
  copy_timeout:
    description: Limit of each copy of data and of the push of an image, in seconds.
    type: float
    default: 3600
  drain_seconds:
    description: How long open connections may go on by themselves before they are cut, in seconds.
    type: float
    default: 1
  deadman_seconds:
    description: After how many seconds the device undoes a move by itself if nobody goes on with it.
    type: int
    default: 120
  accept:
    description:
      - Properties of the container without which the app may run at the edge, by their names in the portability report.
      - What cannot be accepted stays refused; RV(apps) and the message say which are which.
    type: list
    elements: str
    default: []
requirements:
  - kubernetes (Python package) on the controller
notes:
  - The app has ports of TCP and UDP, or none, and its data lie in bind mounts or volumes of the container.
  - Whether a UDP port answers cannot be asked. What counts is the app's probe, which is on a TCP port; without one,
    that the app has the port open, or has run for 10 seconds.
seealso:
  - module: kraf.edge.app
  - module: kraf.edge.placement_info
"""

EXAMPLES = r"""
- name: Move an app to the edge
  kraf.edge.migrate:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [faces]
    to: edge
  become: true

- name: Move an app that gets on without the camera of its device
  kraf.edge.migrate:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [faces]
    to: edge
    accept: [device /dev/video0]
  become: true

- name: See what moving it back would do
  kraf.edge.migrate:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [pi1/faces]
    to: device
  become: true
  check_mode: true
"""

RETURN = r"""
apps:
  description: One row for each app.
  returned: always
  type: list
  elements: dict
  sample:
    - address: pi1:8000
      app: pi1/faces
      changed: true
      copied_bytes: {first: 51234, held: 2048}
      clock: {armed: 0.9, held: 1.0, halted: 1.6, verified: 2.1, committed: 2.6, answers: 4.2, released: 4.3}
      epoch: 2
      held_seconds: 3.3
      image: 192.0.2.10:5000/pi1/faces@sha256:4bcf
      owner: edge
      portability:
        - {property: argv, verdict: kept, why: program and arguments as they run}
      requests: 52
      steps:
        - {step: commit, where: cluster, seconds: 0.02, requests: 1}
  contains:
    app: {description: The app., type: str, returned: always}
    address: {description: Where clients find it., type: str, returned: success}
    changed: {description: Whether it was moved or put right., type: bool, returned: always}
    clock:
      description: When each part on the device was done, in seconds since its part began.
      type: dict
      returned: when clients were held
    copied_bytes:
      description: What copies of the data sent over the line, before clients waited (C(first)) and meanwhile (C(held)).
      type: dict
      returned: when data moved
    device_calls: {description: Number of module runs on the device., type: int, returned: success}
    epoch: {description: Number of the ownership., type: int, returned: success}
    held_seconds: {description: How long clients waited., type: float, returned: success}
    image: {description: What it runs from at the edge., type: str, returned: success}
    owner: {description: "V(edge) or V(device).", type: str, returned: success}
    plan: {description: The steps., type: list, elements: dict, returned: in check mode}
    portability:
      description:
        - What is kept, translated, lost or refused at the edge, and why. C(override) says what the app is like once the
          refusal is accepted.
      type: list
      elements: dict
      returned: success
    requests: {description: Number of requests to the API server., type: int, returned: success}
    steps:
      description: The steps that were done, with their seconds and requests to the API server.
      type: list
      elements: dict
      returned: success
"""
