"""A progress bar for commands: one line on a terminal, a line at each tenth in a log."""

import sys
import time
from typing import TextIO

WIDTH = 28
REDRAW_SECONDS = 0.1


class ProgressBar:
    """Call it with (done, total, message) as often as you like; `close` ends the line."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()
        self._began = time.monotonic()
        self._drawn = 0.0
        self._tenth = -1
        self._last: tuple[int, int, str] | None = None

    def __call__(self, done: int, total: int, message: str = "") -> None:
        if (done, total, message) == self._last:
            return
        self._last = (done, total, message)
        now = time.monotonic()
        if self._is_terminal:
            if now - self._drawn >= REDRAW_SECONDS or done >= total:
                self._drawn = now
                self._stream.write(f"\r\x1b[K{self._line(done, total, message)}")
                self._stream.flush()
        elif total and 10 * done // total != self._tenth:
            self._tenth = 10 * done // total
            self._stream.write(self._line(done, total, message) + "\n")
            self._stream.flush()

    def close(self) -> None:
        if self._is_terminal and self._last is not None:
            self._stream.write(f"\r\x1b[K{self._line(*self._last)}\n")
            self._stream.flush()

    def _line(self, done: int, total: int, message: str) -> str:
        share = min(1.0, done / total) if total else 0.0
        bar = "#" * round(WIDTH * share)
        seconds = time.monotonic() - self._began
        return f"{self._title} [{bar:<{WIDTH}}] {share:4.0%} {seconds:4.0f} s {message}".rstrip()
