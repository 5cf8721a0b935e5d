# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a server wants to be left alone (https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime


def seconds(value: str | None, most: float, now: datetime | None = None) -> float | None:
    """Seconds to wait by a header Retry-After, which has seconds or a date; None for one that says neither.

    Args:
        value: of the header; None when there is none.
        most: seconds that are waited at most.
        now: what time it is, for a date.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text, re.ASCII):
        return min(most, float(text))
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return min(most, max(0.0, (moment - (now or datetime.now(timezone.utc))).total_seconds()))
