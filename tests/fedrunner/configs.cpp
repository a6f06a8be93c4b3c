// The experiment files in configs/: all of them are read, and those for published data run on tiny
// folders in the published layouts.
#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "catch.h"
#include "core/console.h"
#include "experiment/benchmark_section.h"
#include "experiment/experiment.h"
#include "fedrunner/tiny.h"
#include "strata/fedrunner/metrics.h"
#include "strata/ntk/metric_names.h"
#include "support/docs_methods.h"
#include "support/npz_file.h"
#include "support/speaking_model.h"

using namespace strata;
using namespace strata::data;
using namespace strata::experiment;
using namespace strata::fedrunner;
using namespace strata::ntk;
namespace fs = std::filesystem;

namespace {

const fs::path kConfigs = fs::path(STRATA_SOURCE_DIR) / "configs";

/// With the scorer's own metrics, as configurations name them.
RunTools tools() {
  auto tools = test::tiny_tools();
  tools.names.metrics = metric_names();
  tools.names.algorithms.push_back("nsga2");
  return tools;
}

struct Workshop {
  test::TempDir dir;

  Workshop() { set_quiet(true); }

  void image(const std::string& name) const {
    write_png({2, 2, std::vector<std::uint8_t>(12, 90)}, dir / name);
  }

  void slake(const std::string& folder) const {
    const std::string record = R"({"img_name": "xmlab1/source.jpg", "question": "Is it healthy?", )"
                               R"("q_lang": "en", "modality": "CT", )";
    const std::string yes = record + R"("answer": "Yes", "answer_type": "CLOSED"})";
    dir.write(folder + "/train.json", "[" + yes + "]");
    dir.write(folder + "/validate.json", "[" + yes + "]");
    dir.write(folder + "/test.json",
              "[" + yes + "," + record + R"("answer": "Mediastinum", "answer_type": "OPEN"}])");
    image(folder + "/imgs/xmlab1/source.jpg");
  }

  void vqa_rad(const std::string& folder) const {
    const std::string record =
        R"({"image_name": "synpic1.jpg", "image_organ": "HEAD", "answer": "Yes", )"
        R"("answer_type": "CLOSED", "question": "Is there a mass?", "phrase_type": )";
    dir.write(folder + "/VQA_RAD Dataset Public.json",
              "[" + record + R"("freeform"}, )" + record + R"("test_freeform"}])");
    image(folder + "/VQA_RAD Image Folder/synpic1.jpg");
  }

  void vqa_med(const std::string& folder, const std::string& train, const std::string& test,
               const std::string& answers) const {
    dir.write(folder + "/train/" + train, "synpic1|what is abnormal?|cyst\n");
    image(folder + "/train/images/synpic1.jpg");
    dir.write(folder + "/test/" + test, answers.empty() ? "synpic2|plane|what plane is it?|axial\n"
                                                        : "synpic2|what is abnormal?\n");
    if (!answers.empty()) dir.write(folder + "/test/" + answers, "synpic2|cyst\n");
    image(folder + "/test/images/synpic2.jpg");
  }

  void vqa_med_2019(const std::string& folder) const {
    vqa_med(folder, "All_QA_Pairs_train.txt", "VQAMed2019_Test_Questions_w_Ref_Answers.txt", "");
  }

  void omni_med_vqa(const std::string& folder) const {
    const std::vector<std::string> modalities = {"CT(Computed Tomography)",
                                                 "MR (Magnetic Resonance Imaging)",
                                                 "X-Ray",
                                                 "ultrasound",
                                                 "Dermoscopy",
                                                 "Fundus Photography",
                                                 "OCT (Optical Coherence Tomography",
                                                 "Microscopy Images"};
    std::string list;
    for (std::size_t m = 0; m < modalities.size(); ++m) {
      for (int i = 0; i < 12; ++i) {  // enough for both splits, which a hash of the names makes
        const std::string name =
            "Images/ACRIMA/" + std::to_string(m) + "-" + std::to_string(i) + ".png";
        image(folder + "/" + name);
        list += std::string(list.empty() ? "" : ",") + R"({"dataset": "ACRIMA", "question": )" +
                R"("What is it?", "gt_answer": "CT", "option_A": "CT", "option_B": "MR", )" +
                R"("image_path": ")" + name + R"(", "modality_type": ")" + modalities[m] + "\"}";
      }
    }
    dir.write(folder + "/QA_information/Open-access/ACRIMA.json", "[" + list + "]");
  }

