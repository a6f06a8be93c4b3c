"""Records what the image processors of CLIP, LLaVA, SigLIP and BLIP make of an image.

    python3 tests/reference/vlm_images.py

is run with transformers 5, which records, then with transformers 4.57, which checks that its processors make the same.
tests/reference/vlms/images.json holds settings, as a preprocessor_config.json has them, and the pixels.

The committed file was made with transformers 5.24.0 and checked with 4.57.1.
"""

import importlib
import json
import pathlib

import numpy
import PIL.Image
import transformers

FOLDER = pathlib.Path(__file__).parent
FILE = FOLDER / "vlms" / "images.json"
SETTINGS = [
    # llava-1.5-7b-hf's, made small.
    {"image_processor_type": "CLIPImageProcessor", "crop_size": {"height": 18, "width": 18},
     "do_center_crop": True, "do_convert_rgb": True, "do_normalize": True, "do_rescale": True, "do_resize": True,
     "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
     "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 18}},
    # Older files: numbers.
    {"feature_extractor_type": "CLIPFeatureExtractor", "crop_size": 18, "size": 24, "do_center_crop": True,
     "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]},
    {"image_processor_type": "SiglipImageProcessor", "size": {"height": 18, "width": 18}},
    # BLIP-2's.
    {"image_processor_type": "BlipImageProcessor", "size": {"height": 18, "width": 18}},
]


def processor_of(settings):
    name = settings.get("image_processor_type", "CLIPImageProcessor")
    if transformers.__version__.startswith("5."):  # whose others resize by torchvision
        model = name.removesuffix("ImageProcessor").lower()
        module = importlib.import_module(f"transformers.models.{model}.image_processing_pil_{model}")
        cls = getattr(module, name + "Pil")
    else:
        cls = getattr(transformers, name)
    return cls(**{key: value for key, value in settings.items() if not key.endswith("_type")})


def main():
    image = PIL.Image.open(FOLDER / "vilt_sizes" / "images" / "150x100.png").convert("RGB")
    found = [numpy.asarray(processor_of(settings)(image)["pixel_values"][0], dtype=numpy.float32)
             for settings in SETTINGS]
    if transformers.__version__.startswith("5."):
        FILE.write_text(json.dumps({
            "made": {"transformers": transformers.__version__},
            "processors": [{"settings": settings, "shape": list(pixels.shape),
                            "pixels": [round(float(v), 6) for v in pixels.ravel()]}
                           for settings, pixels in zip(SETTINGS, found)]}) + "\n")
        return
    record = json.loads(FILE.read_text())
    for each, pixels in zip(record["processors"], found):
        largest = numpy.abs(numpy.array(each["pixels"]).reshape(pixels.shape) - pixels).max()
        print(each["settings"].get("image_processor_type"), largest)
        assert largest < 1e-5
    record["made"]["agrees"] = transformers.__version__
    FILE.write_text(json.dumps(record) + "\n")


main()
