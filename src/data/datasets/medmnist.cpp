// MedMNIST v2 (Yang, Shi, Wei, Liu, Zhao, Ke, Pfister, Ni 2023, Scientific Data 10:41), the twelve
// 2D sets, as on Zenodo: NAME.npz (28 pixels a side) and NAME_64.npz, NAME_128.npz, NAME_224.npz
// (MedMNIST+), with the arrays train_images, train_labels, val_images, …: images (N, S, S) or (N,
// S, S, 3), labels (N, 1), or (N, 14) for ChestMNIST's findings, all bytes. Arrays and types were
// verified against a published pneumoniamnist.npz; class names and counts against medmnist 3.0.2
// (medmnist/info.py, INFO).
//
// MedVQA-FL (Saha et al. 2025, CVPR, F³OCUS; Ultra-MedVQA on its page, pramitsaha.github.io/FOCUS)
// has 707,962 triplets of nine modality-specific clients. That is exactly the number of images of
// the twelve 2D sets in medmnist 3.0.2 (708,069 before its organ sets were cleaned), and the page's
// number for each client is that of the sets with its modality in MedMNIST's data summary: one
// question an image, one client a modality, which is what is made here. Its templates ask about
// modality, anatomy and more, were paraphrased by a language model, and are not published where we
// could look: ours (below) ask for the class alone. Every finding of ChestMNIST is an accepted
// answer here, where its questions ask for one each. It has 80 % of every client for training; here
// MedMNIST's splits are kept.
#include <algorithm>
#include <map>

#include "core/text.h"
#include "data/datasets/classes.h"
#include "data/datasets/datasets.h"
#include "data/datasets/published.h"
#include "data/npz.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

struct MedMnistSet {
  const char* name;
  const char* client;  ///< the modality as MedMNIST's summary names it
  const char* question;
  const char* answer_type;
  std::vector<std::string> answers;  ///< of the labels 0, 1, …
  bool findings = false;             ///< each label says whether its finding is there
  /// The classes' names as published, where they are not the answers.
  std::vector<std::string> names = {};

  const std::vector<std::string>& classes() const { return names.empty() ? answers : names; }
};

const std::vector<std::string> kOrganNames = {
    "bladder", "femur-left", "femur-right", "heart",    "kidney-left", "kidney-right",
    "liver",   "lung-left",  "lung-right",  "pancreas", "spleen"};
const std::vector<std::string> kOrgans = {"bladder",     "left femur",   "right femur", "heart",
                                          "left kidney", "right kidney", "liver",       "left lung",
                                          "right lung",  "pancreas",     "spleen"};

const std::vector<MedMnistSet>& sets() {
  static const std::vector<MedMnistSet> kSets = {
      {"pathmnist",
       "colon pathology",
       "what tissue is shown in this colon pathology image?",
       kOpenQuestion,
       {"adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle",
        "normal colon mucosa", "cancer-associated stroma", "colorectal adenocarcinoma epithelium"}},
      {"chestmnist",
       "chest x-ray",
       "what finding is there in this chest x-ray?",
       kOpenQuestion,
       {"atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia",
        "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"},
       true},
      {"dermamnist",
       "dermatoscope",
       "what skin lesion is shown in this dermatoscope image?",
       kOpenQuestion,
       {"actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma",
        "benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi",
        "vascular lesions"}},
      {"octmnist",
       "retinal oct",
       "what is the diagnosis in this retinal oct image?",
       kOpenQuestion,
       {"choroidal neovascularization", "diabetic macular edema", "drusen", "normal"}},
      {"pneumoniamnist",
       "chest x-ray",
       "is there pneumonia in this chest x-ray?",
       kClosedQuestion,
       {"no", "yes"},
       false,
       {"normal", "pneumonia"}},
      {"retinamnist",
       "fundus camera",
       "what is the grade of diabetic retinopathy in this fundus image?",
       kOpenQuestion,
       {"0", "1", "2", "3", "4"}},
      {"breastmnist",
       "breast ultrasound",
       "is there a malignant lesion in this breast ultrasound image?",
       kClosedQuestion,
       {"yes", "no"},
       false,
       {"malignant", "normal, benign"}},
      {"bloodmnist",
       "blood cell microscope",
       "what blood cell is shown in this microscope image?",
       kOpenQuestion,
       {"basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte", "monocyte",
        "neutrophil", "platelet"},
       false,
       {"basophil", "eosinophil", "erythroblast",
        "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)", "lymphocyte",
        "monocyte", "neutrophil", "platelet"}},
      {"tissuemnist",
       "kidney cortex microscope",
       "what kidney cortex cell is shown in this microscope image?",
       kOpenQuestion,
       {"collecting duct, connecting tubule", "distal convoluted tubule",
        "glomerular endothelial cells", "interstitial endothelial cells", "leukocytes", "podocytes",
        "proximal tubule segments", "thick ascending limb"},
       false,
       {"Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule",
        "Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes", "Podocytes",
        "Proximal Tubule Segments", "Thick Ascending Limb"}},
      {"organamnist", "abdominal ct", "what organ is shown in this axial abdominal ct image?",
       kOpenQuestion, kOrgans, false, kOrganNames},
      {"organcmnist", "abdominal ct", "what organ is shown in this coronal abdominal ct image?",
       kOpenQuestion, kOrgans, false, kOrganNames},
      {"organsmnist", "abdominal ct", "what organ is shown in this sagittal abdominal ct image?",
       kOpenQuestion, kOrgans, false, kOrganNames}};
  return kSets;
}