  void medmnist(const std::string& folder, const std::string& name, bool colour) const {
    const std::size_t labels = name == "chestmnist" ? 14 : 1;
    std::vector<test::NpyFile> files;
    for (const std::string split : {"train", "val", "test"}) {
      files.push_back({split + "_images.npy", test::npy(colour ? "(2, 2, 2, 3)" : "(2, 2, 2)",
                                                        std::string(colour ? 24 : 8, 'x'))});
      files.push_back({split + "_labels.npy", test::npy("(2, " + std::to_string(labels) + ")",
                                                        std::string(2 * labels, '\1'))});
    }
    dir.write(folder + "/" + name + ".npz", test::npz(files, true));
  }

  /// A set of disease classification as questions: a report, and every disease an accepted answer.
  void diseases(const std::string& folder) const {
    const std::string line =
        R"({"image":"1.png","question":"the heart is enlarged","answers":)"
        R"(["cardiomegaly","edema"],"client":"x","answer_type":"open","split":)";
    dir.write(folder + "/manifest.jsonl", line + "\"train\"}\n" + line + "\"test\"}\n");
    image(folder + "/1.png");
  }

  /// Reports of six findings, by turns.
  void open_i(const std::string& folder) const {
    const std::vector<std::string> terms = {
        "normal",       "Cardiomegaly/mild", "Opacity/lung/base",
        "Nodule/small", "Pleural Effusion",  "Emphysema"};
    for (std::size_t i = 0; i < 120; ++i) {
      const std::string number = std::to_string(i + 1), id = "CXR" + number + "_IM-0001-1001";
      dir.write(folder + "/ecgen-radiology/" + number + ".xml",
                "<eCitation><MedlineCitation><Article><Abstract>"
                R"(<AbstractText Label="FINDINGS">The heart is large.</AbstractText>)"
                "</Abstract></Article></MedlineCitation><MeSH><major>" +
                    terms[i % terms.size()] + "</major></MeSH><parentImage id=\"" + id +
                    "\"/></eCitation>");
      image(folder + "/NLMCXR_png/" + id + ".png");
    }
  }

  /// Studies of six findings and of none, by turns.
  void mimic_cxr(const std::string& folder) const {
    std::string labels = "subject_id,study_id,A,B,C,D,E,F\n";
    std::string views = "dicom_id,subject_id,study_id,ViewPosition\n";
    std::string splits = "dicom_id,study_id,subject_id,split\n";
    for (int i = 0; i < 350; ++i) {
      const std::string subject = std::to_string(10000032 + i),
                        study = std::to_string(50000000 + i);
      std::string row = subject + "," + study;
      for (int finding = 0; finding < 6; ++finding) row += i % 7 == finding ? ",1.0" : ",";
      labels += row + "\n";
      views += "a," + subject + "," + study + ",PA\n";
      splits += "a," + study + "," + subject + (i < 280 ? ",train\n" : ",test\n");
      const std::string at = folder + "/files/p10/p" + subject + "/s" + study;
      dir.write(at + ".txt", " FINDINGS: The heart is large.\n");
      image(at + "/a.jpg");
    }
    dir.write(folder + "/mimic-cxr-2.0.0-chexpert.csv", labels);
    dir.write(folder + "/mimic-cxr-2.0.0-metadata.csv", views);
    dir.write(folder + "/mimic-cxr-2.0.0-split.csv", splits);
  }

  /// One round with nothing but the data's folder, in which the model is, and of models that answer
  /// in words with each of the paper's; the clients' names.
  std::vector<std::string> run(const std::string& name) const {
    test::write_tiny_foundation(dir / (name + "/vilt-b32-finetuned-vqa"));
    run_once(name, name, dir / name, {});
    const std::string words = name + "_vlm";
    fs::create_directories(dir / words);
    for (const auto& entry : fs::directory_iterator(dir / name))
      if (entry.path().filename() != "vilt-b32-finetuned-vqa")
        fs::create_symlink(entry.path(), dir / words / entry.path().filename());
    test::write_speaking_model(dir / words / "llava-1.5-7b-hf");
    run_once(words, words, dir / words, {});
    CHECK(clients_of(words) == clients_of(name));
    for (const std::string model : {"albef", "blip2_opt", "blip2_t5"}) {
      INFO(words << " with " << model);
      const std::string run = words + "-" + model;
      test::write_long_model(model, dir / run);
      // These are less than 16 numbers wide in places.
      run_once(words, run, dir / words,
               {"model.folder=" + (dir / run).string(), "model.peft.adapters.reduction=4"});
      CHECK(clients_of(run) == clients_of(name));
      CHECK(metrics_of(run) == metrics_of(words));
    }
    return clients_of(name);
  }

