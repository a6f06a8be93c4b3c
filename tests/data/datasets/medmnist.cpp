#include <map>

#include "data/image.h"
#include "data/manifest.h"
#include "data/partition.h"
#include "support/error_text.h"
#include "support/npz_file.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

namespace {

/// The published counts of training, validation and test images (medmnist 3.0.2, info.py).
const std::map<std::string, std::array<int, 3>> kPublished = {
    {"pathmnist", {89996, 10004, 7180}},     {"chestmnist", {78468, 11219, 22433}},
    {"dermamnist", {7007, 1003, 2005}},      {"octmnist", {97477, 10832, 1000}},
    {"pneumoniamnist", {4708, 524, 624}},    {"retinamnist", {1080, 120, 400}},
    {"breastmnist", {546, 78, 156}},         {"bloodmnist", {11959, 1712, 3421}},
    {"tissuemnist", {165466, 23640, 47280}}, {"organamnist", {34561, 6491, 17778}},
    {"organcmnist", {12975, 2392, 8216}},    {"organsmnist", {13932, 2452, 8827}}};

std::string set(int train, int val, int test, int label_columns, bool colour, char label = 0,
                int side = 1) {
  std::vector<NpyFile> files;
  const std::pair<const char*, int> splits[] = {{"train", train}, {"val", val}, {"test", test}};
  for (const auto& [name, count] : splits) {
    const std::string sides = std::to_string(side) + ", " + std::to_string(side);
    const std::string shape = "(" + std::to_string(count) + ", " + sides + (colour ? ", 3)" : ")");
    files.push_back(
        {std::string(name) + "_images.npy",
         npy(shape,
             std::string(static_cast<std::size_t>(count) * side * side * (colour ? 3 : 1), 'x'))});
    files.push_back({std::string(name) + "_labels.npy",
                     npy("(" + std::to_string(count) + ", " + std::to_string(label_columns) + ")",
                         std::string(static_cast<std::size_t>(count) * label_columns, label))});
  }
  return npz(files, true);
}

}  // namespace

TEST_CASE("a real PneumoniaMNIST") {
  const auto folder = shared_data("pneumoniamnist");
  if (folder.empty()) {
    WARN("PneumoniaMNIST is not here");
    return;
  }
  const Manifest manifest = load_data(folder);
  CHECK(manifest.name == "pneumoniamnist");
  CHECK(manifest.clients() == std::vector<std::string>{"chest x-ray"});
  CHECK(manifest.answers() == std::vector<std::string>{"no", "yes"});
  std::map<std::string, int> splits;
  for (const Example& example : manifest.examples) ++splits[example.split];
  // This copy has 3,882, 524 and 624 images; validation joins training.
  CHECK(splits == std::map<std::string, int>{{"train", 3882 + 524}, {"test", 624}});
  // PneumoniaMNIST's test: 390 images with pneumonia, 234 without (Kermany et al. 2018).
  int pneumonia = 0;
  for (const Example& example : manifest.examples)
    pneumonia += example.split == "test" && example.answers[0] == "yes";
  CHECK(pneumonia == 390);
  const Image image = read_image(folder / manifest.examples[0].image);
  CHECK(image.width == 28);
  CHECK(image.height == 28);
  const auto [least, most] = std::minmax_element(image.pixels.begin(), image.pixels.end());
  CHECK(*most - *least > 50);
}

TEST_CASE("the twelve sets are the 707,962 triplets and nine clients of MedVQA-FL") {
  const TempDir folder;
  int total = 0;
  for (const auto& [name, counts] : kPublished) {
    const bool colour = name == "pathmnist" || name == "dermamnist" || name == "retinamnist" ||
                        name == "bloodmnist";
    folder.write(name + ".npz",
                 set(counts[0], counts[1], counts[2], name == "chestmnist" ? 14 : 1, colour));
    total += counts[0] + counts[1] + counts[2];
  }
  CHECK(total == 707962);
  const Manifest manifest = load_data(folder.path());
  CHECK(manifest.name == "medmnist");
  CHECK(manifest.examples.size() == 707962);
  std::map<std::string, int> clients;
  for (const Example& example : manifest.examples) ++clients[example.client];
  CHECK(clients == std::map<std::string, int>{{"colon pathology", 107180},
                                              {"chest x-ray", 112120 + 5856},
                                              {"dermatoscope", 10015},
                                              {"retinal oct", 109309},
                                              {"fundus camera", 1600},
                                              {"breast ultrasound", 780},
                                              {"blood cell microscope", 17092},
                                              {"kidney cortex microscope", 236386},
                                              {"abdominal ct", 58830 + 23583 + 25211}});
  const Partition partition = make_partition(manifest, {});
  CHECK(partition.clients.size() == 9);
  const Example& last = manifest.examples.back();
  CHECK(last.image == "organsmnist.npz#test_images/8826");
  CHECK(last.answers == std::vector<std::string>{"bladder"});
  CHECK(last.dataset == "organsmnist");
  CHECK(read_image(folder / last.image).pixels == std::vector<std::uint8_t>{'x', 'x', 'x'});
}

