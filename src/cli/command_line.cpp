#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <type_traits>

#include "cli/help.h"
#include "core/amount.h"
#include "core/build_info.h"
#include "core/csv.h"
#include "core/text.h"
#include "data/partition.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/ntk/metric_names.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/choose.h"
#include "strata/optimizers/search.h"

namespace strata::cli {
namespace {

constexpr int kMany = std::numeric_limits<int>::max();

/// One of `allowed`; the message names the nearest.
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

/// 4GiB, 400kB: becomes the number of bytes.
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

/// --data, and how it is read.
CLI::Option* add_data(CLI::App* app, DataOptions& data) {
  auto* folder =
      app->add_option("--data", data.folder, "Data folder; its clients are the manifest's");
  app->add_option("--task", data.task,
                  "What the model is for: auto, answer_classification or image_classification")
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
         "What a block's unit holds: block, adapter, lora, layernorm, norm, bias or prompt, or "
         "several joined by '+'")
      ->capture_default_str();
}

void add_peft(CLI::App* app, std::vector<std::string>& peft, const std::string& what) {
  app->add_option("--peft", peft,
                  what +
                      ": adapters, lora or prompts, with the fields of docs/runs.md "
                      "(repeatable), e.g. lora:rank=8,targets=query+value")
      ->allow_extra_args(false);
}

/// What the subcommands about the program itself take; this file runs them.
struct PageArguments {
  std::vector<std::string> help, man;
  std::string out, script, shell;
};

void build_pages(CLI::App& app, PageArguments& pages) {
  app.add_subcommand("help", "Print the help of strata or of a subcommand")
      ->add_option("command", pages.help, "Subcommand, such as plan or data make");
  CLI::App* completion = app.add_subcommand(
      "completion", "Print a script with which a shell completes strata's arguments");
  completion->add_option("shell", pages.shell, "The shell that reads the script")
      ->required()
      ->check(one_of(completion_shells()));
  completion->add_option("--out", pages.script, "File to write the script to");
  CLI::App* man = app.add_subcommand("man", "Print or write strata's manual pages");
  auto* command = man->add_option("command", pages.man,
                                  "Subcommand, such as plan or data make; strata without");
  man->add_option("--out", pages.out, "Folder for the pages of all subcommands, strata-NAME.1")
      ->excludes(command);
}

/// The table. Every option stands here once, with its type, range and help.
void build(CLI::App& app, CommandLine& line) {
  app.require_subcommand(1);

  CLI::App* data = app.add_subcommand("data", "Make or check a data set");
  data->require_subcommand(1);

  CLI::App* make = subcommand(data, "make", "Write the built-in synthetic data set", line.common);
  make->add_option("set", line.data_make.set, "Which set")->required()->check(one_of({"phantoms"}));
  make->add_option("--out", line.data_make.out, "Folder to write")->required();
  add_seed(make, line.data_make.seed);
  ranged(make, "--images", line.data_make.images, "Images per modality, 80 % for training", 5,
         100000);
  ranged(make, "--shapes", line.data_make.shapes, "Images of the non-medical set to pretrain on", 5,
         1000000);
  ranged(make, "--size", line.data_make.size, "Pixels a side", 32, 256);
  make->callback([&line] { line.command = Command::kDataMake; });

  CLI::App* check = subcommand(
      data, "check", "Read every line and image of a data set; print its clients", line.common);
  check->add_option("folder", line.data_check.folder, "Folder of the data set")->required();
  check->add_option("--language", line.data_check.language, "SLAKE's questions to read")
      ->check(one_of({"en", "zh"}))
      ->capture_default_str();
  check->add_flag("--questions-only", line.data_check.questions_only,
                  "Published questions without their images: no image is looked for");
  check->add_flag("--labels", line.data_check.labels,
                  "The classes of sets that have questions, too (MedMNIST)");
  add_partition(check, line.data_check);
  check->callback([&line] { line.command = Command::kDataCheck; });

  CLI::App* inspect =
      subcommand(&app, "inspect",
                 "Print a model's units: parameters, bytes, FLOPs, activation bytes", line.common);
  inspect->add_option("model", line.inspect.model, "Model folder (config.json, model.safetensors)")
      ->required();
  add_scheme(inspect, line.inspect.scheme);
  ranged(inspect, "--text-tokens", line.inspect.text_tokens,
         "Tokens of a question for the costs; 0 is the model's maximum", 0, 100000);
  inspect->add_flag("--config-only", line.inspect.config_only,
                    "Read the configuration alone; the folder need not hold weights");
  add_peft(inspect, line.inspect.peft, "Count the weights of a PEFT method beside the model's own");
  CLI::Option* cost =
      inspect
          ->add_option("--cost", line.inspect.plan,
                       "Print what training costs: of all, of each unit and, with a plan.json, of "
                       "each client")
          ->expected(0, 1);
  inspect
      ->add_option("--always", line.inspect.always,
                   "With a plan: units that every client trains as well, e.g. head")
      ->delimiter(',')
      ->allow_extra_args(false);
  ranged(inspect, "--batch-size", line.inspect.batch_size, "Samples of a step, for the memory", 1,
         65536);
  inspect->callback([&line, cost] {
    line.command = Command::kInspect;
    line.inspect.cost = cost->count() > 0;
  });

  CLI::App* pretrain =
      subcommand(&app, "pretrain", "Train a model centrally, as the foundation of federated runs",
                 line.common);
  pretrain->add_option("config", line.pretrain.config, "Experiment file (YAML)")->required();
  pretrain->add_option("--out", line.pretrain.out, "Model folder to write")->required();
  pretrain
      ->add_option("--set", line.pretrain.set, "Replace a value of the experiment file: key=value")
      ->allow_extra_args(false);
  ranged(pretrain, "--parallel", line.pretrain.parallel,
         "Parts of a batch at the same time; 0 is as many as the threads leave cores", 0, 1024);
  add_device(pretrain, line.pretrain.device, line.pretrain.threads);
  pretrain->callback([&line] { line.command = Command::kPretrain; });

  CLI::App* evaluate =
      subcommand(&app, "evaluate", "Measure how well a model does on a data set", line.common);
  evaluate->add_option("model", line.evaluate.model, "Model folder")->required();
  add_data(evaluate, line.evaluate.data)->required();
  evaluate->add_option("--split", line.evaluate.split, "The examples to evaluate on")
      ->check(one_of({"train", "test"}))
      ->capture_default_str();
  auto* predictions = evaluate->add_option("--predictions", line.evaluate.predictions,
                                           "Write a JSON line for every example");
  evaluate->add_flag("--logits", line.evaluate.logits, "With every label's logit in the JSON lines")
      ->needs(predictions);
  add_device(evaluate, line.evaluate.device, line.evaluate.threads);
  evaluate->callback([&line] { line.command = Command::kEvaluate; });

  CLI::App* score =
      subcommand(&app, "score", "Score every unit of a model for every client", line.common);
  score->add_option("--model", line.score.model, "Model folder")->required();
  auto* score_data = add_data(score, line.score.data);
  score
      ->add_option("--config", line.score.config,
                   "Experiment file: its data section instead of --data and its options")
      ->excludes(score_data);
  score->add_option("--out", line.score.out, "scores.json or scores.csv, of the first metric");
  score->add_option("--client", line.score.clients, "Only this client (repeatable); all by default")
      ->allow_extra_args(false);
  score
      ->add_option("--unit", line.score.units,
                   "Only these units: a name, or a pattern such as 'block.*' (repeatable); all by "
                   "default")
      ->allow_extra_args(false);
  score
      ->add_option("--metric", line.score.metrics,
                   "Importance measure (repeatable; several need --table)")
      ->allow_extra_args(false)
      ->check(one_of(ntk::metric_names()))
      ->capture_default_str();
  score->add_option("--table", line.score.table,
                    "CSV of metric × client × unit; the metrics' rank agreement is printed");
  add_scheme(score, line.score.scheme);
  add_peft(score, line.score.peft, "Add a PEFT method with fresh weights");
  score
      ->add_option("--freeze", line.score.freeze,
                   "Weights that are not trained: name or shell pattern (repeatable)")
      ->allow_extra_args(false);
  auto* output = score
                     ->add_option("--output", line.score.outputs,
                                  "lntk, trace: only this answer's logit (repeatable)")
                     ->allow_extra_args(false);
  ranged(score, "--random-outputs", line.score.random_outputs,
         "lntk, trace: only so many answers, drawn from the seed; 0 is all", 0, kMany)
      ->excludes(output);
  ranged(score, "--top", line.score.top, "Eigenvalues to find of each unit (--json prints them)", 1,
         1000);
  ranged(score, "--samples", line.score.samples, "Training samples of a client to score on", 1,
         kMany);
  score
      ->add_option("--memory", line.score.memory,
                   "Memory beyond model, samples and one block's activations, e.g. 4GiB")
      ->transform(amount_of("bytes"))
      ->default_str("4GiB");
  score->add_flag("--dry-run", line.score.dry_run,
                  "Print the estimated time and memory of each client, and end");
  ranged(score, "--private-epsilon", line.score.private_epsilon,
         "Clip and noise the scores for this ε over all releases; 0 is off", 0.0, 1e6);
  ranged(score, "--private-delta", line.score.private_delta, "Its δ", 1e-300, 0.999999);
  ranged(score, "--private-clip", line.score.private_clip,
         "L2 norm to clip a row to; 0 is 1/√units", 0.0, 1e6);
  ranged(score, "--releases", line.score.releases, "Noised rows a client publishes in all", 1,
         kMany);
  ranged(score, "--release", line.score.release, "Which of them this is", 1, kMany);
  score
      ->add_option("--private-seed", line.score.private_seed,
                   "Seed of the noise, to repeat an experiment; who knows it can undo the noise")
      ->check(seed_value());
  add_seed(score, line.score.seed);
  add_device(score, line.score.device, line.score.threads);
  score->callback([&line] { line.command = Command::kScore; });

  CLI::App* plan =
      subcommand(&app, "plan", "Assign units to clients from a score table", line.common);
  plan->add_option(
      "--problem", line.plan.problem,
      "problem.yaml: scores, budgets of units or resources, costs, pinned and forbidden "
      "units, coverage, objectives");
  plan->add_option("--scores", line.plan.scores,
                   "scores.json, or a table (CSV, TSV): client,<unit>,… or the columns client, "
                   "unit, value; or a "
                   "folder of clients' files, or - for standard input; required without --problem");
  plan->add_option("--metric", line.plan.metric, "Which metric of scores that hold several");
  plan->add_option(
      "--budget", line.plan.budget,
      "What a client may train: units (4) or, with --costs, an amount (400kB, 2GFLOP); "
      "or a table client,budget; required without --problem");
  plan->add_option("--of", line.plan.of, "What budgets count, where they do not say it")
      ->check(one_of({"units", "bytes", "flops", "memory"}));
  plan->add_option(
      "--costs", line.plan.costs,
      "What units cost: a table unit,bytes,flops,memory or the JSON of strata inspect");
  plan->add_option("--unit", line.plan.units,
                   "Units that compete for the budgets: a name, or a pattern such as 'block.*' "
                   "(repeatable); by default all but a model's embeddings and head, which every "
                   "client trains besides")
      ->allow_extra_args(false);
  plan->add_option("--algorithm", line.plan.options.algorithm, "How the front is found")
      ->check(one_of(optimizers::algorithm_names()))
      ->capture_default_str();
  plan->add_option("--choose", line.plan.choose,
                   "Which point of the front becomes the plan; knee unless the problem says")
      ->check(choice_rule());
  plan->add_option("--start", line.plan.options.search.start, "What a metaheuristic begins with")
      ->check(one_of(optimizers::search_starts()))
      ->capture_default_str();
  ranged(plan, "--evaluations", line.plan.options.search.evaluations,
         "Objective evaluations of a metaheuristic", std::int64_t{1}, std::int64_t{1} << 40);
  ranged(plan, "--seconds", line.plan.options.search.seconds,
         "Time limit of a metaheuristic; 0: none. The plan then depends on the machine", 0.0, 1e6);
  ranged(plan, "--population", line.plan.options.search.population,
         "Population of a metaheuristic, a multiple of 4", 8, 1000000);
  ranged(plan, "--islands", line.plan.options.search.islands,
         "Islands of a pagmo archipelago, which share the evaluations", 1, 1024);
  plan->add_option("--warm", line.plan.warm,
                   "plan.json or --archive file of an earlier plan that a metaheuristic begins "
                   "with, too; clients and units are matched by name");
  add_seed(plan, line.plan.options.search.seed);
  auto* normalise = plan->add_flag_callback(
      "--normalise", [&line] { line.plan.normalise = true; },
      "Divide each client's scores by their sum; the default for the JSON of strata score");
  plan->add_flag_callback(
          "--no-normalise", [&line] { line.plan.normalise = false; }, "Take the scores as they are")
      ->excludes(normalise);
  plan->add_flag_callback(
      "--no-gap", [&line] { line.plan.options.gap = false; },
      "Do not certify the distance from optimal");
  const std::string with_unsupported =
      "With the algorithm " +
      joined(optimizers::algorithms_with(&optimizers::AlgorithmUses::unsupported), " or ");
  plan->add_flag("--sweep", line.plan.options.sweep,
                 with_unsupported +
                     ": plan over the unsupported points met on the way, too, "
                     "nearly all there are");
  ranged(plan, "--full-front", line.plan.options.full_front_seconds,
         with_unsupported + ": enumerate unsupported points, too, for at most so many seconds", 0.0,
         1e6);
  plan->add_option("--out", line.plan.out, "plan.json to write");
  plan->add_option("--front", line.plan.front,
                   "File of the front to write, with every point's objectives and assignment: CSV, "
                   "or JSON by the name FILE.json");
  plan->add_option("--archive", line.plan.archive,
                   "File of the front's assignments to write, at most 1,000, for a later --warm");
  plan->add_option("--adapters", line.plan.adapters,
                   "Folder to write CLIENT/adapter_config.json to, for Hugging Face PEFT");
  plan->add_option(
      "--adapter-model", line.plan.adapter_model,
      "The model that these are for: its folder, or its model_type, such as vilt, vit, "
      "bert, llama or gpt2; without, names that fit most of them");
  plan->add_option(
      "--adapter-template", line.plan.adapter_template,
      "adapter_config.json whose other fields these take over; LoRA's defaults without");
  plan->callback([&line] { line.command = Command::kPlan; });

  CLI::App* compare = subcommand(
      &app, "compare", "Compare optimizers with the exact front and each other", line.common);
  // A list is one argument, so that an option that follows is never taken for an element.
  const auto list = [](CLI::Option* option) {
    return option->delimiter(',')->allow_extra_args(false);
  };
  list(compare
           ->add_option("--instances", line.compare.instances,
                        "Sizes such as 9x24 (generated), folders, CSV files of scores")
           ->required());
  compare->add_option("--budget", line.compare.budget,
                      "For scores without budgets beside them: a number, or a CSV file");
  list(compare->add_option("--algorithms", line.compare.options.algorithms, "Which ones")
           ->check(one_of(optimizers::search_algorithms())))
      ->capture_default_str();
  list(compare->add_option("--starts", line.compare.options.starts, "From where")
           ->check(one_of(optimizers::search_starts())))
      ->capture_default_str();
  list(compare
           ->add_option("--evaluations", line.compare.options.evaluations,
                        "Objective evaluations of a run")
           ->check(whole_number_in(1, std::int64_t{1} << 40)))
      ->capture_default_str();
  ranged(compare, "--seeds", line.compare.options.seeds, "Runs of each kind, with seeds from 1", 1,
         100000);
  ranged(compare, "--instance-seeds", line.compare.instance_seeds,
         "Instances of each generated size, with seeds from 1", 1, 100000);
  ranged(compare, "--population", line.compare.options.population, "A multiple of 4", 8, 1000000);
  compare->add_option("--write-instances", line.compare.write_instances,
                      "Folder for the instances and their exact fronts as CSV; runs nothing "
                      "without --out");
  compare->add_option("--out", line.compare.out,
                      "Folder for compare.json, compare.csv and summary.csv");
  compare->add_flag("--resume", line.compare.resume, "Continue a comparison that was interrupted");
  compare->callback([&line] { line.command = Command::kCompare; });

  CLI::App* run = subcommand(
      &app, "run", "Run federated rounds: score, plan, train, aggregate, evaluate", line.common);
  run->add_option("config", line.run.config, "Experiment file (YAML)")->required();
  run->add_option("--out", line.run.out, "Run folder to write")->required();
  run->add_flag("--resume", line.run.resume, "Continue a run that was interrupted");
  ranged(run, "--parallel", line.run.parallel,
         "Clients at the same time; 0 is as many as the threads leave cores, 1 measures memory", 0,
         1024);
  run->add_option("--set", line.run.set, "Replace a value of the experiment file: key=value")
      ->allow_extra_args(false);
  add_device(run, line.run.device, line.run.threads);
  run->callback([&line] { line.command = Command::kRun; });

  CLI::App* report =
      subcommand(&app, "report", "Write one HTML page about a run or an experiment", line.common);
  report->add_option("folder", line.report.folder, "Run folder, or a folder of run folders")
      ->required();
  report->callback([&line] { line.command = Command::kReport; });
}

/// What stands for an option's value in help, and the heading that it stands under. Completion goes
/// by the value: FILE, DIR and PATH are completed from the disk. An argument has its name without
/// dashes.
struct Look {
  std::string value, group;
};

const Look& look_of(const std::string& path, const std::string& option) {
  static const std::map<std::string, Look> looks = {
      {"--adapter-model", {"NAME", "Output"}},
      {"--adapter-template", {"FILE", "Output"}},
      {"--adapters", {"DIR", "Output"}},
      {"--algorithm", {"NAME", "Planning"}},
      {"--algorithms", {"NAME", "Search"}},
      {"--alpha", {"NUMBER", "Partition"}},
      {"--always", {"UNIT", "Cost"}},
      {"--archive", {"FILE", "Output"}},
      {"--batch-size", {"N", "Cost"}},
      {"--budget", {"AMOUNT", "Input"}},
      {"--cache", {"DIR", "Input"}},
      {"--choose", {"RULE", "Planning"}},
      {"--client", {"NAME", "Input"}},
      {"--clients", {"N", "Partition"}},
      {"--config", {"FILE", "Input"}},
      {"--config-only", {"", "Model"}},
      {"--cost", {"FILE", "Cost"}},
      {"--costs", {"FILE", "Input"}},
      {"--data", {"DIR", "Input"}},
      {"--device", {"NAME", "Computing"}},
      {"--dry-run", {"", "Computing"}},
      {"--evaluations", {"N", "Search"}},
      {"--freeze", {"PATTERN", "Model"}},
      {"--front", {"FILE", "Output"}},
      {"--full-front", {"SECONDS", "Planning"}},
      {"--help", {"", "General"}},
      {"--images", {"N", "Data"}},
      {"--instance-seeds", {"N", "Input"}},
      {"--instances", {"PATH", "Input"}},
      {"--islands", {"N", "Search"}},
      {"--json", {"", "General"}},
      {"--labels", {"", "Input"}},
      {"--logits", {"", "Output"}},
      {"--language", {"NAME", "Input"}},
      {"--memory", {"BYTES", "Computing"}},
      {"--metric", {"NAME", "Scoring"}},
      {"--model", {"DIR", "Input"}},
      {"--no-gap", {"", "Planning"}},
      {"--no-normalise", {"", "Input"}},
      {"--normalise", {"", "Input"}},
      {"--of", {"KIND", "Input"}},
      {"--out", {"DIR", "Output"}},
      {"--output", {"ANSWER", "Scoring"}},
      {"--parallel", {"N", "Computing"}},
      {"--partition", {"NAME", "Partition"}},
      {"--peft", {"NAME:KEY=VALUE,…", "Model"}},
      {"--population", {"N", "Search"}},
      {"--predictions", {"FILE", "Output"}},
      {"--private-clip", {"NORM", "Privacy"}},
      {"--private-delta", {"NUMBER", "Privacy"}},
      {"--private-epsilon", {"NUMBER", "Privacy"}},
      {"--private-seed", {"N", "Privacy"}},
      {"--problem", {"FILE", "Input"}},
      {"--public-fraction", {"FRACTION", "Partition"}},
      {"--questions-only", {"", "Input"}},
      {"--quiet", {"", "General"}},
      {"--random-outputs", {"N", "Scoring"}},
      {"--release", {"N", "Privacy"}},
      {"--releases", {"N", "Privacy"}},
      {"--resume", {"", "Running"}},
      {"--samples", {"N", "Scoring"}},
      {"--scheme", {"SCHEME", "Model"}},
      {"--scores", {"PATH", "Input"}},
      {"--seconds", {"SECONDS", "Search"}},
      {"--seed", {"N", "Data"}},
      {"--seeds", {"N", "Search"}},
      {"--set", {"KEY=VALUE", "Input"}},
      {"--shapes", {"N", "Data"}},
      {"--size", {"PIXELS", "Data"}},
      {"--split", {"NAME", "Input"}},
      {"--start", {"NAME", "Search"}},
      {"--starts", {"NAME", "Search"}},
      {"--sweep", {"", "Planning"}},
      {"--table", {"FILE", "Output"}},
      {"--text-tokens", {"N", "Cost"}},
      {"--threads", {"N", "Computing"}},
      {"--top", {"N", "Scoring"}},
      {"--task", {"NAME", "Input"}},
      {"--unit", {"UNIT", "Input"}},
      {"--unseen-answers", {"NAME", "Input"}},
      {"--version", {"", "General"}},
      {"--warm", {"FILE", "Search"}},
      {"--write-instances", {"DIR", "Output"}},
      {"command", {"COMMAND", "Input"}},
      {"config", {"FILE", "Input"}},
      {"folder", {"DIR", "Input"}},
      {"model", {"DIR", "Input"}},
      {"set", {"NAME", "Data"}},
      {"shell", {"SHELL", "Input"}},
      {"strata completion --out", {"FILE", "Output"}},
      {"strata data check --seed", {"N", "Partition"}},
      {"strata plan --metric", {"NAME", "Input"}},
      {"strata plan --out", {"FILE", "Output"}},
      {"strata plan --seed", {"N", "Search"}},
      {"strata score --out", {"FILE", "Output"}},
      {"strata score --seed", {"N", "Scoring"}},
  };
  static const Look unknown{"TEXT", "Options"};
  for (const std::string& key : {path + " " + option, option}) {
    const auto found = looks.find(key);
    if (found != looks.end()) return found->second;
  }
  return unknown;
}

std::vector<HelpExample> examples_of(const std::string& path) {
  static const std::map<std::string, std::vector<HelpExample>> examples = {
      {"strata",
       {{"Two units for every client, from a table of scores",
         "strata plan --scores scores.csv --budget 2 --out plan.json"},
        {"The same help, and that of a subcommand", "strata help plan"}}},
      {"strata data",
       {{"Draw the synthetic data set", "strata data make phantoms --out phantoms"},
        {"Read all of a data set", "strata data check phantoms"}}},
      {"strata data make",
       {{"Images of 32 pixels a side", "strata data make phantoms --out phantoms --size 32"}}},
      {"strata data check",
       {{"One client for each modality", "strata data check phantoms"},
        {"Eight clients with uneven answers",
         "strata data check phantoms --partition dirichlet --clients 8 --alpha 0.3"}}},
      {"strata inspect",
       {{"The units of a model", "strata inspect models/vilt"},
        {"What its adapters would cost",
         "strata inspect models/vilt --peft adapters:reduction=16 --scheme adapter"},
        {"What the clients of a plan spend",
         "strata inspect models/vilt --cost plan.json --always head"}}},
      {"strata evaluate",
       {{"How often a model answers a data set's test questions correctly",
         "strata evaluate models/demo --data phantoms"},
        {"What it answers to each of them",
         "strata evaluate models/demo --data phantoms --predictions answers.jsonl"}}},
      {"strata pretrain",
       {{"The foundation of the demo's run",
         "strata pretrain configs/demo.yaml --out models/demo"}}},
      {"strata score",
       {{"Score with the layerwise neural tangent kernel",
         "strata score --model models/demo --data phantoms --out scores.json"},
        {"Compare two importance measures",
         "strata score --model models/demo --data phantoms --metric lntk --metric fisher --table "
         "metrics.csv"}}},
      {"strata plan",
       {{"Two units for every client, from a table of scores",
         "strata plan --scores scores.csv --budget 2 --out plan.json"},
        {"The whole front, and one adapter_config.json for each client",
         "strata plan --problem problem.yaml --front front.csv --adapters adapters"}}},
      {"strata compare",
       {{"Two metaheuristics on problems of 9 clients and 24 units",
         "strata compare --instances 9x24 --algorithms nsga2,mopso --out comparison"}}},
      {"strata run",
       {{"Run an experiment", "strata run configs/demo.yaml --out runs/mine"},
        {"Continue it after an interruption",
         "strata run configs/demo.yaml --out runs/mine --resume"}}},
      {"strata report", {{"A page about one run", "strata report runs/mine"}}},
      {"strata help", {{"How to plan", "strata help plan"}}},
      {"strata completion",
       {{"Complete in this bash; the installed package does it in all",
         "strata completion bash > strata.bash"}}},
      {"strata man",
       {{"The page of plan", "strata man plan"},
        {"Every page, for man's folder of your own", "strata man --out ~/.local/share/man/man1"}}}};
  const auto found = examples.find(path);
  return found == examples.end() ? std::vector<HelpExample>() : found->second;
}

/// The choices of one_of() and choice_rule(), which are the only validators with a description.
std::vector<std::string> choices_of(const CLI::Option& option) {
  std::vector<std::string> choices;
  const std::string text = option.get_type_name();
  std::size_t at = text.find(':');
  while (at != std::string::npos) {
    const std::size_t end = text.find('|', at + 1);
    choices.push_back(
        text.substr(at + 1, end == std::string::npos ? std::string::npos : end - at - 1));
    at = end;
  }
  return choices;
}

HelpOption describe(const CLI::Option& option, const std::string& path) {
  HelpOption help;
  const bool positional = option.get_positional();
  if (!positional) help.name = "--" + option.get_lnames().front();
  if (!option.get_snames().empty()) help.short_name = "-" + option.get_snames().front();
  const Look& look = look_of(path, positional ? option.get_name() : help.name);
  help.group = look.group;
  help.help = option.get_description();
  help.required = option.get_required();
  if (option.get_items_expected_max() == 0) return help;  // a flag
  help.value = look.value;
  help.choices = choices_of(option);
  help.initial = option.get_default_str();
  if (!help.initial.empty() && help.initial.front() == '[')
    help.initial = help.initial.substr(1, help.initial.size() - 2);
  help.list = option.get_delimiter() != '\0';
  help.repeatable = option.get_expected_max() > 1;
  help.optional_value = option.get_items_expected_min() == 0;
  return help;
}

HelpCommand describe(const CLI::App& app, const std::string& path) {
  HelpCommand help;
  help.path = path;
  help.summary = app.get_description();
  help.examples = examples_of(path);
  for (const CLI::Option* option : app.get_options())
    help.options.push_back(describe(*option, path));
  for (const CLI::App* child : app.get_subcommands({}))
    help.children.push_back(describe(*child, path + " " + child->get_name()));
  return help;
}

std::vector<std::string> names_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

std::vector<std::string> subcommands_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* child : app.get_subcommands({})) names.push_back(child->get_name());
  return names;
}