  void run_once(const std::string& config, const std::string& run, const fs::path& data,
                std::vector<std::string> set) const {
    set.insert(set.end(), {"data.folder=" + data.string(), "run.strategies=[f3ocus]",
                           "run.rounds=1", "run.budget=1"});
    run_experiment(kConfigs / (config + ".yaml"), set, dir / (run + "-run"), tools(), {});
  }

  /// The names, each with a value in the row of all clients.
  std::vector<std::string> metrics_of(const std::string& name) const {
    const auto metrics = read_metrics(dir / (name + "-run") / "metrics.csv");
    for (const auto& row : metrics.rows) {
      if (row.client != "all") continue;
      for (std::size_t i = 0; i < metrics.metrics.size(); ++i) {
        CAPTURE(name, metrics.metrics[i]);
        const double value = row.values[i];
        CHECK((std::isnan(value) || (value >= 0 && value <= 1)));
        if (metrics.metrics[i] == "macro_f1" || metrics.metrics[i] == "micro_f1")
          CHECK_FALSE(std::isnan(value));
      }
    }
    return metrics.metrics;
  }

  std::vector<std::string> clients_of(const std::string& name) const {
    std::vector<std::string> clients;
    for (const auto& row : read_metrics(dir / (name + "-run") / "metrics.csv").rows) {
      if (row.round == 1 && row.client != "all" && row.client != "mean")
        clients.push_back(row.client);
    }
    return clients;
  }
};

using Names = std::vector<std::string>;

/// What the comment of a file offers under each name: the values of a line's --set.
std::map<std::string, Names> offered(const std::string& config) {
  const auto trimmed = [](const std::string& text) {
    const auto first = text.find_first_not_of(" '"), last = text.find_last_not_of(" '");
    return first == std::string::npos ? "" : text.substr(first, last - first + 1);
  };
  const std::string begin = "#   ", option = "--set ";
  std::map<std::string, Names> found;
  std::istringstream lines(test::slurp(kConfigs / config));
  for (std::string line; std::getline(lines, line);) {
    auto at = line.find(option);
    if (!line.starts_with(begin) || line.starts_with(begin + "strata ") || at == std::string::npos)
      continue;
    Names& values = found[trimmed(line.substr(begin.size(), at - begin.size()))];
    while (at != std::string::npos) {
      const auto next = line.find(option, at + 1), value = at + option.size();
      values.push_back(trimmed(line.substr(value, next - value)));
      at = next;
    }
  }
  return found;
}

}  // namespace

TEST_CASE("every file in configs/ is an experiment file") {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(kConfigs)) {
    INFO(entry.path());
    CHECK_NOTHROW(read_experiment_file(entry.path(), {}, tools().names));
    ++files;
  }
  CHECK(files >= 21);
}

TEST_CASE("README's experiment file is one") {
  std::istringstream readme(test::slurp(fs::path(STRATA_SOURCE_DIR) / "README.md"));
  std::string line, file;
  while (std::getline(readme, line) && line != "    $ cat mine.yaml") continue;
  while (std::getline(readme, line) && line.rfind("    ", 0) == 0) file += line.substr(4) + "\n";
  const test::TempDir dir;
  const auto experiment = read_experiment_file(dir.write("mine.yaml", file), {}, tools().names);
  REQUIRE(experiment.run);
  CHECK(experiment.data.folder == "DATA");
  CHECK(experiment.model.folder == "MODEL");
  CHECK(experiment.run->rounds == 20);
}

