#!/usr/bin/env python3
"""Records small PNG, JPEG, TIFF and BMP files with the pixels Pillow reads from them, and Pillow's resizing,
for tests/data/image.cpp.

Usage: python3 tests/reference/images.py > tests/reference/images.json   (needs Pillow)
"""

import io
import json
import warnings

import PIL
from PIL import Image

warnings.simplefilter("ignore")


def picture(width, height):
    image = Image.new("RGB", (width, height))
    for y in range(height):
        for x in range(width):
            image.putpixel(
                (x, y),
                ((x * 37 + y * 11) % 256, (x * x * 5 + y * 40) % 256, (255 - x * 20 - y * 30) % 256),
            )
    return image


def encoded(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(image):
    return list(image.convert("RGB").tobytes())


def main():
    source = picture(7, 5)
    files = []

    def add(name, data, expected):
        files.append({"name": name, "bytes": data.hex(), "pixels": expected})

    add("rgb.png", encoded(source, "PNG"), pixels(source))
    add("grey.png", encoded(source.convert("L"), "PNG"), pixels(source.convert("L")))
    one_bit = source.convert("1")
    add("one_bit.png", encoded(one_bit, "PNG"), pixels(one_bit))
    palette = source.quantize(5)
    add("palette.png", encoded(palette, "PNG"), pixels(palette))
    deep = Image.new("I;16", (7, 5))
    for y in range(5):
        for x in range(7):
            deep.putpixel((x, y), (x * 9001 + y * 3007) % 65536)
    scaled = [round(deep.getpixel((x, y)) / 257) for y in range(5) for x in range(7)]
    add("sixteen_bit.png", encoded(deep, "PNG"), [v for v in scaled for _ in range(3)])
    alpha = source.copy()
    alpha.putalpha(source.convert("L"))
    over_black = [round(c * a / 255) for *rgb, a in
                  (alpha.getpixel((x, y)) for y in range(5) for x in range(7)) for c in rgb]
    add("alpha.png", encoded(alpha, "PNG"), over_black)
    wide = picture(24, 16)
    for name, image in (("rgb.jpg", wide), ("grey.jpg", wide.convert("L"))):
        data = encoded(image, "JPEG", quality=90, subsampling=0)
        add(name, data, pixels(Image.open(io.BytesIO(data))))
    grey = source.convert("L")
    # Enough colours that LZW's codes get wider and its table is filled and cleared.
    noise = Image.new("RGB", (48, 40))
    state = 1
    for y in range(40):
        for x in range(48):
            state = (state * 1103515245 + 12345) % 2**31
            noise.putpixel((x, y), (state >> 7 & 63, state >> 13 & 63, state >> 19 & 63))
    add("rgb.tif", encoded(source, "TIFF"), pixels(source))
    add("grey.tif", encoded(grey, "TIFF"), pixels(grey))
    add("palette.tif", encoded(palette, "TIFF"), pixels(palette))
    add("alpha.tif", encoded(alpha, "TIFF"), over_black)
    add("lzw.tif", encoded(noise, "TIFF", compression="tiff_lzw"), pixels(noise))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        name = compression.replace("tiff_", "")
        add(name + "_grey.tif", encoded(grey, "TIFF", compression=compression), pixels(grey))
        if compression == "packbits":
            continue
        data = encoded(wide, "TIFF", compression=compression, tiffinfo={317: 2, 278: 5})
        add(name + "_predictor.tif", data, pixels(wide))
    add("sixteen_bit.tif", encoded(deep, "TIFF"), [v for v in scaled for _ in range(3)])
    data = encoded(deep, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    add("sixteen_bit_predictor.tif", data, [v for v in scaled for _ in range(3)])
    add("rgb.bmp", encoded(source, "BMP"), pixels(source))
    add("grey.bmp", encoded(grey, "BMP"), pixels(grey))
    add("palette.bmp", encoded(palette, "BMP"), pixels(palette))
    add("one_bit.bmp", encoded(one_bit, "BMP"), pixels(one_bit))
    record = {
        "made_by": "tests/reference/images.py",
        "pillow": PIL.__version__,
        "files": files,
        "source": {"width": 7, "height": 5, "pixels": pixels(source)},
        "resized": [
            {"width": w, "height": h, "filter": f, "pixels": pixels(source.resize((w, h), f))}
            for w, h in ((3, 2), (11, 9), (4, 5), (7, 2), (1, 1))
            for f in (Image.BILINEAR, Image.NEAREST, Image.LANCZOS, Image.BICUBIC, Image.BOX, Image.HAMMING)
        ],
    }
    print(json.dumps(record, separators=(",", ":")))


if __name__ == "__main__":
    main()
