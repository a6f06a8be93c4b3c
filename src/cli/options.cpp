#include "cli/options.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "core/amount.h"
#include "core/csv.h"
#include "core/text.h"
#include "data/partition.h"
#include "strata/core/error.h"
#include "strata/optimizers/choose.h"

namespace strata::cli {

CLI::Validator one_of(const std::vector<std::string>& allowed) {
  std::string description;
  for (const auto& name : allowed) description += (description.empty() ? "" : "|") + name;
  return CLI::Validator(
      [allowed](std::string& value) {
        if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return std::string();
        return "\"" + value + "\" is not one of " + quoted_list(allowed) +
               did_you_mean(value, allowed);
      },
      description);
}

CLI::Validator choice_rule() {
  std::string description;
  for (const auto& rule : optimizers::choice_rules())
    description += (description.empty() ? "" : "|") + rule;
  return CLI::Validator(
      [](std::string& value) {
        try {
          optimizers::check_choice(value);
        } catch (const InputError& error) {
          return std::string(error.what());
        }
        return std::string();
      },
      description);
}

/// CLI11 itself would read −1 as the greatest seed there is, and cut off what is greater.
CLI::Validator seed_value() {
  return CLI::Validator(
      [](std::string& value) {
        std::uint64_t seed = 0;
        const char* end = value.data() + value.size();
        const auto [stop, error] = std::from_chars(value.data(), end, seed);
        if (error == std::errc() && stop == end) return std::string();
        return "a whole number from 0 to " +
               std::to_string(std::numeric_limits<std::uint64_t>::max()) +
               " was expected, found \"" + value + "\"";
      },
      "");
}

/// CLI::Range lets "nan" pass, which as --private-epsilon would mean no noise.
CLI::Validator number_in(double low, double high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        double value = 0;
        if (parse_double(text, value) && value >= low && value <= high) return std::string();
        return "a number from " + format_double(low) + " to " + format_double(high) +
               " was expected, found \"" + text + "\"";
      },
      "");
}

CLI::Validator whole_number_in(std::int64_t low, std::int64_t high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        std::int64_t value = 0;
        if (parse_integer(text, value) && value >= low && value <= high) return std::string();
        return "a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
               " was expected, found \"" + text + "\"";
      },
      "");
}

CLI::Validator amount_of(const std::string& what) {
  return CLI::Validator(
      [what](std::string& text) {
        std::int64_t value = 0;
        if (!parse_amount(text, what, value))
          return allowed_amount(what) + " was expected, found \"" + text + "\"";
        text = std::to_string(value);
        return std::string();
      },
      "");
}

CLI::App* subcommand(CLI::App* parent, const std::string& name, const std::string& description,
                     CommonArguments& common) {
  CLI::App* app = parent->add_subcommand(name, description);
  app->add_flag("-q,--quiet", common.quiet,
                "Print results to files only; keep warnings and errors");
  app->add_flag("--json", common.json, "Print one JSON object instead of text");
  return app;
}

void add_device(CLI::App* app, std::string& device, int& threads) {
  app->add_option("--device", device, "cpu, cuda or cuda:N")->capture_default_str();
  ranged(app, "--threads", threads, "LibTorch threads; 0 is as many of the cores as the work feeds",
         0, 1024);
}

void add_spill(CLI::App* app, std::string& folder) {
  app->add_option("--spill", folder,
                  "Folder for what enters each block, in place of memory; nothing stays there");
}

CLI::Option* add_data(CLI::App* app, DataOptions& data) {
  auto* folder =
      app->add_option("--data", data.folder, "Data folder; its clients are the manifest's");
  app->add_option("--task", data.task,
                  "What the model is for: auto, answer_classification, image_classification, "
                  "image_text_classification, segmentation or answer_generation")
      ->capture_default_str()
      ->needs(folder);
  app->add_option("--language", data.language, "SLAKE's questions to read")
      ->check(one_of({"en", "zh"}))
      ->capture_default_str()
      ->needs(folder);
  app->add_option("--unseen-answers", data.unseen_answers,
                  "What to do with examples whose answer or class the model does not have")
      ->check(one_of({"error", "drop"}))
      ->capture_default_str()
      ->needs(folder);
  app->add_option("--prompt", data.prompt,
                  "Of a model that speaks: a text with {question} and <image>; its own by default")
      ->needs(folder);
  app->add_option("--cache", data.cache, "Folder for decoded images, which a later run reads")
      ->needs(folder);
  return folder;
}

void add_partition(CLI::App* app, DataCheckArguments& arguments) {
  app->add_option("--partition", arguments.partition, "How examples become clients")
      ->check(one_of(data::partition_schemes().names()))
      ->capture_default_str();
  ranged(app, "--clients", arguments.clients, "Clients, for iid and dirichlet", 0, 100000);
  ranged(app, "--alpha", arguments.alpha, "Dirichlet concentration over answers", 1e-6, 1e6);
  ranged(app, "--public-fraction", arguments.public_fraction,
         "Share of the training images that no client holds", 0.0, 1.0);
  ranged(app, "--fraction", arguments.fraction,
         "Share of each client's training examples that it keeps", 1e-6, 1.0);
  app->add_option("--seed", arguments.seed, "Seed of the partition")
      ->check(seed_value())
      ->capture_default_str();
}

void add_seed(CLI::App* app, std::uint64_t& seed) {
  app->add_option("--seed", seed, "The same seed gives the same bytes")
      ->check(seed_value())
      ->capture_default_str();
}

void add_scheme(CLI::App* app, std::string& scheme) {
  app->add_option(
         "--scheme", scheme,
         "What a block's unit holds: block, a PEFT method's weights (lora, bias, …), or several "
         "joined by '+'")
      ->capture_default_str();
}

void add_peft(CLI::App* app, std::vector<std::string>& peft, const std::string& what) {
  app->add_option("--peft", peft,
                  what +
                      ": methods with the fields of docs/runs.md (repeatable), e.g. "
                      "lora:rank=8,targets=query+value")
      ->allow_extra_args(false);
}

}  // namespace strata::cli
