"""Records what scipy and Pillow make of small stacks, for tests/data: volumes.json.

    python -m venv env && env/bin/pip install numpy scipy==1.17.1 pillow
    env/bin/python tests/reference/volumes.py

Resizing as scipy.ndimage.zoom, the min-max scaling and the changes of pixels of FLAP-SAM's dataset.py, each with the
calls that it makes. Masks of random shapes, with the distances between their surfaces as scipy and medpy measure them, are
recorded in masks.json.
"""
import json
import pathlib

import numpy
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageOps
from medpy.metric import binary
from scipy import ndimage

HERE = pathlib.Path(__file__).parent
RNG = numpy.random.default_rng(7)
AFFINE, BILINEAR, NEAREST = PIL.Image.AFFINE, PIL.Image.BILINEAR, PIL.Image.NEAREST


def flat(array):
    return [round(float(value), 7) for value in numpy.asarray(array).reshape(-1)]


def resized():
    cases = []
    for rows, columns, height, width in ((7, 9, 12, 5), (9, 6, 16, 16), (16, 16, 7, 9), (2, 3, 4, 4), (1, 5, 3, 8),
                                         (5, 5, 1, 3), (13, 11, 13, 20)):
        image = RNG.uniform(-3, 9, (rows, columns)).astype(numpy.float32)
        label = RNG.integers(0, 3, (rows, columns)).astype(numpy.uint8)
        by = (height / rows, width / columns)
        cubic = ndimage.zoom(image.astype(numpy.float64), by, order=3, mode="mirror")
        assert cubic.shape == (height, width)
        published = ndimage.zoom(image.astype(numpy.float64), by, order=3)
        # What the default mode puts outside of the image by rounding is 0 there.
        assert (numpy.isclose(cubic, published) | (published == 0)).all()
        cases.append({"size": [rows, columns], "to": [height, width], "image": flat(image), "cubic": flat(cubic),
                      "label": label.reshape(-1).tolist(),
                      "nearest": ndimage.zoom(label, by, order=0, mode="nearest").reshape(-1).tolist()})
    return cases


def picture(image):
    return PIL.Image.fromarray((numpy.clip(image, 0, 1) * 255).astype(numpy.uint8))


def changes():
    image = (RNG.integers(0, 256, (11, 14)) / 255).astype(numpy.float32)
    label = RNG.integers(0, 3, (11, 14)).astype(numpy.uint8)
    made = {}

    def moved(name, by, matrix):
        made[name] = {"by": by,
                      "image": numpy.array(picture(image).transform((14, 11), AFFINE, matrix, resample=BILINEAR)),
                      "mask": numpy.array(PIL.Image.fromarray(label).transform((14, 11), AFFINE, matrix, resample=NEAREST))}

    moved("shear_columns", 0.23, [1, 0.23, -0.23 * 14 / 2, 0, 1, 0])
    moved("shear_rows", -0.17, [1, 0, 0, -0.17, 1, 0.17 * 11 / 2])
    moved("scale_both", 1.15, [1.15, 0, 0, 0, 1.15, 0])
    moved("move_columns", -0.13, [1, 0, -0.13 * 14, 0, 1, 0])
    moved("move_rows", 0.19, [1, 0, 0, 0, 1, 0.19 * 11])
    made["posterize"] = {"by": 5, "image": numpy.array(PIL.ImageOps.posterize(picture(image), bits=5))}
    for name, kind, by in (("contrast", PIL.ImageEnhance.Contrast, 1.27), ("brightness", PIL.ImageEnhance.Brightness, 0.73),
                           ("sharpness", PIL.ImageEnhance.Sharpness, 1.85)):
        made[name] = {"by": by, "image": numpy.array(kind(picture(image)).enhance(by))}
    gamma = 2.3
    table = numpy.array([((i / 255.0) ** (1 / gamma)) * 255 for i in range(256)]).astype(numpy.uint8)
    made["gamma"] = {"by": gamma, "image": table[(image * 255.0).astype(numpy.uint8)]}
    for angle in (11, -15):
        made[f"rotate{angle}"] = {
            "by": angle, "image": (ndimage.rotate(image, angle, order=0, reshape=False) * 255).astype(numpy.uint8),
            "mask": ndimage.rotate(label, angle, order=0, reshape=False)}
    turned = numpy.flip(numpy.rot90(image, 3, axes=(0, 1)), axis=1)
    made["turn3_sideways"] = {"by": 3, "image": (turned * 255).astype(numpy.uint8),
                              "mask": numpy.flip(numpy.rot90(label, 3, axes=(0, 1)), axis=1)}
    for entry in made.values():
        for key in ("image", "mask"):
            if key in entry:
                entry[key] = entry[key].reshape(-1).tolist()
    return {"image": (image * 255).astype(numpy.uint8).reshape(-1).tolist(), "mask": label.reshape(-1).tolist(),
            "made": made}


def scaled():
    stack = RNG.normal(40, 300, (5, 3, 4)).astype(numpy.float32)
    made = (stack - stack.min()) / (stack.max() - stack.min() + 0.00000001)
    return {"stack": flat(stack), "scaled": flat(made)}


def blob(shape, count):
    """Overlapping boxes and ellipsoids, some of which touch the border."""
    mask = numpy.zeros(shape, bool)
    grid = numpy.indices(shape)
    for _ in range(count):
        centre = [RNG.uniform(0, n) for n in shape]
        radii = [RNG.uniform(1, 0.4 * n + 1) for n in shape]
        away = [numpy.abs(grid[i] - centre[i]) / radii[i] for i in range(3)]
        mask |= (numpy.maximum.reduce(away) < 1) if RNG.random() < 0.5 else (sum(a * a for a in away) < 1)
    return mask


def surface(mask):
    return mask ^ ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1))


def masks():
    cases = []
    for shape, spacing in (((9, 8, 7), (1, 1, 1)), ((12, 10, 6), (0.7, 0.9, 3)), ((5, 14, 11), (5, 0.8, 0.8)),
                           ((6, 6, 1), (1, 1, 2)), ((10, 9, 8), (1.5, 1.5, 2.5)), ((4, 4, 4), (1, 2, 3))):
        found, true = blob(shape, 3), blob(shape, 3)
        if not (found.any() and true.any()):
            found[0, 0, 0] = true[-1, -1, -1] = True
        a, b = surface(found), surface(true)
        to_true = ndimage.distance_transform_edt(~b, sampling=spacing)
        to_found = ndimage.distance_transform_edt(~a, sampling=spacing)
        tolerance = 1.5
        close = (to_true[a] <= tolerance).sum() + (to_found[b] <= tolerance).sum()
        cases.append({"size": list(shape), "spacing": list(spacing), "tolerance": tolerance,
                      "found": numpy.flatnonzero(found.reshape(-1, order="F")).tolist(),
                      "true": numpy.flatnonzero(true.reshape(-1, order="F")).tolist(),
                      "dice": float(binary.dc(found, true)), "hd95": float(binary.hd95(found, true, spacing)),
                      "nsd": float(close / (a.sum() + b.sum()))})
    return cases


def main():
    record = {"resized": resized(), "changes": changes(), "scaled": scaled()}
    (HERE / "volumes.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
    (HERE / "masks.json").write_text(json.dumps(masks(), separators=(",", ":")) + "\n")


main()
