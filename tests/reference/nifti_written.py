"""Reads with nibabel the NIfTI files that Strata writes, and says how far they are from what was to be written.

    python -m venv env && env/bin/pip install nibabel==5.4.2 numpy
    STRATA_WRITE_NIFTI=FOLDER build/release/bin/test_data '[#nifti_written]' --filenames-as-tags
    env/bin/python tests/reference/nifti_written.py FOLDER [--volumes DATA] [--evaluated FOUND.jsonl DATA]

FOLDER has written.json: what the files hold. DATA is a folder of `strata data make volumes`, FOUND.jsonl what
`strata evaluate --masks --predictions` says of masks on its volumes' grids. Prints one JSON object; ends with 1 where a
value, a size, a type, a form or Dice is not what it is to be. scripts/check-nifti runs all of it.
"""

import argparse
import json
import pathlib

import nibabel
import numpy

# float32 has the affine; of a length of some tens of millimetres it keeps this.
AFFINE_MM = 2e-6 * 40


def loaded(path):
    image = nibabel.load(path)
    # Both of nibabel's checks of headers, of which the second one raises.
    image.header.check_fix(error_level=20)
    return image


def check_written(folder):
    """Values exactly; affine and spacing to float32; codes and types as asked for."""
    entries = json.loads((folder / "written.json").read_text())
    worst = {"value": 0.0, "affine": 0.0, "spacing": 0.0, "q_form": 0.0}
    kinds = {}
    for entry in entries:
        image = loaded(folder / entry["file"])
        expected = numpy.array(entry["values"]).reshape(entry["size"], order="F")
        assert image.shape == tuple(entry["size"]), (entry["file"], image.shape)
        assert image.get_data_dtype() == numpy.dtype(entry["type"]), entry["file"]
        sform, code = image.get_sform(coded=True)
        assert int(code) == entry["space"] and sform is not None, (entry["file"], code)
        assert image.header.get_xyzt_units()[0] == "mm", entry["file"]
        worst["value"] = max(worst["value"], float(abs(numpy.asarray(image.dataobj, numpy.float64) - expected).max()))
        worst["affine"] = max(worst["affine"], float(abs(image.affine[:3] - numpy.array(entry["affine"])).max()))
        zooms = numpy.array(image.header.get_zooms(), numpy.float64)
        worst["spacing"] = max(worst["spacing"], float(abs(zooms - numpy.array(entry["spacing"])).max()))
        qform, code = image.get_qform(coded=True)
        if int(code):
            worst["q_form"] = max(worst["q_form"], float(abs(qform - image.affine).max()))
        kind = type(image).__name__
        kinds[kind] = kinds.get(kind, 0) + 1
    assert worst["value"] == 0, worst
    assert max(worst["affine"], worst["spacing"], worst["q_form"]) < AFFINE_MM, worst
    return {"files": len(entries), "kinds": kinds, "largest_difference": worst}


def check_volumes(data):
    """Every volume of the folder, image and mask: nibabel opens them and finds both on one grid."""
    files = sorted(data.rglob("*.nii.gz"))
    assert files, data
    labels = set()
    for path in files:
        image = loaded(path)
        values = numpy.asarray(image.dataobj)
        assert numpy.isfinite(values).all(), path
        if image.get_data_dtype() == numpy.uint8:
            labels |= set(numpy.unique(values).tolist())
    return {"files": len(files), "labels": sorted(labels)}


def dice(found, truth):
    both, all_ = (found & truth).sum(), found.sum() + truth.sum()
    return 1.0 if all_ == 0 else 2.0 * float(both) / float(all_)


def check_evaluated(lines, data):
    """Masks on their volumes' grids, and Dice of each class as the file has it."""
    affine = scores = labelled = 0.0
    entries = [json.loads(line) for line in lines.read_text().splitlines()]
    for entry in entries:
        found = loaded(lines.parent / entry["prediction"])
        image, truth = loaded(data / entry["image"]), loaded(data / entry["truth"])
        assert found.shape == image.shape and found.get_data_dtype() == numpy.uint8, entry
        affine = max(affine, float(abs(found.affine - image.affine).max()))
        labelled += float(numpy.count_nonzero(found.dataobj))
        for label, value in enumerate(entry["dice"].values(), start=1):
            own = dice(numpy.asarray(found.dataobj) == label, numpy.asarray(truth.dataobj) == label)
            scores = max(scores, abs(own - value))
    assert labelled and affine == 0 and scores < 1e-12, (labelled, affine, scores)
    return {"files": len(entries), "largest_difference": {"affine": affine, "dice": scores}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--volumes", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--evaluated", type=pathlib.Path, nargs=2, metavar=("FOUND", "DATA"))
    arguments = parser.parse_args()
    record = {"nibabel": nibabel.__version__, "numpy": numpy.__version__, "written": check_written(arguments.folder)}
    for data in arguments.volumes:
        record[f"volumes of {data.name}"] = check_volumes(data)
    if arguments.evaluated:
        record["evaluated"] = check_evaluated(*arguments.evaluated)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