InputError unexpected(const std::string& argument, const CLI::App& app, const std::string& path) {
  return InputError(path + ": unexpected \"" + argument + "\"" +
                    did_you_mean(argument, names_of(app)) + "; `" + path +
                    " --help` lists what is allowed");
}

/// An empty argument is nearly always a shell variable that is not set; as the name of a file it
/// would mean that none is written. One that is not UTF-8 could not be written into the JSON files
/// that name it.
void check_arguments(int argc, char** argv, const std::string& path) {
  for (int i = 1; i < argc; ++i) {
    const std::string after = path + ": the argument after \"" + argv[i - 1] + "\" is ";
    if (argv[i][0] == '\0') throw InputError(after + "empty");
    if (!is_utf8(argv[i])) throw InputError(after + "not valid UTF-8");
  }
}

/// "strata data make", as far as argv gets down the subcommands; an unknown one, or an unknown
/// option in its place, is named here, because CLI11 would only say that one is missing.
const CLI::App* descend(const CLI::App& root, int argc, char** argv, std::string& path) {
  const CLI::App* app = &root;
  path = "strata";
  for (int i = 1; i < argc; ++i) {
    const auto names = subcommands_of(*app);
    if (names.empty()) break;
    if (argv[i][0] == '-') {
      const auto options = names_of(*app);
      if (std::string(argv[i]) != "-h" &&
          std::find(options.begin(), options.end(), argv[i]) == options.end())
        throw unexpected(argv[i], *app, path);
      break;
    }
    if (std::find(names.begin(), names.end(), argv[i]) == names.end())
      throw InputError(path + ": unknown subcommand \"" + argv[i] + "\"" +
                       did_you_mean(argv[i], names) + "; there are " +
                       quoted_list(names, names.size()));
    app = app->get_subcommand(argv[i]);
    path += std::string(" ") + argv[i];
  }
  return app;
}