/// "pathmnist" for pathmnist.npz and pathmnist_64.npz, _128, _224; otherwise null.
const MedMnistSet* set_of(const std::filesystem::path& file) {
  if (file.extension() != ".npz") return nullptr;
  const std::string stem = file.stem().string();
  for (const MedMnistSet& set : sets())
    for (const char* size : {"", "_64", "_128", "_224"})
      if (stem == std::string(set.name) + size) return &set;
  return nullptr;
}

/// Which classes the row of labels names: one, or those whose findings are there, none included.
/// @throws InputError beginning with `where`: a label that is none.
std::vector<std::size_t> classes_of(const MedMnistSet& set, const std::uint8_t* labels,
                                    const std::string& where) {
  const auto& names = set.classes();
  if (!set.findings) {
    if (labels[0] >= names.size())
      throw InputError(where + ": the label is " + std::to_string(labels[0]) + ", expected 0 to " +
                       std::to_string(names.size() - 1));
    return {labels[0]};
  }
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (labels[i] > 1)
      throw InputError(where + ": the label of \"" + names[i] + "\" is " +
                       std::to_string(labels[i]) + ", expected 0 or 1");
    if (labels[i] == 1) found.push_back(i);
  }
  return found;
}

void ask(const MedMnistSet& set, const std::vector<std::size_t>& found, Example& example) {
  example.question = set.question;
  for (const std::size_t i : found) example.answers.push_back(set.answers[i]);
  if (found.empty()) example.answers.push_back("no finding");
  example.answer_type = set.answer_type;
}

void read_set(const MedMnistSet& set, const std::string& file_name, bool labels_alone,
              Manifest& manifest) {
  const auto path = manifest.folder / file_name;
  const NpzFile file(path);
  const std::pair<const char*, const char*> splits[] = {
      {"train", kTrainSplit}, {"val", kValidation}, {"test", kTestSplit}};
  const std::int64_t columns =
      set.findings ? static_cast<std::int64_t>(set.answers.size()) : std::int64_t{1};
  for (const auto& [name, split] : splits) {
    const std::string images_name = std::string(name) + "_images";
    const std::string labels_name = std::string(name) + "_labels";
    const auto images = file.shape(images_name);
    const ByteArray labels = file.read(labels_name);
    const bool pictures = (images.size() == 3 || (images.size() == 4 && images[3] == 3));
    if (!pictures || images[1] != images[2] || images[1] < 1)
      throw InputError(path.string() + ": \"" + images_name + "\" has the shape " +
                       shape_text(images) + ", expected (N, S, S) or (N, S, S, 3)");
    if (labels.shape() != std::vector<std::int64_t>{images[0], columns})
      throw InputError(path.string() + ": \"" + labels_name + "\" has the shape " +
                       shape_text(labels.shape()) + ", expected " +
                       shape_text({images[0], columns}) + " as there are as many images");
    for (std::int64_t i = 0; i < images[0]; ++i) {
      Example example;
      example.image = file_name + "#" + images_name + "/" + std::to_string(i);
      const auto found =
          classes_of(set, labels.data() + i * columns,
                     path.string() + ": \"" + labels_name + "\", row " + std::to_string(i));
      if (labels_alone)
        for (const std::size_t c : found) example.labels.push_back(set.classes()[c]);
      else
        ask(set, found, example);
      example.split = split;
      example.client = set.client;
      example.dataset = set.name;
      manifest.examples.push_back(std::move(example));
    }
  }
}

bool is_medmnist(const std::filesystem::path& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (set_of(entry.path())) return true;
  return false;
}

Manifest read_medmnist(const std::filesystem::path& folder, const LoadOptions& options) {
  Manifest manifest;
  manifest.folder = folder;
  std::map<const MedMnistSet*, std::string> files;
  std::vector<std::string> others;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const MedMnistSet* set = set_of(entry.path());
    if (!set) {
      if (entry.path().extension() == ".npz") others.push_back(name);
      continue;
    }
    const auto [other, added] = files.emplace(set, name);
    if (!added)
      throw InputError(folder.string() + ": " + std::min(other->second, name) + " and " +
                       std::max(other->second, name) +
                       " are the same images in two sizes; keep one");
  }
  std::sort(others.begin(), others.end());
  for (const std::string& name : others)
    manifest.notes.push_back(name + " is left out: none of MedMNIST's twelve 2D sets");
  const bool labels = options.reading == Reading::kLabels;
  for (const MedMnistSet& set : sets()) {
    if (files.count(&set) == 0) continue;
    read_set(set, files.at(&set), labels, manifest);
    if (labels) join_classes(manifest, set.name, set.classes(), set.findings);
  }
  if (labels) settle_classes(manifest);
  manifest.name = files.size() == 1 ? files.begin()->first->name : "medmnist";
  settle_validation(manifest);
  return manifest;
}

}  // namespace

Dataset medmnist() {
  return {"MedMNIST", "pathmnist.npz and its like", is_medmnist, read_medmnist, Reading::kEither};
}

}  // namespace strata::data
