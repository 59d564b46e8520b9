"""Make the picture of the worksheet that its page shows: ``uvx nox -s screenshot``.

LibreOffice prints the first norm's sheet, with the letters and numbers of columns and rows, and the
picture is cut out of that page.
"""

import subprocess
import tempfile
from pathlib import Path

import pypdfium2
from PIL import Image, ImageChops

from normstudy.worksheet import write

TARGET = Path(__file__).parent / "_static" / "worksheet.png"
PAGE = 1  # from 0: behind the start page
SCALE = 2.5  # pixels to a point, so that small letters stay sharp
MARGIN = 12  # pixels
COLORS = 64  # keeps the file small; the sheet has fewer


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
    left, top, right, bottom = ImageChops.difference(picture, paper).getbbox() or (0, 0, 1, 1)
    picture = picture.crop((left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))
    picture.quantize(COLORS).save(TARGET, optimize=True)
    print(f"{TARGET}: {picture.width} × {picture.height}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
