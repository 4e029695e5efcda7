"""What a part of a run costs: wall time and the peak of memory."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from pathlib import Path


class Stopwatch:
    """Runs from when it is made. Where the system allows it (Linux), the peak of memory is that since then; else that
    of the process so far."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        _forget_peaks()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def read(self) -> dict[str, float | int]:
        """Seconds, the largest resident memory and, where a GPU is used, the most of its memory that was taken."""
        device = _device_peak()
        return {"seconds": self.seconds, "peak_bytes": _peak()} | ({"peak_device_bytes": device} if device else {})


def _forget_peaks() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # sets the recorded peak back to the present size
    if _gpu():
        sys.modules["torch"].cuda.reset_peak_memory_stats()


def _peak() -> int:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _device_peak() -> int:
    return sys.modules["torch"].cuda.max_memory_allocated() if _gpu() else 0


def _gpu() -> bool:
    """Whether this process uses a GPU; torch is not imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized()
