#include "models/preprocessor_config.h"

#include "catch.h"
#include "strata/core/error.h"
#include "support/tiny_model.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::models;
using Catch::Matchers::Contains;
using Resize = ImageProcessor::Resize;

namespace {

const std::filesystem::path kReference =
    std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/vilt_sizes";
const ImageModel kVilt = {ImageSizes::kMultiples, 8, 4}, kVit = {ImageSizes::kOne, 8, 4},
                 kResnet = {ImageSizes::kAny, 224, 1}, kClip = {ImageSizes::kOne, 18, 6, "CLIP"},
                 kSiglip = {ImageSizes::kOne, 18, 6, "Siglip"},
                 kSmolVlm = {ImageSizes::kOne, 18, 6, "SmolVLM"},
                 kIdefics3 = {ImageSizes::kOne, 18, 6, "Idefics3"},
                 kSam = {ImageSizes::kOne, 32, 8, "Sam"};

ImageProcessor read(const std::string& json, const ImageModel& model) {
  test::TempDir dir;
  dir.write("preprocessor_config.json", json);
  return read_image_processor(dir.path(), model);
}

void refused(const std::string& json, const ImageModel& model, const std::string& message) {
  INFO(json);
  CHECK_THROWS_WITH(read(json, model), Contains("preprocessor_config.json: ") && Contains(message));
  CHECK_THROWS_AS(read(json, model), InputError);
}

bool same(const ImageProcessor& a, const ImageProcessor& b) {
  return a.key() == b.key() && a.rescale == b.rescale && a.normalize == b.normalize &&
         a.rescale_factor == b.rescale_factor && a.mean == b.mean && a.std == b.std &&
         a.pad == b.pad && a.only_size == b.only_size && a.multiple_of == b.multiple_of;
}

/// Reads recorded settings, applies them, and writes them again.
void check_recorded(const Json& recorded, const ImageModel& model, const Image& original,
                    double tolerance) {
  INFO(recorded["settings"]);
  const ImageProcessor processor = read(recorded["settings"].dump(), model);
  const Image image = processor.apply(original);
  REQUIRE(recorded["shape"] == Json::array({3, image.height, image.width}));
  const double factor = processor.rescale ? processor.rescale_factor : 1;
  double largest = 0;
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const std::size_t channel = i % 3;
    double value = image.pixels[i] * factor;
    if (processor.normalize) value = (value - processor.mean[channel]) / processor.std[channel];
    const auto expected = recorded["pixels"][channel * image.pixels.size() / 3 + i / 3];
    largest = std::max(largest,
                       std::abs(value - expected.get<double>()) / std::max(1.0, std::abs(value)));
  }
  CHECK(largest < tolerance);

  test::TempDir dir;
  write_image_processor(processor, model, dir.path());
  CHECK(same(read_image_processor(dir.path(), model), processor));
}

}  // namespace

TEST_CASE("image processors compute what transformers 4 and 5 do, whatever they are set to") {
  const Json record = load_json(kReference / "recorded.json").root;
  REQUIRE(record["made"]["transformers"] == "5.24.0");
  REQUIRE(record["made"]["agrees"] == Json::array({"4.57.1"}));
  const Image original = read_image(kReference / "images/150x100.png");
  REQUIRE(record["processors"].size() == 9);
  for (const Json& recorded : record["processors"])
    check_recorded(recorded, recorded["kind"] == "vilt" ? kVilt : kVit, original, 5e-7);
}

