#pragma once
/// \file
/// --data and its options as the experiment file's data section.

#include "cli/command_line.h"
#include "experiment/data_section.h"

namespace strata::cli {

inline experiment::DataConfig data_config(const DataOptions& options) {
  experiment::DataConfig config;
  config.folder = options.folder;
  config.load.language = options.language;
  config.drop_unseen = experiment::unseen_answers().value(options.unseen_answers);
  config.cache = options.cache;
  config.prompt = options.prompt;
  return config;
}

}  // namespace strata::cli