TEST_CASE("the benchmarks in configs/ have the cells of their papers") {
  const auto cells = [](const std::string& name) {
    std::map<std::string, std::set<std::string>> methods;
    for (const auto& one :
         read_benchmark_file(fs::path(kConfigs) / name, {}, tools().names).experiments)
      methods[one.backbone].insert(one.method);
    return methods;
  };
  const auto paper = cells("peft_missed_opportunity.yaml");
  CHECK(paper.at("resnet-50") ==
        std::set<std::string>{"full", "linear", "tsa", "batchnorm", "bias", "ssf"});
  for (const char* vit : {"vit-base", "vit-large", "vit-huge", "vit-mae", "vit-clip"})
    CHECK(paper.at(vit) == std::set<std::string>{"full", "linear", "attention", "bias", "lora",
                                                 "ssf", "adaptformer", "layernorm"});
  const auto small = cells("peft_pneumonia.yaml");
  CHECK(small.at("vit") == std::set<std::string>{"full",    "head",        "attention", "sba",
                                                 "bias",    "norm",        "ssf",       "lora",
                                                 "rslora",  "dora",        "vera",      "loha",
                                                 "lokr",    "oft",         "ia3",       "pfeiffer",
                                                 "houlsby", "adaptformer", "vpt",       "vpt-deep",
                                                 "dvpt",    "dvpt-deep",   "lora+vpt"});
  CHECK(small.at("resnet") == std::set<std::string>{"full", "head", "bias", "norm", "ssf", "tsa",
                                                    "lora-conv", "dora-conv", "loha-conv",
                                                    "lokr-conv", "ia3-conv"});
}

TEST_CASE("the methods that federated_peft.yaml offers are as large on ViT-B as they must be") {
  models::VitConfig vit;
  vit.labels = {"a", "b", "c"};
  const models::Blueprint base(models::make_vit(vit));
  const auto selectable = [&](const Names& set) {
    const ExperimentConfig config =
        read_experiment_file(kConfigs / "federated_peft.yaml", set, tools().names);
    std::int64_t numbers = 0;
    for (const Unit& unit : select_units(config, with_peft(config, base)).selectable)
      numbers += unit.parameter_count;
    return numbers;
  };
  CHECK(selectable({}) == 12 * 2362368);
  std::map<std::string, std::int64_t> found;
  for (auto [name, set] : offered("federated_peft.yaml")) {
    INFO(name);
    set.push_back("run.strategies=[full]");
    CHECK_NOTHROW(found[name] = selectable(set));
  }
  // Without what is no block's: the biases, norms and scales of the patches and of the head.
  CHECK(found == std::map<std::string, std::int64_t>{{"VPT, shallow", 7680},
                                                     {"VPT, deep", 92160},
                                                     {"DVPT", 3112},
                                                     {"DVPT, deep", 12 * 3112},
                                                     {"LoRA", 294912},
                                                     {"LoRA + VPT", 294912 + 7680},
                                                     {"BitFit", 12 * 11 * 768},
                                                     {"LayerNorm", 12 * 4 * 768},
                                                     {"SSF", 12 * 22 * 768},
                                                     {"AdaptFormer", 1189632}});
}

TEST_CASE("peft_missed_opportunity.yaml trains as many numbers as published, with the head") {
  models::VitConfig vit;
  vit.labels = {"a", "b", "c"};
  models::ResnetConfig resnet;
  resnet.labels = vit.labels;
  const std::map<std::string, models::Blueprint> bases = {
      {"vit-base", models::Blueprint(models::make_vit(vit))},
      {"resnet-50", models::Blueprint(models::make_resnet(resnet))}};
  std::map<std::string, std::int64_t> found;
  for (const auto& one :
       read_benchmark_file(kConfigs / "peft_missed_opportunity.yaml", {}, tools().names)
           .experiments) {
    if (bases.count(one.backbone) == 0 || one.fraction < 1 || one.method == "linear") continue;
    const SelectedUnits units =
        select_units(one.config, with_peft(one.config, bases.at(one.backbone)));
    std::int64_t& numbers = found[one.backbone + " " + one.method];
    for (const auto* some : {&units.selectable, &units.always})
      for (const Unit& unit : *some) numbers += unit.parameter_count;
  }
  const std::int64_t head = 3 * 769, top = 3 * 2049;
  CHECK(found == std::map<std::string, std::int64_t>{{"vit-base full", 85798656 + head},
                                                     {"vit-base attention", 28499712 + head},
                                                     {"vit-base bias", 102912 + head},
                                                     {"vit-base lora", 589824 + head},
                                                     {"vit-base ssf", 205824 + head},
                                                     {"vit-base adaptformer", 119880 + head},
                                                     {"vit-base layernorm", 38400 + head},
                                                     {"resnet-50 full", 23508032 + top},
                                                     {"resnet-50 tsa", 10616832 + top},
                                                     {"resnet-50 batchnorm", 59267},
                                                     {"resnet-50 bias", 32707},
                                                     {"resnet-50 ssf", 53120 + top}});
}