TEST_CASE("the processors of models that speak compute what transformers 4 and 5 do") {
  const Json record = load_json(kReference.parent_path() / "vlms" / "images.json").root;
  REQUIRE(record["made"]["transformers"] == "5.24.0");
  REQUIRE(record["made"]["agrees"] == "4.57.1");
  REQUIRE(record["processors"].size() == 9);
  for (const Json& recorded : record["processors"]) {
    const std::string name = recorded["settings"].value("image_processor_type", "");
    const ImageModel& model = name == "SmolVLMImageProcessor"    ? kSmolVlm
                              : name == "Idefics3ImageProcessor" ? kIdefics3
                                                                 : kClip;
    const auto file = kReference / "images" / recorded["image"].get<std::string>();
    // As many digits as are recorded.
    check_recorded(recorded, model, read_image(file), 2e-6);
  }
  // Without a file, those of the model's images.
  test::TempDir none;
  const ImageProcessor clip = read_image_processor(none.path(), kClip);
  CHECK(clip.resize == Resize::kShortestEdge);
  CHECK(clip.shortest_edge == 18);
  CHECK(clip.crop == ImageSize{18, 18});
  CHECK(clip.filter == Filter::kBicubic);
  CHECK(clip.mean[0] == 0.48145466);
  const ImageProcessor siglip = read_image_processor(none.path(), kSiglip);
  CHECK(siglip.resize == Resize::kExact);
  CHECK(siglip.filter == Filter::kBicubic);
  CHECK(siglip.mean[0] == 0.5);
  refused(R"({"image_processor_type": "LlavaImageProcessor", "size": 18, "crop_size": 18,
              "do_pad": true, "image_mean": [0.5, 1.5, 0.5]})",
          kClip, "image_mean: images are padded with 255 times it");
  refused(R"({"image_processor_type": "CLIPImageProcessor", "size": 18, "crop_size": 17})", kClip,
          "crop_size: images become 17 x 17 pixels, but the model reads 18 x 18");
  refused(R"({"image_processor_type": "CLIPImageProcesor"})", kClip, "\"CLIPImageProcessor\"");
}

TEST_CASE("SmolVLM's and Idefics 3's images are one tile, or as many as the folder says") {
  test::TempDir none;
  const ImageProcessor tile = read_image_processor(none.path(), kSmolVlm);
  CHECK(tile.longest_edge == 72);
  CHECK(tile.constant_size() == ImageSize{18, 18});
  CHECK(tile.filter == Filter::kLanczos);
  CHECK(tile.mean[0] == 0.5);
  // SmolVLM-256M-Instruct's, as it is on the hub, and what it says to change.
  const ImageModel smallest = {ImageSizes::kOne, 512, 16, "Idefics3"};
  std::string published = R"({"do_convert_rgb": true, "do_image_splitting": true,
      "do_normalize": true, "do_pad": true, "do_rescale": true, "do_resize": true,
      "image_mean": [0.5, 0.5, 0.5], "image_processor_type": "Idefics3ImageProcessor",
      "image_std": [0.5, 0.5, 0.5], "max_image_size": {"longest_edge": 512},
      "processor_class": "Idefics3Processor", "resample": 1,
      "rescale_factor": 0.00392156862745098, "size": {"longest_edge": 2048}})";
  const ImageProcessor split = read(published, smallest);
  CHECK(split.resize == Resize::kTiles);
  CHECK(split.longest_edge == 2048);
  CHECK(split.size == ImageSize{512, 512});
  CHECK_FALSE(split.constant_size());
  CHECK(split.output_size({640, 480}) == ImageSize{2048, 1536 + 512});
  test::TempDir again;
  write_image_processor(split, smallest, again.path());
  CHECK(same(read_image_processor(again.path(), smallest), split));
  // That is what transformers does where nothing is said.
  CHECK(read(R"({"max_image_size": {"longest_edge": 18}})", kSmolVlm).resize == Resize::kTiles);
  const std::string splits = R"("do_image_splitting": true)";
  published.replace(published.find(splits), splits.size(), R"("do_image_splitting": false)");
  CHECK(read(published, smallest).longest_edge == 2048);
  CHECK(read(published, smallest).constant_size() == ImageSize{512, 512});
  refused(published, kSmolVlm,
          "max_image_size: a tile is 512 pixels wide, but the model reads 18 x 18 only");
  refused(R"({"do_image_splitting": false, "max_image_size": {"longest_edge": 18},
              "size": {"height": 18, "width": 18}})",
          kSmolVlm, "size.longest_edge");
  // Other models have no tiles, and what older folders have is still read and written.
  refused(published, kClip, "image_processor_type");
  const ImageProcessor squashed = read(
      R"({"image_processor_type": "SiglipImageProcessor", "size": {"height": 18, "width": 18}})",
      kSmolVlm);
  CHECK(squashed.longest_edge == 0);
  CHECK(squashed.filter == Filter::kBicubic);
  const ImageProcessor cut = read(
      R"({"image_processor_type": "CLIPImageProcessor", "size": 20, "crop_size": 18})", kSmolVlm);
  for (const ImageProcessor& processor : {squashed, cut}) {
    write_image_processor(processor, kSmolVlm, none.path());
    CHECK(same(read_image_processor(none.path(), kSmolVlm), processor));
  }
}

