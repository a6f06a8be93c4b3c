#include "models/preprocessor_config.h"

#include <algorithm>
#include <cmath>

#include "models/architectures/config_limits.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"

namespace strata::models {
namespace {

constexpr int kLargestSide = 4096;
constexpr const char* kFile = "preprocessor_config.json";

using Resize = data::ImageProcessor::Resize;

/// Fields that transformers takes as absent where they are null.
class Fields {
 public:
  explicit Fields(ObjectReader reader) : reader_(std::move(reader)) {}
  ObjectReader& reader() { return reader_; }
  bool has(const std::string& key) { return !reader_.raw(key).is_null(); }
  bool flag(const std::string& key, bool fallback) {
    return has(key) ? reader_.boolean(key, fallback) : fallback;
  }
  int side(const std::string& key, int fallback) {
    return has(key) ? static_cast<int>(reader_.integer(key, 1, kLargestSide)) : fallback;
  }
  /// One number for all channels, or three.
  std::array<double, 3> channels(const std::string& key, double least,
                                 const std::array<double, 3>& fallback) {
    const Json& value = reader_.raw(key);
    if (value.is_null()) return fallback;
    std::array<double, 3> found;
    const bool list = value.is_array();
    if (!list || value.size() == 3) {
      bool sound = true;
      for (std::size_t i = 0; i < 3; ++i) {
        const Json& number = list ? value[i] : value;
        sound = sound && number.is_number();
        if (sound) found[i] = number.get<double>();
        sound = sound && std::isfinite(found[i]) && found[i] >= least;
      }
      if (sound) return found;
    }
    reader_.fail(key, "found " + value.dump() + ", but " +
                          (least > 0 ? "a positive number" : "a number") +
                          " or a list of three is needed");
  }

 private:
  ObjectReader reader_;
};

/// What the names of transformers' processors begin with; the first of a model's is its default.
const std::string kViltName = "Vilt", kVitName = "ViT", kDeitName = "DeiT",
                  kConvNextName = "ConvNext", kClipName = "CLIP", kLlavaName = "Llava",
                  kSiglipName = "Siglip", kBlipName = "Blip", kIdefics3Name = "Idefics3",
                  kSmolVlmName = "SmolVLM", kSamName = "Sam";

/// Of ImageNet's images, and OpenAI's, of CLIP's training images.
constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406},
                                kImageNetDeviation = {0.229, 0.224, 0.225};
constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073},
                                kClipDeviation = {0.26862954, 0.26130258, 0.27577711};

bool is_clip(const std::string& name) {
  return name == kClipName || name == kLlavaName;
}

/// Those whose images may be cut into tiles.
bool is_tiled(const std::string& name) {
  return name == kIdefics3Name || name == kSmolVlmName;
}

/// As BLIP's processor does without a file.
void blip_processing(data::ImageProcessor& processor) {
  processor.filter = data::Filter::kBicubic;
  processor.mean = kClipMean;
  processor.std = kClipDeviation;
}

/// To a square of `side` pixels, as CLIP's processor does without a file.
void clip_processing(int side, data::ImageProcessor& processor) {
  processor.resize = Resize::kShortestEdge;
  processor.shortest_edge = side;
  processor.crop = data::ImageSize{side, side};
  blip_processing(processor);
}

/// As one tile of `side` pixels: to a longer edge of four of these, as Idefics 3's and SmolVLM's
/// processors have it without a file, then to a square.
void tile_processing(int side, data::ImageProcessor& processor) {
  processor.longest_edge = 4 * side;
  processor.size = {side, side};
  processor.filter = data::Filter::kLanczos;
}

