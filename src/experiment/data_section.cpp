#include "experiment/data_section.h"

#include "strata/core/error.h"
#include "tasks/tasks.h"

namespace strata::experiment {
namespace {

using data::LoadOptions;
using data::PartitionOptions;
using data::PartitionScheme;

const Fields<LoadOptions>& load_fields() {
  static const Fields<LoadOptions> fields({
      field("language", &LoadOptions::language, one_of({"en", "zh"}),
            "of SLAKE's questions, here and in the folders of `pretrain`")
          .written_if_changed(),
  });
  return fields;
}

const Fields<PartitionOptions>& partition_fields() {
  static const auto counted = [](const PartitionOptions& partition) {
    return data::is_counted(partition.scheme);
  };
  static const auto is_dirichlet = [](const PartitionOptions& partition) {
    return partition.scheme == PartitionScheme::kDirichlet;
  };
  static const Fields<PartitionOptions> fields({
      field("partition", &PartitionOptions::scheme, choice(data::partition_schemes()),
            "who holds which examples ([data.md](data.md))"),
      field("clients", &PartitionOptions::clients, whole<int>(1),
            "the other partitions take the clients from the data")
          .required_if(counted, "required for `iid`, `dirichlet`")
          .written_if(counted),
      field("alpha", &PartitionOptions::alpha, number(1e-6, 1e6),
            "Dirichlet concentration over answers; small is uneven")
          .written_if(is_dirichlet),
      field("public_fraction", &PartitionOptions::public_fraction, number(0, 1),
            "share of the training images given to no client; less than 1"),
      field("fraction", &PartitionOptions::fraction, number(1e-6, 1),
            "share of each client's training examples that it keeps, at least one; a smaller share "
            "is part of a larger ([data.md](data.md))")
          .written_if_changed(),
      field("evaluate_on", &PartitionOptions::evaluate_on, choice(data::evaluation_splits()),
            "what models are evaluated on: the test examples, or a `validation` share of each "
            "client's training examples, which it does not train on then")
          .written_if_changed(),
      field("validation", &PartitionOptions::validation, number(1e-6, 1 - 1e-6),
            "that share, stratified; all images of a patient or, where the data names none, of a "
            "lesion stay together, and all examples on an image. Learning rates are [chosen on "
            "it](#learning-rates)")
          .default_text("`0.2`")
          .written_if_changed(),
      field("seed", &PartitionOptions::seed, seed_number(),
            "of the partition; the same in all runs"),
  });
  return fields;
}

/// What is decided with all data in one place.
void check_sites(ObjectReader& reader, const DataConfig& data) {
  if (data.sites.empty()) return;
  const auto& partition = data.partition;
  if (data::is_counted(partition.scheme))
    reader.fail("partition", data::partition_schemes().name(partition.scheme) +
                                 " deals out data that is in one place; with data.sites each site "
                                 "has its own");
  if (partition.public_fraction > 0)
    reader.fail("public_fraction", "a public share is of data that is in one place, not of sites");
}

void complete_data(ObjectReader& reader, DataConfig& data) {
  check_sites(reader, data);
  auto& partition = data.partition;
  // A file may keep the number of clients while other schemes are tried.
  if (!data::is_counted(partition.scheme)) partition.clients = 0;
  if (partition.public_fraction == 1)
    reader.fail("public_fraction", "1 leaves no training image to the clients");
}

}  // namespace

const Choices<bool>& unseen_answers() {
  static const Choices<bool> choices({{false, "error"}, {true, "drop"}});
  return choices;
}

const Fields<DataConfig>& data_fields() {
  const auto partition = [](const char* key) {
    return partition_fields().at(key).within(&DataConfig::partition);
  };
  // Keys that came later are written only where they say something, so that a run folder of an
  // earlier version resumes.
  static const Fields<DataConfig> fields(
      {
          field("folder", &DataConfig::folder, text(),
                "a data set, or a folder of data sets ([data.md](data.md))")
              .required_if([](const DataConfig& data) { return data.sites.empty(); },
                           "required without `sites`")
              .written_if([](const DataConfig& data) { return !data.folder.empty(); }),
          field("sites", &DataConfig::sites, distinct_texts(),
                "the clients of a consortium by name, each of which has its data to itself "
                "([consortium.md](consortium.md)); empty: the folder has them")
              .written_if_changed(),
          partition("partition"),
          load_fields().at("language").within(&DataConfig::load),
          field("unseen_answers", &DataConfig::drop_unseen, choice(unseen_answers()),
                "questions none of whose accepted answers is among the model's labels; `drop` "
                "leaves them out of training and counts them as wrong in tests")
              .written_if_changed(),
          field("prompt", &DataConfig::prompt, text(),
                "what a model that answers in words is given: a text with {question} and <image>; "
                "`\"\"` is the model's own ([tasks.md](tasks.md))")
              .written_if_changed(),
          partition("clients"),
          partition("alpha"),
          partition("public_fraction"),
          partition("fraction"),
          partition("evaluate_on"),
          partition("validation"),
          partition("seed"),
          // Not written: a run resumes with another.
          field("cache", &DataConfig::cache, text(),
                "a folder that keeps decoded images for the next program ([data.md](data.md)); no "
                "result depends on it")
              .not_written(),
      },
      complete_data);
  return fields;
}

ExperimentData load_experiment_data(const DataConfig& data, const std::string& task,
                                    const tasks::AnsweringOptions& answering) {
  if (data.folder.empty())
    throw InputError(
        "data.folder: the experiment's clients are at sites of their own (data.sites)");
  ExperimentData result;
  result.config = data;
  result.config.load.reading = tasks::reading_of(task, "task");
  result.manifest = data::load_data(data.folder, result.config.load);
  result.task = tasks::choose_task(task, result.manifest, answering);
  result.partition = data::make_partition(result.manifest, data.partition);
  return result;
}

}  // namespace strata::experiment