TEST_CASE("a model may pad images to squares without a file, and says so in its own") {
  ImageModel pads = kClip;
  pads.pads = true;
  test::TempDir dir;
  const ImageProcessor processor = read_image_processor(dir.path(), pads);
  CHECK(processor.pad_square);
  CHECK(processor.shortest_edge == 18);
  write_image_processor(processor, pads, dir.path());
  CHECK(same(read_image_processor(dir.path(), pads), processor));
  CHECK(load_json(dir / "preprocessor_config.json").root["image_processor_type"] ==
        "LlavaImageProcessor");
  // A file that does not say it.
  CHECK_FALSE(
      read(R"({"image_processor_type": "CLIPImageProcessor", "size": 18, "crop_size": 18})", pads)
          .pad_square);
}

TEST_CASE("a folder's processor is in one of two files, or the default") {
  test::TempDir dir;
  const ImageProcessor none = read_image_processor(dir.path(), kVilt);
  CHECK(none.resize == Resize::kViltShortest);
  CHECK(none.shortest_edge == 8);
  CHECK(none.size_divisor == 4);
  CHECK(none.filter == Filter::kBilinear);
  CHECK(read_image_processor(dir.path(), kVit).constant_size() == ImageSize{8, 8});

  dir.write("processor_config.json", R"({"processor_class": "ViltProcessor"})");
  CHECK(same(read_image_processor(dir.path(), kVilt), none));
  dir.write("processor_config.json",
            R"({"image_processor": {"size": {"shortest_edge": 12}, "size_divisor": 4}})");
  CHECK(read_image_processor(dir.path(), kVilt).shortest_edge == 12);
  dir.write("preprocessor_config.json", R"({"size": 16, "size_divisor": 8})");
  CHECK(read_image_processor(dir.path(), kVilt).shortest_edge == 16);
  dir.write("processor_config.json", R"({"image_processor": {"size": {"longest_edge": 12}}})");
  std::filesystem::remove(dir / "preprocessor_config.json");
  CHECK_THROWS_WITH(read_image_processor(dir.path(), kVilt),
                    Contains("processor_config.json: image_processor.size.longest_edge"));
}

TEST_CASE("published files are read with their classes' defaults") {
  // dandelin/vilt-b32-finetuned-vqa, google/vit-base-patch16-224 and
  // facebook/deit-base-distilled-patch16-224, as they are on the hub.
  const ImageProcessor vilt = read(
      R"({"do_normalize": true, "do_resize": true, "feature_extractor_type": "ViltFeatureExtractor",
          "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "pad_and_return_pixel_mask":
          true, "resample": 3, "size": 384, "size_divisor": 32})",
      {ImageSizes::kMultiples, 384, 32});
  CHECK(vilt.output_size({640, 480}) == ImageSize{512, 384});
  CHECK(vilt.filter == Filter::kBicubic);
  const ImageProcessor vit = read(
      R"({"do_normalize": true, "do_resize": true, "image_mean": [0.5, 0.5, 0.5],
          "image_std": [0.5, 0.5, 0.5], "size": 224})",
      {ImageSizes::kOne, 224, 16});
  CHECK(vit.output_size({640, 480}) == ImageSize{224, 224});
  CHECK(vit.filter == Filter::kBilinear);
  const ImageProcessor deit = read(
      R"({"crop_size": 224, "do_center_crop": true, "do_normalize": true, "do_resize": true,
          "feature_extractor_type": "DeiTFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
          "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 256})",
      {ImageSizes::kOne, 224, 16});
  CHECK(deit.size == ImageSize{256, 256});
  CHECK(deit.output_size({640, 480}) == ImageSize{224, 224});
  // Absent keys, and null ones.
  CHECK(read("{}", {ImageSizes::kMultiples, 384, 32}).filter == Filter::kBicubic);
  CHECK(read(R"({"size": null, "size_divisor": null})", {ImageSizes::kMultiples, 384, 32})
            .shortest_edge == 384);
  CHECK(
      read(R"({"image_processor_type": "DeiTImageProcessor"})", {ImageSizes::kOne, 224, 16}).crop ==
      ImageSize{224, 224});
  test::TempDir dir;
  write_image_processor(deit, {ImageSizes::kOne, 224, 16}, dir.path());
  CHECK_THAT(test::slurp(dir / "preprocessor_config.json"), Contains("DeiTImageProcessor"));
  CHECK(same(read_image_processor(dir.path(), {ImageSizes::kOne, 224, 16}), deit));
  ImageProcessor shortest = read(
      R"({"size": {"shortest_edge": 10}, "do_center_crop": true,
          "crop_size": {"height": 8, "width": 8}, "do_resize": true})",
      kVit);
  CHECK(shortest.resize == Resize::kShortestEdge);
  write_image_processor(shortest, kVit, dir.path());
  CHECK(same(read_image_processor(dir.path(), kVit), shortest));
}