TEST_CASE("several findings are several accepted answers, and none is an answer too") {
  const TempDir folder;
  std::string labels(3 * 14, '\0');
  labels[2] = labels[6] = labels[14 + 13] = 1;
  std::vector<NpyFile> files;
  for (const std::string split : {"train", "val", "test"}) {
    files.push_back({split + "_images.npy", npy("(3, 64, 64)", std::string(3 * 64 * 64, 'x'))});
    files.push_back({split + "_labels.npy", npy("(3, 14)", labels)});
  }
  folder.write("chestmnist_64.npz", npz(files, false));
  folder.write("organmnist3d.npz", "");
  const Manifest manifest = load_data(folder.path());
  REQUIRE(manifest.examples.size() == 9);
  CHECK(manifest.examples[0].answers == std::vector<std::string>{"effusion", "pneumonia"});
  CHECK(manifest.examples[1].answers == std::vector<std::string>{"hernia"});
  CHECK(manifest.examples[2].answers == std::vector<std::string>{"no finding"});
  CHECK(manifest.notes[0] == "organmnist3d.npz is left out: none of MedMNIST's twelve 2D sets");
  const Image image = read_image(folder / manifest.examples[8].image);
  CHECK(image.width == 64);

  // A manifest may name such images, too.
  Manifest own = manifest;
  write_manifest(own);
  CHECK(load_data(folder.path()).examples.size() == 9);
}

TEST_CASE("a real PneumoniaMNIST has two classes, one an image") {
  const auto folder = shared_data("pneumoniamnist");
  if (folder.empty()) {
    WARN("PneumoniaMNIST is not here");
    return;
  }
  LoadOptions options;
  options.reading = Reading::kLabels;
  const Manifest manifest = load_data(folder, options);
  CHECK(manifest.classes == std::vector<std::string>{"normal", "pneumonia"});
  CHECK_FALSE(manifest.multi_label);
  CHECK(manifest.clients() == std::vector<std::string>{"chest x-ray"});
  std::map<std::string, std::map<std::string, int>> counts;
  for (const Example& example : manifest.examples) {
    REQUIRE(example.labels.size() == 1);
    ++counts[example.split][example.labels[0]];
  }
  // The published test; this copy has 3,882 + 524 images to train with.
  CHECK(counts["test"] == std::map<std::string, int>{{"normal", 234}, {"pneumonia", 390}});
  CHECK(counts["train"]["normal"] + counts["train"]["pneumonia"] == 3882 + 524);
  // The questions about the same images say the same.
  const Manifest questions = load_data(folder);
  REQUIRE(questions.examples.size() == manifest.examples.size());
  int different = 0;
  for (std::size_t i = 0; i < manifest.examples.size(); ++i)
    different += (questions.examples[i].answers[0] == "yes") !=
                 (manifest.examples[i].labels[0] == "pneumonia");
  CHECK(different == 0);

  PartitionOptions skewed;
  skewed.scheme = PartitionScheme::kDirichlet;
  skewed.clients = 4;
  const Partition partition = make_partition(manifest, skewed);
  CHECK(partition.clients.size() == 4);
}