/// The subcommand that the words after `strata help` or `strata man` name.
const HelpCommand& find_command(const HelpCommand& root, const std::vector<std::string>& words,
                                const std::string& asked) {
  const HelpCommand* command = &root;
  for (const std::string& word : words) {
    std::vector<std::string> names;
    for (const HelpCommand& child : command->children) names.push_back(child.name());
    const auto found = std::find(names.begin(), names.end(), word);
    if (found == names.end())
      throw InputError(asked + ": " +
                       (names.empty() ? "\"" + command->path + "\" has no subcommands, found \""
                                      : "unknown subcommand \"") +
                       word + "\"" + did_you_mean(word, names) +
                       (names.empty() ? "" : "; there are " + quoted_list(names, names.size())));
    command = &command->children[static_cast<std::size_t>(found - names.begin())];
  }
  return *command;
}

void write_pages(const HelpCommand& command, const std::string& folder) {
  write_file(std::filesystem::path(folder) / (man_name(command) + ".1"),
             man_page(command, build_version()), false);
  for (const HelpCommand& child : command.children) write_pages(child, folder);
}

/// Runs help, completion or man. @returns whether it was one of them.
bool print_pages(const CLI::App& app, const PageArguments& pages) {
  if (app.got_subcommand("help")) {
    std::cout << help_text(find_command(describe(app, "strata"), pages.help, "strata help"),
                           help_width());
  } else if (app.got_subcommand("completion")) {
    const std::string script = completion_script(describe(app, "strata"), pages.shell);
    if (pages.script.empty())
      std::cout << script;
    else
      write_file(pages.script, script, false);
  } else if (app.got_subcommand("man") && !pages.out.empty()) {
    write_pages(describe(app, "strata"), pages.out);
  } else if (app.got_subcommand("man")) {
    std::cout << man_page(find_command(describe(app, "strata"), pages.man, "strata man"),
                          build_version());
  } else {
    return false;
  }
  std::cout << std::flush;
  return true;
}

