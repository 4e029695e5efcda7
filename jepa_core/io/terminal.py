"""Where progress is shown. Work never ends because nobody can read about it."""

from __future__ import annotations

import contextlib
import io
import sys

from jepa_core.io.screen import columns_of, within


class ErrorOutput(io.StringIO):
    """Standard error for what is only shown: words that it does not take, since the terminal is gone, full or slow, are
    dropped. Nothing is kept here."""

    def __init__(self) -> None:
        super().__init__()
        # What it is now: while bars are drawn, rich puts something in its place that writes here.
        self._file = sys.stderr

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._file.flush()

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute there, which nobody sets
        return self._file.encoding


class Lines(ErrorOutput):
    """Standard error for lines, as it is whenever one is written: above the bars while such are drawn. On a terminal a
    long line goes on below, between two words; a pipe or a file gets it as it is."""

    def write(self, text: str) -> int:
        self._file = sys.stderr
        super().write(within(text, columns_of(self._file)) if self.isatty() else text)
        return len(text)

    def flush(self) -> None:
        self._file = sys.stderr
        super().flush()