/// @returns the beginning of the processor's name.
std::string read_name(Fields& fields, const ImageModel& model) {
  std::vector<std::string> bases = {kVitName, kDeitName}, names, base_of;
  if (model.multiples()) bases = {kViltName};
  if (model.any_size()) bases.insert(bases.begin(), kConvNextName);
  if (!model.processor.empty())
    bases = {kClipName, kLlavaName, kSiglipName, kBlipName, kVitName, kDeitName};
  if (is_tiled(model.processor)) bases.insert(bases.begin(), {kSmolVlmName, kIdefics3Name});
  if (model.processor == kSamName) bases = {kSamName};
  for (const std::string& base : bases) {
    for (const char* end :
         {"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"}) {
      names.push_back(base + end);
      base_of.push_back(base);
    }
  }
  std::string found = model.processor.empty() ? bases.front() : model.processor;
  for (const char* key : {"image_processor_type", "feature_extractor_type"}) {
    if (!fields.has(key)) continue;
    const auto at = std::find(names.begin(), names.end(), fields.reader().choice(key, names));
    found = base_of[static_cast<std::size_t>(at - names.begin())];
  }
  return found;
}

/// Below this side ConvNext's and timm's processing crops; from it on the first squashes.
constexpr int kConvNextSquashes = 384;

/// To a square of `side`: the shorter edge to side / share, the middle cut out.
void crop_share(int side, double share, data::ImageProcessor& processor) {
  processor.resize = Resize::kShortestEdge;
  processor.shortest_edge = static_cast<int>(side / share);
  processor.crop = data::ImageSize{side, side};
}

/// `size` and `crop_pct` as ConvNextImageProcessor has them.
void read_convnext(Fields& fields, data::ImageProcessor& processor) {
  int side = kConvNextSquashes;
  if (fields.reader().raw("size").is_number()) {
    side = fields.side("size", side);
  } else if (fields.has("size")) {
    ObjectReader size = fields.reader().object("size", true);
    side = static_cast<int>(size.integer("shortest_edge", 1, kLargestSide));
  }
  double share = 224.0 / 256;
  if (fields.has("crop_pct")) share = fields.reader().number("crop_pct", 0.05, 1);
  if (side >= kConvNextSquashes) {
    processor.size = {side, side};
  } else {
    crop_share(side, share, processor);
  }
}

/// {"height": H, "width": W}, {"shortest_edge": S} or S alone, which is the latter for ViLT and a
/// square for ViT.
void read_size(Fields& fields, const ImageModel& model, bool clip,
               data::ImageProcessor& processor) {
  const Json& value = fields.reader().raw("size");
  if (value.is_null()) return;
  if (value.is_number()) {
    const int side = fields.side("size", 0);
    if (model.multiples() || clip) {
      processor.shortest_edge = side;
    } else {
      processor.size = {side, side};
    }
    return;
  }
  Fields size(fields.reader().object("size", true));
  for (const char* key : {"longest_edge", "max_height", "max_width"}) {
    if (size.has(key))
      size.reader().fail(key, "is not computed; height and width, or shortest_edge alone, are");
  }
  if (size.has("shortest_edge")) {
    processor.shortest_edge = size.side("shortest_edge", 0);
    if (!model.multiples()) processor.resize = Resize::kShortestEdge;
  } else if (model.multiples()) {
    fields.reader().fail("size", "ViLT's processor needs \"shortest_edge\", found " + value.dump());
  } else {
    if (clip) processor.resize = Resize::kExact;
    processor.size.height = static_cast<int>(size.reader().integer("height", 1, kLargestSide));
    processor.size.width = static_cast<int>(size.reader().integer("width", 1, kLargestSide));
  }
}

/// `size`, `max_image_size` and `do_image_splitting` as Idefics3ImageProcessor and
/// SmolVLMImageProcessor have them.
void read_tile(Fields& fields, const ImageModel& model, data::ImageProcessor& processor) {
  constexpr int kTile = 364;
  const auto longest = [&](const char* key, int fallback) {
    if (!fields.has(key)) return fallback;
    return static_cast<int>(fields.reader().object(key).integer("longest_edge", 1, kLargestSide));
  };
  const int side = longest("max_image_size", kTile);
  const std::string own = std::to_string(model.image_size);
  if (side != model.image_size) {
    fields.reader().fail("max_image_size", "a tile is " + std::to_string(side) +
                                               " pixels wide, but the model reads " + own + " x " +
                                               own + " only (image_size in config.json)");
  }
  tile_processing(side, processor);
  processor.longest_edge = longest("size", 4 * kTile);
  if (!fields.flag("do_resize", true)) processor.longest_edge = 0;
  if (!fields.flag("do_image_splitting", true)) return;
  processor.resize = Resize::kTiles;
  processor.only_size.reset();
}