TEST_CASE("ConvNextImageProcessor is that of transformers 4 and 5") {
  const std::filesystem::path file =
      std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/resnet/processors.json";
  const Json record = load_json(file).root;
  REQUIRE(record["processors"].size() == 4);
  REQUIRE(record["made"].contains("agrees"));
  for (const Json& recorded : record["processors"]) {
    INFO(recorded["settings"]);
    const ImageProcessor processor = read(recorded["settings"].dump(), kResnet);
    const Image original{recorded["width"], recorded["height"],
                         recorded["image"].get<std::vector<std::uint8_t>>()};
    const Image image = processor.apply(original);
    REQUIRE(recorded["shape"] == Json::array({3, image.height, image.width}));
    double largest = 0;
    std::size_t at = 0;
    for (const Json& expected : recorded["pixels"]) {
      const std::size_t places = image.pixels.size() / 3, channel = at / places;
      double value = image.pixels[at % places * 3 + channel] * processor.rescale_factor;
      if (processor.normalize) value = (value - processor.mean[channel]) / processor.std[channel];
      largest = std::max(largest, std::abs(value - expected.get<double>()));
      at += recorded["step"].get<std::size_t>();
    }
    CHECK(largest < 2e-6);
    test::TempDir dir;
    write_image_processor(processor, kResnet, dir.path());
    CHECK(same(read_image_processor(dir.path(), kResnet), processor));
  }
  // microsoft/resnet-50's, as it is on the hub, and what is absent.
  const ImageProcessor published = read(
      R"({"crop_pct": 0.875, "do_normalize": true, "do_resize": true, "feature_extractor_type":
          "ConvNextFeatureExtractor", "image_mean": [0.485, 0.456, 0.406],
          "image_std": [0.229, 0.224, 0.225], "resample": 3, "size": 224})",
      kResnet);
  CHECK(published.shortest_edge == 256);
  CHECK(published.crop == ImageSize{224, 224});
  CHECK(published.filter == Filter::kBicubic);
  CHECK(read("{}", kResnet).size == ImageSize{384, 384});
  CHECK(read(R"({"image_processor_type": "ViTImageProcessor", "size": 28})", kResnet)
            .constant_size() == ImageSize{28, 28});
  for (const int side : {7, 97, 224, 288, 383}) {
    // Of the first two the shorter edge does not come back by itself: rounded down, it is one less.
    for (const double share : {0.51, 0.823, 0.7, 0.875, 0.9, 0.95, 0.965, 1.0}) {
      const Json json = {{"size", side}, {"crop_pct", share}};
      CAPTURE(side, share);
      const ImageProcessor processor = read(json.dump(), kResnet);
      test::TempDir dir;
      write_image_processor(processor, kResnet, dir.path());
      CHECK_THAT(test::slurp(dir / "preprocessor_config.json"), Contains("ConvNextImageProcessor"));
      CHECK(same(read_image_processor(dir.path(), kResnet), processor));
    }
  }
}

