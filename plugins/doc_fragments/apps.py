# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of everything that takes apps of a device."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation of ``plugin_utils.apps.ARGUMENTS``."""

    DOCUMENTATION = r"""
options:
  apps:
    description: Apps of the device, as V(pi1/faces) or V(faces). They are taken one after the other.
    type: list
    elements: str
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
  accept:
    description:
      - Properties of the container without which the app may run at the edge, by their names in the portability report.
      - What cannot be accepted stays refused; RV(apps) and the message say which are which.
    type: list
    elements: str
    default: []
"""
