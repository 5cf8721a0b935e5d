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
  - kraf.edge.apps
attributes:
  check_mode:
    description: Changes nothing; returns the steps and the portability report, and fails for what cannot move.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
options:
  to:
    description: The side that is to own them. An app that is there already stays as it is.
    type: str
    choices: [edge, device]
    required: true
  drain_seconds:
    description: How long open connections may go on by themselves before they are cut, in seconds.
    type: float
    default: 1
  deadman_seconds:
    description: After how many seconds the device undoes a move by itself if nobody goes on with it.
    type: int
    default: 120
  job_timeout:
    description:
      - How long to wait for a job to end before it is moved to the device, in seconds. It goes on running at the edge
        when it has not ended by then, and the move is refused.
      - V(0) refuses at once to move a job that still runs.
      - The same for a run of a cronjob that has begun at the edge. One on the device is waited for up to 150 seconds.
    type: float
    default: 3600
  job_kill:
    description:
      - Whether a job that has not ended after O(job_timeout) is ended, and moved to the device with what it wrote.
      - It counts as C(killed), and is begun again only by another move to the edge.
      - Of a cronjob the run in progress is ended; its slot is not begun again.
    type: bool
    default: false
  device_lost:
    description:
      - V(accept) says that the device does not run and will not be asked. The edge takes its apps over from the last
        copy that M(kraf.edge.standby) has verified; what was written since is not part of it. RV(apps) tells its age.
      - A device that answers is refused. One that comes back finds that the edge has taken over, keeps the app stopped,
        and leads its clients there; the next run tells it formally, and says which files it wrote in between.
    type: str
    choices: ["", accept]
    default: ""
  edge_lost:
    description:
      - V(accept) says that nothing of the edge runs, or will before it has been told. The device takes its apps over
        with its own copy of the data, which is that of the last move; RV(apps) tells its age. An app that answers at
        the edge is refused.
      - An API server that answers is told; one that does not learns of it from the next run that reaches both sides. It
        stops the app at the edge then, and keeps the data of there on the volume under another name.
      - A cluster that comes back by itself starts the app again, beside the device's, until that run, but for one whose
        probe answers at the device's own port.
    type: str
    choices: ["", accept]
    default: ""
requirements:
  - kubernetes (Python package) on the controller
notes:
  - The app has ports of TCP and UDP, or none, and its data lie in bind mounts or volumes of the container.
  - Whether a UDP port answers cannot be asked. What counts is the app's probe, which is on a TCP port; without one,
    that the app has the port open, or has run for 10 seconds.
  - A job (kind V(job) in the catalog) is moved while it is at rest. It runs at the edge as a Job, begun as often as its
    retries allow and never once more, and its move to the device waits for its end. Its exit code and the end of its
    log are then on the device, in C(/var/lib/kraf/jobs).
  - A cronjob (kind V(cronjob)) runs once for each slot of its schedule, on the side that owns it. A move to the device
    that owns it already enables its timer there. How its last run at the edge ended is on the device when it is back.
seealso:
  - module: kraf.edge.standby
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

- name: Let the edge take over from a device that is lost
  kraf.edge.migrate:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [faces]
    to: edge
    device_lost: accept

- name: Let the device take over from an edge that is lost
  kraf.edge.migrate:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [faces]
    to: device
    edge_lost: accept
  become: true
- name: Bring a job back with its results, after ten hours at most
  kraf.edge.migrate:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [training]
    to: device
    job_timeout: 36000
  become: true
  register: moved

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
      pushed_bytes: 12582912
      pushed_layers: {sent: 2, there: 5}
      requests: 52
      waits: 14
      steps:
        - {step: commit, where: cluster, seconds: 0.02, requests: 1, waits: 0}
  contains:
    app: {description: The app., type: str, returned: always}
    address: {description: Where clients find it., type: str, returned: success}
    changed: {description: Whether it was moved or put right., type: bool, returned: always}
    clock:
      description: When each part on the device was done, in seconds since its part began.
      type: dict
      returned: when clients were held
    copy_age_seconds:
      description: How long ago the copy was verified that the app goes on from.
      type: float
      returned: when a side was lost
    diverged:
      description:
        - Files that a device wrote after the edge had taken over, by the data directory's name; the first of many.
        - They stay where they are, and are kept beside the data once the app comes back.
      type: dict
      returned: success
    lost: {description: The side that is lost and has not been told., type: str, returned: success}
    removed: {description: What was abandoned., type: list, elements: str, returned: success}
    standby: {description: What the edge is kept ready with., type: dict, returned: success}
    disks:
      description:
        - Data directories on volumes of the device, of which nothing is copied. C(node) is the only one that can mount
          the volume beside its export; empty is any.
      type: list
      elements: dict
      returned: success
      sample: [{name: results, volume: photos, node: worker1}]
    copied_bytes:
      description: What copies of the data sent over the line, before clients waited (C(first)) and meanwhile (C(held)).
      type: dict
      returned: when data moved
    device_calls: {description: Number of module runs on the device., type: int, returned: success}
    epoch: {description: Number of the ownership., type: int, returned: success}
    held_seconds: {description: How long clients waited., type: float, returned: success}
    exit_code:
      description: Exit code of a job's last try; null when Kubernetes removed its pod, as it does at the deadline.
      type: int
      returned: for a job that has come back
    job:
      description:
        - How a job has ended. C(result) is V(succeeded), V(failed), or V(killed) when it was taken back before its end;
          C(reason) is in Kubernetes' words; C(runs) is how often it was begun.
        - The device keeps it, with C(epoch), in C(/var/lib/kraf/jobs/APP/result.json), and RV(apps[].log) in C(log)
          beside it, which only root reads.
      type: dict
      returned: for a job that has come back
      sample: {result: failed, reason: OOMKilled, exit_code: 137, runs: 2, seconds: 71.0}
    log:
      description: The last lines of a job's last try, 50 lines of 500 characters and 16,000 characters in all at most.
      type: list
      elements: str
      returned: for a job that has come back
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
    pushed_bytes:
      description:
        - Bytes of the image's layers that the device sent to the image registry. What was there already is not sent
          again, so a second move sends 0.
      type: int
      returned: success
    pushed_layers:
      description: How many layers were sent, and how many were there already; empty when the device pushed nothing.
      type: dict
      returned: success
    requests: {description: Number of requests to the API server., type: int, returned: success}
    waits:
      description: How many of RV(apps[].requests) only looked whether something had come, or kept the lock.
      type: int
      returned: success
    steps:
      description: The steps that were done, with their seconds, and their requests to the API server and waits.
      type: list
      elements: dict
      returned: success
"""
