"""Records how nibabel reads NIfTI files: tests/reference/nifti/ and nifti.json.

    python -m venv env && env/bin/pip install nibabel==5.4.2 numpy
    env/bin/python tests/reference/nifti.py ../shared/data/nifti

Small files of every type of voxels, byte order and version are made with nibabel and kept; of the real ones in the
folder that is given, sums and some of their values are recorded.
"""
import gzip
import json
import pathlib
import sys

import nibabel
import numpy

HERE = pathlib.Path(__file__).parent / "nifti"
TYPES = ["uint8", "int16", "int32", "float32", "float64", "int8", "uint16", "uint32", "int64", "uint64"]
AFFINE = numpy.array([[-1.5, 0.2, 0.1, 10], [0.3, 2, 0, -20], [0, 0.1, 3, 30], [0, 0, 0, 1.0]])


def rotation():
    """A proper rotation with voxels of 0.8 x 0.9 x 2.5 mm: what a q-form can say."""
    a, b = 0.4, -0.7
    turn = numpy.array([[numpy.cos(a), -numpy.sin(a), 0], [numpy.sin(a), numpy.cos(a), 0], [0, 0, 1]])
    tilt = numpy.array([[1, 0, 0], [0, numpy.cos(b), -numpy.sin(b)], [0, numpy.sin(b), numpy.cos(b)]])
    affine = numpy.eye(4)
    affine[:3, :3] = turn @ tilt @ numpy.diag([0.8, 0.9, 2.5])
    affine[:3, 3] = [5, 6, -7]
    return affine


def image(version, values, affine, order="<"):
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    header = kind.header_class(endianness=order)
    header.set_data_dtype(values.dtype.newbyteorder(order))
    made = kind(values, affine, header)
    made.header.set_xyzt_units("mm")
    return made


def values_of(kind):
    info = numpy.iinfo(kind) if numpy.dtype(kind).kind in "iu" else None
    low = max(info.min, -1000) if info else -1000.5
    high = min(info.max, 1000) if info else 1000.25
    return numpy.linspace(low, high, 24).astype(kind).reshape(3, 4, 2, order="F")




def write_files():
    HERE.mkdir(exist_ok=True)
    for version in (1, 2):
        for order, name in (("<", "little"), (">", "big")):
            for kind in TYPES:
                image(version, values_of(kind), AFFINE, order).to_filename(HERE / f"v{version}_{name}_{kind}.nii")
    scaled = image(1, values_of("int16"), AFFINE)
    scaled.header.set_slope_inter(0.5, -3)
    nibabel.Nifti1Image(scaled.dataobj, AFFINE, scaled.header).to_filename(HERE / "plain.nii.gz")
    raw = bytearray(gzip.decompress((HERE / "plain.nii.gz").read_bytes()))
    raw[112:120] = numpy.array([0.5, -3], "<f4").tobytes()
    (HERE / "scaled.nii.gz").write_bytes(gzip.compress(bytes(raw), mtime=0))
    (HERE / "plain.nii.gz").unlink()
    q_only = image(1, values_of("int16"), rotation())
    q_only.set_qform(rotation(), 1)
    q_only.set_sform(None, 0)
    q_only.to_filename(HERE / "q_form.nii")
    mirrored = rotation() @ numpy.diag([1, 1, -1, 1])
    q_flip = image(2, values_of("int16"), mirrored)
    q_flip.set_qform(mirrored, 3)
    q_flip.set_sform(None, 0)
    q_flip.to_filename(HERE / "q_form_mirrored.nii")
    extended = image(1, values_of("uint8"), AFFINE)
    extended.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"passed over" * 60))
    extended.to_filename(HERE / "extended.nii")
    four = image(1, values_of("int16")[..., None], AFFINE)
    four.to_filename(HERE / "one_time.nii")


def recorded(path, some):
    loaded = nibabel.load(path)
    data = numpy.asarray(loaded.dataobj).astype(numpy.float64)
    places = numpy.random.default_rng(0).choice(data.size, min(some, data.size), replace=False)
    flat = data.reshape(-1, order="F")
    return {"size": list(data.shape), "affine": loaded.affine[:3].tolist(), "sum": float(data.sum()),
            "places": places.tolist(), "values": [float(flat[i]) for i in places]}


def main():
    write_files()
    record = {"made": {}, "shared": {}}
    for path in sorted(HERE.glob("*.nii*")):
        entry = recorded(path, 24)
        record["made"][path.name] = entry
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.nii*")):
        if len(nibabel.load(path).shape) == 3:
            record["shared"][path.name] = recorded(path, 40)
    (HERE / "nifti.json").write_text(json.dumps(record, indent=None, separators=(",", ":")).replace('},"', '},\n"') + "\n")


main()