void read_crop(Fields& fields, bool by_default, data::ImageProcessor& processor) {
  if (!fields.flag("do_center_crop", by_default)) return;
  const Json& value = fields.reader().raw("crop_size");
  if (value.is_number() || (value.is_null() && by_default)) {
    const int side = fields.side("crop_size", 224);
    processor.crop = data::ImageSize{side, side};
    return;
  }
  ObjectReader size = fields.reader().object("crop_size", true);
  const int height = static_cast<int>(size.integer("height", 1, kLargestSide));
  processor.crop =
      data::ImageSize{static_cast<int>(size.integer("width", 1, kLargestSide)), height};
}

/// What images are padded with.
void check_colour(Fields& fields, const data::ImageProcessor& processor) {
  const auto is_share = [](double value) { return value >= 0 && value <= 1; };
  if (std::all_of(processor.mean.begin(), processor.mean.end(), is_share)) return;
  fields.reader().fail("image_mean",
                       "images are padded with 255 times it (do_pad), so that numbers "
                       "from 0 to 1 are needed");
}

/// What the model can never read is an error of the file, not of an image.
void check_fit(Fields& fields, const ImageModel& model, const data::ImageProcessor& processor) {
  const std::string patch = std::to_string(model.patch_size);
  if (model.multiples()) {
    if (processor.resize == Resize::kNone) return;
    if (processor.size_divisor % model.patch_size != 0) {
      fields.reader().fail("size_divisor", std::to_string(processor.size_divisor) +
                                               " is not a multiple of the model's patch size " +
                                               patch + " (config.json)");
    }
    if (processor.shortest_edge < processor.size_divisor) {
      fields.reader().fail("size", "a shortest edge of " + std::to_string(processor.shortest_edge) +
                                       " is less than the size_divisor " +
                                       std::to_string(processor.size_divisor));
    }
    return;
  }
  const auto size = processor.constant_size();
  if (model.any_size()) {
    if (size) return;
    fields.reader().fail(processor.resize == Resize::kNone ? "do_resize" : "size",
                         "images would have different sizes, but the model needs one for all: "
                         "resized to height and width, or cropped (crop_size)");
  }
  if (size && *size != *processor.only_size) {
    fields.reader().fail(
        processor.crop ? "crop_size" : "size",
        "images become " + data::size_text(*size) + " pixels, but the model reads " +
            data::size_text(*processor.only_size) + " only (image_size in config.json)");
  }
}

/// How values are normalised, of SamImageProcessor: slices become squares as a whole, whatever it
/// says of `size` and `pad_size`.
data::ImageProcessor read_sam_processor(Fields& fields, const ImageModel& model) {
  data::ImageProcessor processor = default_image_processor(model);
  processor.normalize = fields.flag("do_normalize", true);
  processor.mean = fields.channels("image_mean", -1e12, kImageNetMean);
  processor.std = fields.channels("image_std", 1e-12, kImageNetDeviation);
  return processor;
}