TEST_CASE("MedMNIST's classes have their published names, and are read only where asked for") {
  struct Published {
    std::string set;
    std::size_t classes;
    char label;
    std::string name;
  };
  const std::vector<Published> published = {
      {"pathmnist", 9, 8, "colorectal adenocarcinoma epithelium"},
      {"dermamnist", 7, 0, "actinic keratoses and intraepithelial carcinoma"},
      {"octmnist", 4, 3, "normal"},
      {"retinamnist", 5, 4, "4"},
      {"breastmnist", 2, 1, "normal, benign"},
      {"bloodmnist", 8, 3, "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)"},
      {"tissuemnist", 8, 2, "Glomerular endothelial cells"},
      {"organamnist", 11, 1, "femur-left"},
      {"organcmnist", 11, 8, "lung-right"},
      {"organsmnist", 11, 10, "spleen"}};
  for (const auto& [name, classes, label, class_name] : published) {
    CAPTURE(name);
    const TempDir folder;
    folder.write(name + ".npz", set(2, 1, 1, 1, false, label));
    for (const Reading reading : {Reading::kQuestions, Reading::kEither, Reading::kLabels}) {
      LoadOptions options;
      options.reading = reading;
      const Manifest manifest = load_data(folder.path(), options);
      CHECK(manifest.has_labels() == (reading == Reading::kLabels));
      CHECK(manifest.examples[0].question.empty() == (reading == Reading::kLabels));
      if (reading != Reading::kLabels) continue;
      CHECK(manifest.classes.size() == classes);
      CHECK(manifest.examples[0].labels == std::vector<std::string>{class_name});
      CHECK(manifest.examples[0].answer_type.empty());
    }
  }
}

TEST_CASE("ChestMNIST is multi-label, and is not read together with single-label sets") {
  const TempDir folder;
  std::string labels(3 * 14, '\0');
  labels[2] = labels[6] = labels[14 + 13] = 1;
  std::vector<NpyFile> files;
  for (const std::string split : {"train", "val", "test"}) {
    files.push_back({split + "_images.npy", npy("(3, 1, 1)", "xxx")});
    files.push_back({split + "_labels.npy", npy("(3, 14)", labels)});
  }
  folder.write("chestmnist.npz", npz(files, false));
  LoadOptions options;
  options.reading = Reading::kLabels;
  const Manifest manifest = load_data(folder.path(), options);
  CHECK(manifest.multi_label);
  CHECK(manifest.classes.size() == 14);
  CHECK(manifest.classes.back() == "hernia");
  CHECK(manifest.examples[0].labels == std::vector<std::string>{"effusion", "pneumonia"});
  CHECK(manifest.examples[1].labels == std::vector<std::string>{"hernia"});
  CHECK(manifest.examples[2].labels.empty());
  folder.write("octmnist.npz", set(2, 1, 1, 1, false));
  CHECK(input_error([&] { load_data(folder.path(), options); }) ==
        folder.path().string() +
            ": \"octmnist\" has one label an image, the sets before it any number of them; read "
            "them apart");
  std::filesystem::remove(folder / "chestmnist.npz");
  folder.write("pneumoniamnist.npz", set(2, 1, 1, 1, false, 1));
  const Manifest two = load_data(folder.path(), options);
  // "normal" is a class of both.
  CHECK(two.classes == std::vector<std::string>{"choroidal neovascularization",
                                                "diabetic macular edema", "drusen", "normal",
                                                "pneumonia"});
  CHECK(two.examples.back().labels == std::vector<std::string>{"pneumonia"});
}

TEST_CASE("wrong MedMNIST files are errors that name file, array and what was expected") {
  const TempDir folder;
  const std::string file = (folder / "dermamnist.npz").string();
  const auto error = [&](const std::string& bytes) {
    folder.write("dermamnist.npz", bytes);
    return input_error([&] { load_data(folder.path()); });
  };
  CHECK(error(set(2, 1, 1, 1, true, 7)) ==
        file + ": \"train_labels\", row 0: the label is 7, expected 0 to 6");
  CHECK(error(set(2, 1, 1, 2, true)) ==
        file +
            ": \"train_labels\" has the shape (2, 2), expected (2, 1) as there are as many "
            "images");
  CHECK(contains(error(npz({{"train_images.npy", npy("(1, 2, 3)", "abcdef")},
                            {"train_labels.npy", npy("(1, 1)", "a")}},
                           true)),
                 "\"train_images\" has the shape (1, 2, 3), expected (N, S, S) or (N, S, S, 3)"));
  CHECK(contains(error(npz({{"val_images.npy", npy("(1, 1, 1)", "a")}}, true)),
                 "no array \"train_images\" in it (did you mean \"val_images\"?)"));
  CHECK(contains(error("nothing"), file + ": no zip file"));
  folder.write("dermamnist.npz", set(2, 1, 1, 1, true));
  folder.write("dermamnist_28.npz", "");
  CHECK(load_data(folder.path()).examples.size() == 4);
  folder.write("dermamnist_64.npz", set(2, 1, 1, 1, true, 0, 64));
  CHECK(
      contains(input_error([&] { load_data(folder.path()); }),
               "dermamnist.npz and dermamnist_64.npz are the same images in two sizes; keep one"));
}