TEST_CASE("the methods for convolutions in docs/benchmark.md are as large on ResNet-50 as PEFT's") {
  const test::TempDir dir;
  dir.write("more.yaml",
            test::slurp(kConfigs / "peft_missed_opportunity.yaml") + test::methods_in_docs());
  models::ResnetConfig resnet;
  resnet.labels = {"a", "b", "c"};
  const models::Blueprint base(models::make_resnet(resnet));
  std::map<std::string, std::int64_t> found;
  for (const auto& one : read_benchmark_file(dir / "more.yaml", {}, tools().names).experiments) {
    if (!one.method.ends_with("-conv") || one.fraction < 1) continue;
    const SelectedUnits units = select_units(one.config, with_peft(one.config, base));
    for (const auto* some : {&units.selectable, &units.always})
      for (const Unit& unit : *some) found[one.method] += unit.parameter_count;
  }
  const std::int64_t top = 3 * 2049;
  CHECK(found == std::map<std::string, std::int64_t>{{"lora-conv", 635544 + top},
                                                     {"dora-conv", 662104 + top},
                                                     {"loha-conv", 1271088 + top},
                                                     {"lokr-conv", 63392 + top},
                                                     {"ia3-conv", 26560 + top},
                                                     {"oft-conv", 290656 + top}});
}

TEST_CASE("what peft_missed_opportunity.yaml offers is a data set of its paper each") {
  std::map<std::string, std::string> folders;
  for (const auto& [name, set] : offered("peft_missed_opportunity.yaml")) {
    const auto benchmark =
        read_benchmark_file(kConfigs / "peft_missed_opportunity.yaml", set, tools().names);
    folders[name] = benchmark.experiments.front().config.data.folder;
  }
  CHECK(folders == std::map<std::string, std::string>{{"BUSI", "BUSI"},
                                                      {"Fitzpatrick17k", "FITZPATRICK17K"},
                                                      {"SMDG-19", "SMDG"},
                                                      {"RSNA Pneumonia", "RSNA"}});
}

TEST_CASE_METHOD(Workshop, "F3OCUS's tasks run on folders in the published layouts") {
  slake("f3ocus_task1/slake");
  vqa_rad("f3ocus_task1/rad");
  vqa_med_2019("f3ocus_task1/2019");
  vqa_med("f3ocus_task1/2020", "VQAnswering_2020_Train_QA_pairs.txt",
          "VQAMed2020-Task1-VQAnswering-Test-Questions.txt",
          "VQAMed2020-Task1-VQAnswering-Test-ReferenceAnswers.txt");
  vqa_med("f3ocus_task1/2021", "VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt",
          "Task1-VQA-2021-TestSet-Questions.txt", "Task1-VQA-2021-TestSet-ReferenceAnswers.txt");
  CHECK(run("f3ocus_task1") ==
        Names{"vqa-med-2019", "vqa-med-2020", "vqa-med-2021", "vqa-rad", "slake"});

  omni_med_vqa("f3ocus_task2");
  CHECK(run("f3ocus_task2").size() == 8);

  for (const std::string name : {"pathmnist", "dermamnist", "retinamnist", "bloodmnist"})
    medmnist("f3ocus_task3", name, true);
  for (const std::string name : {"chestmnist", "octmnist", "breastmnist", "tissuemnist",
                                 "organamnist", "organcmnist", "organsmnist", "pneumoniamnist"})
    medmnist("f3ocus_task3", name, false);
  const auto nine = run("f3ocus_task3");
  CHECK(nine.size() == 9);
  CHECK(std::count(nine.begin(), nine.end(), "abdominal ct") == 1);

  const Names found = {"accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "auroc"};
  open_i("f3ocus_task4");
  CHECK(run("f3ocus_task4").size() == 4);
  CHECK(metrics_of("f3ocus_task4_vlm") == found);
  mimic_cxr("f3ocus_task5");
  CHECK(run("f3ocus_task5").size() == 10);
  CHECK(metrics_of("f3ocus_task5_vlm") == found);

  slake("f3ocus_task6/1-slake");
  vqa_rad("f3ocus_task6/2-rad");
  vqa_med_2019("f3ocus_task6/3-2019");
  diseases("f3ocus_task6/open-i");
  medmnist("f3ocus_task6/chest", "chestmnist", false);
  CHECK(run("f3ocus_task6") == Names{"slake", "vqa-rad", "vqa-med-2019", "chestmnist", "open-i"});
}
