"""Who is an operator at the sink: `slack.allowed_users`, and members of `slack.allowed_groups`. Fails closed."""

from __future__ import annotations

import logging

from monitor.config import Settings
from monitor.errors import DeliveryError
from monitor.jobs.app import App
from monitor.notify.pages import Mention

log = logging.getLogger(__name__)


async def is_operator(app: App, user_id: str) -> bool:
    """Asked anew each time: who left the group has no say any more. What cannot be asked is a no."""
    settings = app.settings.slack
    if user_id in settings.allowed_users:
        return True
    if app.people is None:
        return False
    for group in settings.allowed_groups:
        try:
            if user_id in await app.people.members(group):
                return True
        except DeliveryError as error:
            log.error("group_not_readable", extra={"group": group, "error": str(error)})
    return False


def operators(settings: Settings) -> tuple[Mention, ...]:
    """Whom others can ask."""
    return tuple(Mention(each) for each in (*settings.slack.allowed_users, *settings.slack.allowed_groups))
