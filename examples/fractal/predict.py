"""A picture of the Mandelbrot set, drawn without any requirements: something to look at on the
page.
"""

import struct
import sys
import tempfile
import zlib

from cog import BasePredictor, Input, Path, current_scope

#: From the edge of the set outwards: red, green, blue between 0 and 1.
PALETTES = {
    "ocean": [(0.02, 0.05, 0.2), (0.1, 0.45, 0.7), (0.95, 0.98, 0.9), (0.95, 0.6, 0.1)],
    "ember": [(0.05, 0.0, 0.05), (0.6, 0.05, 0.15), (1.0, 0.55, 0.1), (1.0, 0.95, 0.7)],
    "moss": [(0.02, 0.08, 0.05), (0.15, 0.4, 0.25), (0.75, 0.85, 0.4), (1.0, 1.0, 0.9)],
}


class Predictor(BasePredictor):
    def predict(
        self,
        zoom: float = Input(description="How near to look", default=60, ge=1, le=2000),
        iterations: int = Input(description="Detail at the edge", default=120, ge=20, le=400),
        width: int = Input(description="Pixels", default=480, ge=64, le=1024),
        palette: str = Input(description="Colours", default="ocean", choices=list(PALETTES)),
    ) -> Path:
        height = width * 5 // 8
        rows = bytearray()
        for y in range(height):
            rows.append(0)  # this row is not filtered
            for x in range(width):
                c = (
                    complex(-0.7436, 0.1319)
                    + complex(x / width - 0.5, (y - height / 2) / width) * 3 / zoom
                )
                rows += colour(escape(c, iterations), iterations, PALETTES[palette])
            if y % 8 == 0:
                sys.stderr.write(f"\rdrawing {100 * y // height}%")
        sys.stderr.write("\rdrawing 100%\n")
        current_scope().record_metric("pixels", width * height)
        out = Path(tempfile.mkdtemp()) / "mandelbrot.png"
        out.write_bytes(png(width, height, bytes(rows)))
        return out


def escape(c: complex, limit: int) -> int:
    """After how many steps of z² + c the point escapes; limit if it does not."""
    z = 0j
    for step in range(limit):
        if abs(z) > 2:
            return step
        z = z * z + c
    return limit


def colour(step: int, limit: int, palette: list) -> bytes:
    if step == limit:
        return b"\0\0\0"
    place = (step / limit) ** 0.5 * (len(palette) - 1)
    low, share = int(place), place % 1
    mixed = (
        a + (b - a) * share for a, b in zip(palette[low], palette[min(low + 1, len(palette) - 1)])
    )
    return bytes(int(255 * channel) for channel in mixed)


def png(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG file of 8-bit RGB rows, each led by its filter byte."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
