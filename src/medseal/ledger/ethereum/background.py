"""A thread that keeps the relay going while a process works."""

import logging
import secrets
import threading
from collections.abc import Callable

from medseal.errors import MedsealError

__all__ = ["Background"]

_MAX_PAUSE_SECONDS = 10.0
_JOIN_SECONDS = 30.0
_logger = logging.getLogger(__name__)


class Background:
    """Repeats one step until it is stopped.

    Parameters
    ----------
    step
        What is repeated; returns whether something is still under way.
    busy_seconds, idle_seconds
        Pause between two steps while something is under way, and while nothing is.

    Attributes
    ----------
    error
        Why the last step failed; None when it did not. It is tried again, after longer and longer
        pauses of random length.
    """

    def __init__(
        self, step: Callable[[], bool], *, busy_seconds: float, idle_seconds: float
    ) -> None:
        self._step = step
        self._busy_seconds = busy_seconds
        self._idle_seconds = idle_seconds
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.error: MedsealError | None = None

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; it ends with the process or with `stop`."""
        if self.is_running:
            return
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="medseal-relay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the present step and end the thread."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)
            self._thread = None

    def wake(self) -> None:
        """Let the next step begin soon."""
        self._wake.set()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            self._wake.clear()
            try:
                is_busy = self._step()
                self.error, failures = None, 0
            except MedsealError as error:
                if type(error) is not type(self.error):
                    _logger.warning("the relay waits: %s", error)
                self.error, failures, is_busy = error, failures + 1, True
            if failures:
                # Full jitter, so that many gateways do not come back at the same moment.
                limit = min(_MAX_PAUSE_SECONDS, self._busy_seconds * 2**failures)
                self._stop.wait(secrets.SystemRandom().uniform(self._busy_seconds, limit))
            elif is_busy:
                self._stop.wait(self._busy_seconds)
            else:
                self._wake.wait(self._idle_seconds)
