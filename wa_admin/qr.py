"""A linking code as an inline picture: dark on white in every theme, quiet zone of four modules."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache

from markupsafe import Markup

from .drivers.picture import mimetype


@lru_cache(maxsize=8)
def svg(code: str, label: str) -> Markup:
    """One `<svg>` whose size is left to CSS. 47 ms a drawing, so the last few are kept in memory."""
    matrix = _drawn(code, border=4)
    size = len(matrix)
    path = "".join(_runs(row, y) for y, row in enumerate(matrix))
    return Markup(
        '<svg class="qr-code" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}" role="img" '
        'aria-label="{1}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{0}v{0}H0z"/>'
        '<path fill="#10282c" d="{2}"/></svg>'
    ).format(size, label, Markup(path))  # noqa: S704 - digits and path letters only


def data_uri(image: bytes) -> str:
    """A picture of a gateway, for a program that shows it; our own pages take no such address."""
    return f"data:{mimetype(image)};base64,{b64encode(image).decode()}"


def text(code: str) -> str:
    """For a terminal: two modules a character, light on dark terminals too."""
    rows = _drawn(code, border=2)
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    blocks = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
    return "\n".join(
        "".join(blocks[bool(a), bool(b)] for a, b in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    )


def _drawn(code: str, border: int) -> list[list[bool]]:
    import qrcode  # here, since most starts of the panel never draw one

    drawing = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, border=border)
    drawing.add_data(code)
    drawing.make(fit=True)
    return drawing.get_matrix()


def _runs(row: list[bool], y: int) -> str:
    parts, start = [], None
    for x, dark in enumerate([*row, False]):
        if dark and start is None:
            start = x
        elif not dark and start is not None:
            parts.append(f"M{start} {y}h{x - start}v1h-{x - start}z")
            start = None
    return "".join(parts)
