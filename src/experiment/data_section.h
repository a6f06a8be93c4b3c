#pragma once
/// \file
/// `data`: the data set and its clients.

#include <string>

#include "core/fields.h"
#include "data/manifest.h"
#include "data/partition.h"

namespace strata::experiment {

struct DataConfig {
  std::string folder;
  data::LoadOptions load;
  bool drop_unseen = false;  ///< `unseen_answers: drop`; see VqaTensors
  std::string cache;         ///< of decoded images; "" for none
  data::PartitionOptions partition;
};

const Fields<DataConfig>& data_fields();

struct ExperimentData {
  data::Manifest manifest;
  data::Partition partition;
  DataConfig config;
};

/// Loads and partitions the data set. @throws InputError
ExperimentData load_experiment_data(const DataConfig& data);

}  // namespace strata::experiment
