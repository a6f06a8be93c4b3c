#pragma once
/// \file
/// `data`: the data set and its clients.

#include <string>
#include <vector>

#include "core/choices.h"
#include "core/fields.h"
#include "data/manifest.h"
#include "data/partition.h"
#include "tasks/answering.h"
#include "tasks/task.h"

namespace strata::experiment {

struct DataConfig {
  std::string folder;
  /// Names of clients whose data is elsewhere, as in a consortium; none: `folder` has them.
  std::vector<std::string> sites = {};
  data::LoadOptions load;
  bool drop_unseen = false;  ///< `unseen_answers: drop`; see tasks::Source
  std::string cache;         ///< of decoded images; "" for none
  std::string prompt;        ///< of a model that speaks (tasks/prompts.h); "" is the model's own
  data::PartitionOptions partition;
};

const Fields<DataConfig>& data_fields();
/// `unseen_answers`: whether such examples are dropped.
const Choices<bool>& unseen_answers();

struct ExperimentData {
  data::Manifest manifest;
  data::Partition partition;
  DataConfig config;
  tasks::TaskPtr task;  ///< that the data are for
};

/// Loads and partitions the data set for the task of this name (tasks/tasks.h). @throws InputError
ExperimentData load_experiment_data(const DataConfig& data, const std::string& task,
                                    const tasks::AnsweringOptions& answering = {});

}  // namespace strata::experiment