data::ImageProcessor read_fields(Fields fields, const ImageModel& model) {
  const std::string name = read_name(fields, model);
  if (name == kSamName) return read_sam_processor(fields, model);
  const bool deit = name == kDeitName, convnext = name == kConvNextName, clip = is_clip(name);
  const bool tiled = is_tiled(name);
  ImageModel plain = model;
  plain.processor.clear();
  plain.pads = false;
  data::ImageProcessor processor = default_image_processor(plain);
  if (model.multiples()) {
    // ViltImageProcessor's own, where the file does not say.
    processor.shortest_edge = 384;
    processor.size_divisor = fields.side("size_divisor", 32);
    processor.filter = data::Filter::kBicubic;
    processor.pad = fields.flag("do_pad", fields.flag("pad_and_return_pixel_mask", true));
  } else {
    processor.size = deit ? data::ImageSize{256, 256} : data::ImageSize{224, 224};
    if (deit || convnext || name == kSiglipName) processor.filter = data::Filter::kBicubic;
    if (clip) clip_processing(224, processor);
    if (name == kBlipName) {
      processor.size = {384, 384};
      blip_processing(processor);
    }
  }
  processor.pad_square = name == kLlavaName && fields.flag("do_pad", false);
  if (convnext) {
    read_convnext(fields, processor);
  } else if (tiled) {
    read_tile(fields, model, processor);
  } else {
    read_size(fields, model, clip, processor);
  }
  if (!tiled && !fields.flag("do_resize", true)) processor.resize = Resize::kNone;
  if (fields.has("resample")) {
    processor.filter = static_cast<data::Filter>(fields.reader().integer("resample", 0, 5));
  }
  if (clip && !fields.flag("do_center_crop", true)) processor.crop = std::nullopt;
  if (!model.multiples() && !convnext && !tiled) read_crop(fields, deit || clip, processor);
  processor.rescale = fields.flag("do_rescale", true);
  processor.normalize = fields.flag("do_normalize", true);
  if (fields.has("rescale_factor")) {
    processor.rescale_factor = fields.reader().number("rescale_factor", 1e-12, 1e12);
  }
  processor.mean = fields.channels("image_mean", -1e12, processor.mean);
  processor.std = fields.channels("image_std", 1e-12, processor.std);
  if (processor.pad_square) check_colour(fields, processor);
  check_fit(fields, model, processor);
  return processor;
}

/// `pretrained_cfg` of timm's config.json, as its transforms for evaluation have it.
data::ImageProcessor read_timm(Fields fields, const ImageModel& model) {
  ObjectReader& reader = fields.reader();
  const std::vector<std::string> filters = {"nearest", "lanczos", "bilinear",
                                            "bicubic", "box",     "hamming"};  // Pillow's numbers
  data::ImageProcessor processor = default_image_processor(model);
  const std::vector<std::int64_t> size =
      read_sizes(reader, "input_size", 1, kLargestSide, {3, 224, 224});
  if (size.size() != 3 || size[0] != 3 || size[1] != size[2])
    reader.fail("input_size", "found " + excerpt(reader.raw("input_size")) +
                                  ", but squares of three channels are read: [3, 224, 224]");
  const int side = static_cast<int>(size[1]);
  const double share = fields.has("crop_pct") ? reader.number("crop_pct", 0.05, 1) : 0.875;
  const bool squash = reader.choice("crop_mode", {"center", "squash"}, "center") == "squash";
  crop_share(side, share, processor);
  if (squash) {
    processor.resize = Resize::kExact;
    processor.size = {processor.shortest_edge, processor.shortest_edge};
  }
  const std::string filter = reader.choice("interpolation", filters, "bicubic");
  processor.filter = static_cast<data::Filter>(std::find(filters.begin(), filters.end(), filter) -
                                               filters.begin());
  processor.mean = fields.channels("mean", -1e12, {0.485, 0.456, 0.406});
  processor.std = fields.channels("std", 1e-12, {0.229, 0.224, 0.225});
  check_fit(fields, model, processor);
  return processor;
}

/// ConvNextImageProcessor's only form that others do not have.
bool is_convnext(const data::ImageProcessor& processor, const ImageModel& model) {
  return model.any_size() && processor.resize == Resize::kShortestEdge && processor.crop &&
         processor.crop->width == processor.crop->height &&
         processor.crop->width < kConvNextSquashes;
}

/// What the name of the processor begins with that reads back `processor`.
std::string written_name(const data::ImageProcessor& processor, const ImageModel& model) {
  if (is_convnext(processor, model)) return kConvNextName;
  if (processor.pad_square) return kLlavaName;
  const bool tiles =
      processor.resize == Resize::kTiles || (processor.resize == Resize::kExact && !processor.crop);
  if (is_tiled(model.processor) && !tiles) return kClipName;
  if (!model.processor.empty()) return model.processor;
  if (model.multiples()) return kViltName;
  // ViT's does not crop in transformers 4, which DeiT's does.
  return processor.crop ? kDeitName : kVitName;
}

/// A share that gives the shorter edge again, rounded down as it is.
double crop_pct(const data::ImageProcessor& processor) {
  const double side = processor.crop->width;
  double share = side / processor.shortest_edge;
  while (static_cast<int>(side / share) < processor.shortest_edge)
    share = std::nextafter(share, 0.0);
  return share;
}

}  // namespace

