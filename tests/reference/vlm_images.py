"""Records what the image processors of CLIP, LLaVA, SigLIP, BLIP, Idefics 3 and SmolVLM make of images.

    python3 tests/reference/vlm_images.py

is run with transformers 5, which records, then with transformers 4.57, which checks that its processors make the same.
tests/reference/vlms/images.json holds settings, as a preprocessor_config.json has them, and the pixels.

The committed file was made with transformers 5.24.0 and Pillow 12.3.0, and checked with 4.57.1. (Pillow 13 filters some
images in another order: 100 x 150 pixels to 24 x 36.)
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
    # LLaVA's with its makers' padding, of a wide and of a high image.
    {"image_processor_type": "LlavaImageProcessor", "crop_size": 18, "size": {"shortest_edge": 18}, "do_pad": True},
    {"image_processor_type": "LlavaImageProcessor", "crop_size": 18, "size": {"shortest_edge": 18}, "do_pad": True,
     "resample": 2, "image_mean": [0.5, 0.25, 0.75]},
    # SmolVLM-256M-Instruct's, made small and without tiles: a wide image, a high one, one that is not resized before.
    {"image_processor_type": "SmolVLMImageProcessor", "do_image_splitting": False, "do_pad": True, "do_resize": True,
     "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "max_image_size": {"longest_edge": 18},
     "resample": 1, "rescale_factor": 0.00392156862745098, "size": {"longest_edge": 73}},
    {"image_processor_type": "Idefics3ImageProcessor", "do_image_splitting": False,
     "max_image_size": {"longest_edge": 18}, "size": {"longest_edge": 36}},
    {"image_processor_type": "Idefics3ImageProcessor", "do_image_splitting": False, "do_resize": False,
     "max_image_size": {"longest_edge": 18}, "resample": 2},
]
WIDE, HIGH = "150x100.png", "100x150.png"
# Which image each is given.
IMAGES = [WIDE, WIDE, WIDE, WIDE, WIDE, HIGH, WIDE, HIGH, HIGH]


def processor_of(settings):
    name = settings.get("image_processor_type", "CLIPImageProcessor")
    if transformers.__version__.startswith("5."):  # whose others resize by torchvision
        model = name.removesuffix("ImageProcessor").lower()
        module = importlib.import_module(f"transformers.models.{model}.image_processing_pil_{model}")
        cls = getattr(module, name + "Pil")
    else:
        cls = getattr(transformers, name)
    return cls(**{key: value for key, value in settings.items() if not key.endswith("_type")})


def pixels_of(settings, image):
    pixels = numpy.asarray(processor_of(settings)(image)["pixel_values"][0], dtype=numpy.float32)
    # Of Idefics 3 and SmolVLM the one tile of the image.
    return pixels.reshape(pixels.shape[-3:])


def main():
    images = {name: PIL.Image.open(FOLDER / "vilt_sizes" / "images" / name).convert("RGB") for name in {*IMAGES}}
    found = [pixels_of(settings, images[name]) for settings, name in zip(SETTINGS, IMAGES, strict=True)]
    if transformers.__version__.startswith("5."):
        FILE.write_text(json.dumps({
            "made": {"transformers": transformers.__version__},
            "processors": [{"settings": settings, "image": name, "shape": list(pixels.shape),
                            "pixels": [round(float(v), 6) for v in pixels.ravel()]}
                           for settings, name, pixels in zip(SETTINGS, IMAGES, found)]}) + "\n")
        return
    record = json.loads(FILE.read_text())
    for each, pixels in zip(record["processors"], found):
        largest = numpy.abs(numpy.array(each["pixels"]).reshape(pixels.shape) - pixels).max()
        print(each["settings"].get("image_processor_type"), largest)
        assert largest < 1e-5
    record["made"]["agrees"] = transformers.__version__
    FILE.write_text(json.dumps(record) + "\n")


main()
