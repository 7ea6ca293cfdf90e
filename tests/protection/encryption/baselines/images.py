"""Images and keys for the tests of baselines."""

import numpy as np

KEY = bytes(range(32))
OTHER = bytes([1, *range(1, 32)])
NONCE = bytes(range(100, 116))


def picture(rows: int = 32, columns: int = 32) -> np.ndarray:
    down, across = np.mgrid[:rows, :columns]
    shown = 128 + 90 * np.sin(down / 5) * np.cos(across / 7)
    shown[: rows // 4] = 0
    return shown.astype(np.uint8)