data::ImageProcessor default_image_processor(const ImageModel& model) {
  data::ImageProcessor processor = data::ImageProcessor::square(model.image_size);
  if (model.multiples()) {
    processor.resize = Resize::kViltShortest;
    processor.shortest_edge = model.image_size;
    processor.size_divisor = model.patch_size;
    processor.multiple_of = model.patch_size;
  } else if (!model.any_size()) {
    processor.only_size = processor.size;
  }
  if (is_clip(model.processor)) clip_processing(model.image_size, processor);
  if (model.processor == kBlipName) blip_processing(processor);
  if (model.processor == kSiglipName) processor.filter = data::Filter::kBicubic;
  if (is_tiled(model.processor)) tile_processing(model.image_size, processor);
  if (model.processor == kSamName) processor.normalize = false;
  processor.pad_square = model.pads;
  return processor;
}

data::ImageProcessor read_image_processor(const std::filesystem::path& folder,
                                          const ImageModel& model) {
  if (std::filesystem::exists(folder / kFile)) {
    const Document document = load_json(folder / kFile);
    return read_fields(Fields(ObjectReader(document)), model);
  }
  const std::filesystem::path all = folder / "processor_config.json";
  if (std::filesystem::exists(all)) {
    const Document document = load_json(all);
    ObjectReader reader(document);
    if (reader.has("image_processor")) {
      return read_fields(Fields(reader.object("image_processor")), model);
    }
  }
  if (std::filesystem::exists(folder / "config.json")) {
    const Document document = load_json(folder / "config.json");
    ObjectReader reader(document);
    if (reader.has("pretrained_cfg"))
      return read_timm(Fields(reader.object("pretrained_cfg")), model);
  }
  return default_image_processor(model);
}

void write_image_processor(const data::ImageProcessor& processor, const ImageModel& model,
                           const std::filesystem::path& folder) {
  Json json;
  const auto size = [](data::ImageSize of) {
    return Json{{"height", of.height}, {"width", of.width}};
  };
  const std::string name = written_name(processor, model);
  const bool convnext = name == kConvNextName, tiled = is_tiled(name);
  if (convnext) {
    json["crop_pct"] = crop_pct(processor);
  } else if (processor.crop) {
    json["crop_size"] = size(*processor.crop);
    json["do_center_crop"] = true;
  } else if (is_clip(name)) {
    json["do_center_crop"] = false;
  }
  if (tiled) json["do_image_splitting"] = processor.resize == Resize::kTiles;
  json["do_normalize"] = processor.normalize;
  const bool sam = name == kSamName;
  if (sam) {
    json["do_pad"] = true;
    json["pad_size"] = size(processor.size);
  }
  if (model.multiples()) json["do_pad"] = processor.pad;
  if (processor.pad_square || tiled) json["do_pad"] = true;
  json["do_rescale"] = processor.rescale;
  json["do_resize"] = tiled ? processor.longest_edge > 0 : processor.resize != Resize::kNone;
  json["image_mean"] = processor.mean;
  json["image_processor_type"] = name + "ImageProcessor";
  json["image_std"] = processor.std;
  if (tiled) json["max_image_size"] = {{"longest_edge", processor.size.width}};
  json["resample"] = static_cast<int>(processor.filter);
  json["rescale_factor"] = processor.rescale_factor;
  if (convnext) {
    json["size"] = {{"shortest_edge", processor.crop->width}};
  } else if (sam) {
    json["size"] = {{"longest_edge", processor.size.width}};
  } else if (tiled) {
    const int longest = processor.longest_edge > 0 ? processor.longest_edge : processor.size.width;
    json["size"] = {{"longest_edge", longest}};
  } else if (processor.resize == Resize::kShortestEdge || model.multiples()) {
    json["size"] = {{"shortest_edge", processor.shortest_edge}};
  } else {
    json["size"] = size(processor.size);
  }
  if (model.multiples()) json["size_divisor"] = processor.size_divisor;
  write_file(folder / kFile, json.dump(2) + "\n");
}

}  // namespace strata::models