TEST_CASE("timm's config.json says how images are processed") {
  const auto read_timm = [](const Json& settings) {
    test::TempDir dir;
    dir.write("config.json",
              Json{{"architecture", "resnet50"}, {"pretrained_cfg", settings}}.dump());
    return read_image_processor(dir.path(), kResnet);
  };
  // timm/resnet50.a1_in1k's, as it is on the hub.
  const ImageProcessor published = read_timm({{"tag", "a1_in1k"},
                                              {"input_size", {3, 224, 224}},
                                              {"test_input_size", {3, 288, 288}},
                                              {"interpolation", "bicubic"},
                                              {"crop_pct", 0.95},
                                              {"crop_mode", "center"},
                                              {"mean", {0.485, 0.456, 0.406}},
                                              {"std", {0.229, 0.224, 0.225}}});
  CHECK(published.shortest_edge == 235);
  CHECK(published.crop == ImageSize{224, 224});
  CHECK(published.filter == Filter::kBicubic);
  CHECK(published.std[1] == 0.224);
  const ImageProcessor squashed = read_timm({{"input_size", {3, 16, 16}},
                                             {"crop_pct", 0.8},
                                             {"crop_mode", "squash"},
                                             {"interpolation", "bilinear"},
                                             {"mean", 0.5}});
  CHECK(squashed.resize == Resize::kExact);
  CHECK(squashed.size == ImageSize{20, 20});
  CHECK(squashed.crop == ImageSize{16, 16});
  CHECK(squashed.filter == Filter::kBilinear);
  CHECK(squashed.mean[2] == 0.5);
  CHECK(squashed.std[0] == 0.229);
  test::TempDir dir;
  for (const ImageProcessor& processor : {published, squashed}) {
    write_image_processor(processor, kResnet, dir.path());
    CHECK(same(read_image_processor(dir.path(), kResnet), processor));
  }
  CHECK_THROWS_WITH(read_timm({{"crop_mode", "border"}}), Contains("pretrained_cfg.crop_mode"));
  CHECK_THROWS_WITH(read_timm({{"input_size", {1, 28, 28}}}),
                    Contains("pretrained_cfg.input_size"));
  CHECK_THROWS_WITH(read_timm({{"interpolation", "bicubc"}}),
                    Contains("did you mean \"bicubic\"?"));
}

TEST_CASE("what is not computed, or does not fit the model, is refused by key") {
  refused(R"({"image_processor_type": "ConvNextImageProcessor"})", kVit, "image_processor_type");
  refused(R"({"image_processor_type": "ViltImageProcessor"})", kResnet, "image_processor_type");
  refused(R"({"size": {"height": 8, "width": 8}})", kResnet, "size.shortest_edge");
  refused(R"({"do_resize": false, "image_processor_type": "ViTImageProcessor"})", kResnet,
          "do_resize: images would have different sizes");
  refused(R"({"size": {"shortest_edge": 8}, "image_processor_type": "ViTImageProcessor"})", kResnet,
          "size: images would have different sizes");
  refused(R"({"size": 8, "crop_pct": 0})", kResnet, "crop_pct");
  refused(R"({"image_processor_type": "CLIPImageProcessor"})", kVilt, "image_processor_type");
  refused(R"({"image_processor_type": "ViltImageProcessor", "size": 8})", kVit,
          "image_processor_type");
  refused(R"({"size": {"longest_edge": 8}})", kVit, "size.longest_edge: is not computed");
  refused(R"({"size": {"shortest_edge": 8, "longest_edge": 9}})", kVit, "size.longest_edge");
  refused(R"({"size": {"height": 8, "width": 8}, "size_divisor": 4})", kVilt,
          "size: ViLT's processor needs \"shortest_edge\"");
  refused(R"({"size": {"height": 8}})", kVit, "size.width");
  refused(R"({"size": 16})", kVit,
          "size: images become 16 x 16 pixels, but the model reads 8 x 8 only (image_size");
  refused(R"({"size": 16, "do_center_crop": true, "crop_size": 9})", kVit,
          "crop_size: images become");
  refused(R"({"size": 8, "size_divisor": 6})", kVilt, "size_divisor: 6 is not a multiple");
  refused(R"({"size": 8, "size_divisor": 16})", kVilt, "size: a shortest edge of 8 is less than");
  refused(R"({"size": 8, "resample": 6})", kVit, "resample");
  refused(R"({"size": 8, "image_mean": [1, 2]})", kVit, "image_mean: found [1,2], but a number or");
  refused(R"({"size": 8, "image_std": 0})", kVit, "image_std: found 0, but a positive number or");
  refused(R"({"size": 8, "image_std": [1, "a", 1]})", kVit, "image_std");
  refused(R"({"size": 8, "rescale_factor": 0})", kVit, "rescale_factor");
  refused(R"({"size": 0})", kVit, "size");
  refused(R"({"size": 8, "do_resize": "no"})", kVit, "do_resize");
}