/// The whole table, with --version and the subcommands about the program itself.
struct Table {
  CLI::App app{
      "Strata decides which layers each federated client fine-tunes, and runs the fine-tuning",
      "strata"};
  bool version = false;
  PageArguments pages;
  explicit Table(CommandLine& line) {
    app.add_flag("--version", version, "Print the build, the BLAS, LibTorch and its devices");
    build(app, line);
    build_pages(app, pages);
  }
};

}  // namespace

HelpCommand command_help() {
  CommandLine unused;
  return describe(Table(unused).app, "strata");
}

bool needs_torch(Command command) {
  return command == Command::kInspect || command == Command::kEvaluate ||
         command == Command::kPretrain || command == Command::kScore || command == Command::kRun;
}

CommandLine parse_command_line(int argc, char** argv, bool& done) {
  CommandLine line;
  Table table(line);
  CLI::App& app = table.app;
  done = false;
  if (argc == 2 && std::string(argv[1]) == "--version") {
    line.command = Command::kVersion;
    return line;
  }
  std::string path;
  const CLI::App* current = descend(app, argc, argv, path);
  check_arguments(argc, argv, path);
  const auto print_help = [&] {
    std::cout << help_text(describe(*current, path), help_width()) << std::flush;
    done = true;
  };
  // Alone, `strata` and `strata data` are questions, as with git, gh and cargo.
  const bool alone = argc == 1 + std::count(path.begin(), path.end(), ' ');
  if (alone && !subcommands_of(*current).empty()) {
    print_help();
    return line;
  }
  try {
    app.parse(argc, argv);
    done = print_pages(app, table.pages);
  } catch (const CLI::CallForHelp&) {
    print_help();
  } catch (const CLI::ExtrasError&) {
    const auto extras = app.remaining(true);
    throw unexpected(extras.front(), *current, path);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    std::replace(message.begin(), message.end(), '\n', ' ');
    throw InputError(path + ": " + message + "; `" + path + " --help` lists what is allowed");
  }
  return line;
}

}  // namespace strata::cli
