"""Make the picture of the worksheet that its page shows: ``uvx nox -s screenshot``.

LibreOffice prints the first norm's sheet, with the letters and numbers of columns and rows, and the
picture is cut out of that page: as many columns as can be read in the report.
"""

import subprocess
import tempfile
from pathlib import Path

import pypdfium2
from PIL import Image, ImageChops

from normstudy.byhand.worksheet import write

TARGET = Path(__file__).parent / "_static" / "worksheet.png"
PAGE = 1  # from 0: behind the start page
SCALE = 4  # pixels to a point, so that small letters stay sharp
COLUMNS = 7  # from A: symbol, words, formula, and two channels of the first image
MARGIN = 12  # pixels
HEAD = 3  # pixels below the upper edge: above the letters of the columns
COLORS = 64  # keeps the file small; the sheet has fewer


def borders(picture: Image.Image, y: int) -> list[int]:
    """Find the vertical lines that cross row y: left of the rows' numbers, of A, and so on."""
    row = picture.convert("L").crop((0, y, picture.width, y + 1)).tobytes()
    dark = [x for x, level in enumerate(row) if level < 128]
    return [x for x in dark if x - 1 not in dark]


def main() -> None:
    """Write, print, cut."""
    with tempfile.TemporaryDirectory() as folder:
        sheet = write(Path(folder) / "worksheet.xlsx")
        profile = f"-env:UserInstallation={(Path(folder) / 'profile').as_uri()}"
        convert = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", folder]
        subprocess.run([*convert, str(sheet)], check=True, timeout=300)
        with pypdfium2.PdfDocument(sheet.with_suffix(".pdf")) as document:
            picture: Image.Image = document[PAGE].render(scale=SCALE).to_pil().convert("RGB")
    paper = Image.new("RGB", picture.size, "white")
    left, top, _, bottom = ImageChops.difference(picture, paper).getbbox() or (0, 0, 1, 1)
    right = borders(picture, top + HEAD)[1 + COLUMNS]
    picture = picture.crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))
    picture.paste("white", (right - left + MARGIN - 2, 0, *picture.size))
    picture.quantize(COLORS).save(TARGET, optimize=True)
    print(f"{TARGET}: {picture.width} × {picture.height}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
