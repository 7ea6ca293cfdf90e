"""The one place where exceptions and warnings of decoder libraries become errors of medseal."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from medseal.errors import ImageTooLargeError, MedsealError, UnreadableImageError

__all__ = ["library_errors"]


class _Silence:
    """No warnings while any thread is inside; `catch_warnings` alone is not safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.close()


_SILENCE = _Silence()


@contextmanager
def library_errors(name: str, step: str) -> Iterator[None]:
    """Turn whatever a decoder library raises or warns about into one line about the file.

    The text of a library's exception is left out, since it may quote values of the data set;
    the exception itself stays as the cause.

    Parameters
    ----------
    name
        File name for the message.
    step
        What was being done, as in "cannot <step>".

    Raises
    ------
    UnreadableImageError
        The library raised anything but an error of medseal.
    ImageTooLargeError
        Memory ran out.
    """
    try:
        with _SILENCE:
            yield
    except MedsealError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(f"{name}: not enough memory to {step}; split the image") from error
    except Exception as error:
        raise UnreadableImageError(
            f"{name}: cannot {step} ({type(error).__name__}); the file is damaged or unusual, "
            "fetch it again from its source"
        ) from error
