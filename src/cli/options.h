#pragma once
/// \file
/// What the option table of command_line.cpp is made of: the ranges and choices of values, and the
/// options that several subcommands take.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "cli/command_line.h"

namespace strata::cli {

/// One of `allowed`; the message names the nearest.
CLI::Validator one_of(const std::vector<std::string>& allowed);

/// A rule that optimizers::check_choice takes.
CLI::Validator choice_rule();

/// A whole number of 64 bits without a sign.
CLI::Validator seed_value();

/// From `low` to `high`, both included; "nan" is none.
CLI::Validator number_in(double low, double high);
CLI::Validator whole_number_in(std::int64_t low, std::int64_t high);

/// 4GiB, 400kB: becomes the number of bytes.
CLI::Validator amount_of(const std::string& what);

/// An option with a default value and a range, both ends included.
template <typename T>
CLI::Option* ranged(CLI::App* app, const std::string& name, T& target, const std::string& help,
                    T low, T high) {
  CLI::Option* option = app->add_option(name, target, help)->capture_default_str();
  if constexpr (std::is_floating_point_v<T>) {
    return option->check(number_in(low, high));
  } else {
    return option->check(whole_number_in(low, high));
  }
}

/// A subcommand with --quiet and --json.
CLI::App* subcommand(CLI::App* parent, const std::string& name, const std::string& description,
                     CommonArguments& common);

/// --device and --threads.
void add_device(CLI::App* app, std::string& device, int& threads);
/// --spill.
void add_spill(CLI::App* app, std::string& folder);

/// --data, and how it is read.
CLI::Option* add_data(CLI::App* app, DataOptions& data);

/// --partition and its options.
void add_partition(CLI::App* app, DataCheckArguments& arguments);

void add_seed(CLI::App* app, std::uint64_t& seed);

void add_scheme(CLI::App* app, std::string& scheme);

/// --peft, whose help begins with `what`.
void add_peft(CLI::App* app, std::vector<std::string>& peft, const std::string& what);

}  // namespace strata::cli
