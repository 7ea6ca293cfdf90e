import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from medseal.errors import ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from medseal.imaging.boundary import library_errors


def test_what_a_library_raises_becomes_one_line_without_its_text():
    with (
        pytest.raises(UnreadableImageError, match=r"^x: cannot decode it \(ValueError\)") as caught,
        library_errors("x", "decode it"),
    ):
        raise ValueError("Doe^John\nsecond line")
    assert "Doe" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ValueError)


def test_own_errors_pass_and_memory_is_a_limit():
    with pytest.raises(UnsupportedImageError, match="as it is"), library_errors("x", "y"):
        raise UnsupportedImageError("as it is")
    with pytest.raises(ImageTooLargeError, match="not enough memory"), library_errors("x", "y"):
        raise MemoryError
    with pytest.raises(KeyboardInterrupt), library_errors("x", "y"):
        raise KeyboardInterrupt


def test_warnings_are_silent_inside_only():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with library_errors("x", "y"):
            warnings.warn("inside", stacklevel=1)
        with pytest.raises(UserWarning, match="outside"):
            warnings.warn("outside", stacklevel=1)


def test_threads_neither_leak_warnings_nor_lose_the_filters():
    barrier = Barrier(4)

    def decode(number):
        for _ in range(50):
            barrier.wait()
            with library_errors("x", "y"):
                warnings.warn(f"inside {number}", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(decode, range(4)))
        assert warnings.filters == before
