"""What the pipes and the policies say to each other."""

from collections.abc import Callable

Tell = Callable[[float], None]


class ReplyRefused(Exception):
    """The person who waits can do something about it; the message says what."""