TEST_CASE(
    "a model's configuration has its processor, and patches that would be drawn are refused") {
  const Blueprint blueprint = read_base_blueprint(kReference);
  CHECK(blueprint.image_processor().shortest_edge == 32);
  CHECK(blueprint.image_processor().std[2] == 0.3);
  test::ModelShape fresh;
  fresh.labels = {"a"};
  CHECK(fresh.image_processor().size_divisor == 32);
  fresh.max_image_length = 143;
  test::TempDir dir;
  dir.write("config.json", fresh.config_json());
  CHECK_THROWS_WITH(read_base_blueprint(dir.path()),
                    Contains("max_image_length: of the 144 patches of an image only 143 would be "
                             "read, which transformers draws at random"));
  fresh.max_image_length = 144;
  dir.write("config.json", fresh.config_json());
  CHECK(read_base_blueprint(dir.path()).image_processor().most_patches == 144);
}

TEST_CASE("SAM's processor says how slices are normalised, and comes back as it was read") {
  // That of facebook/sam-vit-base: ImageNet's.
  const std::string published = R"({
      "do_convert_rgb": true, "do_normalize": true, "do_pad": true, "do_rescale": true,
      "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
      "image_processor_type": "SamImageProcessor", "image_std": [0.229, 0.224, 0.225],
      "pad_size": {"height": 1024, "width": 1024}, "processor_class": "SamProcessor",
      "resample": 2, "rescale_factor": 0.00392156862745098, "size": {"longest_edge": 1024}})";
  const ImageProcessor imagenet = read(published, kSam);
  CHECK(imagenet.normalize);
  CHECK(imagenet.mean == std::array<double, 3>{0.485, 0.456, 0.406});
  CHECK(imagenet.std == std::array<double, 3>{0.229, 0.224, 0.225});
  // Whatever the file says of sizes, a slice becomes the model's square as a whole.
  CHECK(imagenet.resize == Resize::kExact);
  CHECK(imagenet.size == ImageSize{32, 32});
  CHECK(imagenet.constant_size() == ImageSize{32, 32});

  // What a file leaves out is SamImageProcessor's default; without a file values stay as FLAP-SAM's
  // code has them.
  for (const char* said : {"{}", R"({"image_processor_type": "SamImageProcessorFast"})",
                           R"({"do_normalize": null, "image_mean": null})"}) {
    CAPTURE(said);
    CHECK(same(read(said, kSam), imagenet));
  }
  test::TempDir dir;
  CHECK_FALSE(read_image_processor(dir.path(), kSam).normalize);
  // MedSAM's, as it is on the Hub.
  const ImageProcessor plain = read(R"({"do_normalize": false, "resample": 3})", kSam);
  CHECK_FALSE(plain.normalize);
  const ImageProcessor own = read(R"({"image_mean": 0, "image_std": [1, 0.5, 0.25]})", kSam);
  CHECK(own.mean == std::array<double, 3>{0, 0, 0});
  CHECK(own.std == std::array<double, 3>{1, 0.5, 0.25});

  for (const ImageProcessor& processor : {imagenet, plain, own}) {
    write_image_processor(processor, kSam, dir.path());
    CHECK(same(read_image_processor(dir.path(), kSam), processor));
    const Json written = load_json(dir / "preprocessor_config.json").root;
    CHECK(written["image_processor_type"] == "SamImageProcessor");
    CHECK(written["do_normalize"] == processor.normalize);
    // transformers' squares of the model's size, too.
    CHECK(written["size"] == Json{{"longest_edge", 32}});
    CHECK(written["pad_size"] == Json{{"height", 32}, {"width", 32}});
  }

  refused(R"({"image_processor_type": "ViTImageProcessor"})", kSam, "\"ViTImageProcessor\"");
  refused(R"({"image_std": [1, 0, 1]})", kSam, "image_std: found [1,0,1], but a positive number");
  refused(R"({"image_mean": [1, 2]})", kSam, "image_mean: found [1,2]");
  refused(R"({"do_normalize": "no"})", kSam, "do_normalize");
}
