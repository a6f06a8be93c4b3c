#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <limits>

#include "cli/command_looks.h"
#include "cli/help.h"
#include "cli/options.h"
#include "core/build_info.h"
#include "core/csv.h"
#include "core/resources.h"
#include "core/text.h"
#include "data/manifest.h"
#include "data/phantoms/volumes.h"
#include "strata/core/atomic_file.h"
#include "strata/core/error.h"
#include "strata/ntk/metric_names.h"
#include "strata/optimizers/algorithms.h"
#include "strata/optimizers/search.h"

namespace strata::cli {
namespace {

constexpr int kMany = std::numeric_limits<int>::max();

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

void build_data_make(CLI::App& data, CommandLine& line) {
  CLI::App* make = subcommand(&data, "make", "Write the built-in synthetic data set", line.common);
  make->add_option("set", line.data_make.set, "Which set")
      ->required()
      ->check(one_of({"phantoms", "fractals", "volumes"}));
  make->add_option("--out", line.data_make.out, "Folder to write")->required();
  add_seed(make, line.data_make.seed);
  ranged(make, "--images", line.data_make.images,
         "Images per modality, 80 % for training, or per class of fractals, 90 %", 5, 9999);
  ranged(make, "--shapes", line.data_make.shapes, "Images of the non-medical set to pretrain on", 5,
         1000000);
  ranged(make, "--classes", line.data_make.classes, "Classes of fractals", 2, 10000);
  make->add_option("--layout", line.data_make.layout,
                   "Volumes as Fed-KiTS19, IXI Tiny or SAML's prostate sites have them")
      ->check(one_of(data::volume_layouts()))
      ->capture_default_str();
  ranged(make, "--volumes", line.data_make.volumes,
         "Volumes of all sites together, and as many solids to pretrain on", 12, 60);
  ranged(make, "--size", line.data_make.size, "Pixels a side", 32, 256);
  make->callback([&line] { line.command = Command::kDataMake; });
}

void build_data_check(CLI::App& data, CommandLine& line) {
  CLI::App* check = subcommand(
      &data, "check", "Read every line and image of a data set; print its clients", line.common);
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
}

void build_data(CLI::App& app, CommandLine& line) {
  CLI::App* data = app.add_subcommand("data", "Make or check a data set");
  data->require_subcommand(1);
  build_data_make(*data, line);
  build_data_check(*data, line);
}

void build_inspect(CLI::App& app, CommandLine& line) {
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
  inspect
      ->add_option("--buffers", line.inspect.buffers,
                   "Running statistics of trained BatchNorms, as units.buffers of a run: average, "
                   "frozen or local")
      ->capture_default_str();
  inspect->callback([&line, cost] {
    line.command = Command::kInspect;
    line.inspect.cost = cost->count() > 0;
  });
}

void build_pretrain(CLI::App& app, CommandLine& line) {
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
}

/// How a model that speaks answers.
void add_answering(CLI::App* evaluate, EvaluateArguments& arguments) {
  evaluate
      ->add_option("--answering", arguments.answering,
                   "Of a model that speaks: what it says (generate), or the likeliest answer of a "
                   "list (rank)")
      ->check(one_of({"generate", "rank"}))
      ->capture_default_str();
  ranged(evaluate, "--beams", arguments.beams,
         "generate: beams; 1 takes the likeliest token each time", 1, 1024);
  ranged(evaluate, "--most-tokens", arguments.most_tokens, "generate: tokens of an answer", 1,
         kMany);
  evaluate->add_option("--answer-list", arguments.answer_list,
                       "rank: a file with an answer on each line, or FILE.json with a list of "
                       "texts; by default the training examples' first answers");
  ranged(evaluate, "--candidates", arguments.candidates,
         "rank: so many of the list, those with the likeliest first tokens, are compared as wholes",
         1, kMany);
}

void build_merge(CLI::App& app, CommandLine& line) {
  CLI::App* merge = subcommand(
      &app, "merge", "Compute LoRA and other methods' weights into a model's own", line.common);
  merge->add_option("model", line.merge.model, "Model folder")->required();
  merge->add_option("--out", line.merge.out, "Model folder to write")->required();
  merge->callback([&line] { line.command = Command::kMerge; });
}

void build_export(CLI::App& app, CommandLine& line) {
  CLI::App* command = subcommand(
      &app, "export", "Write what fine-tuning has changed, without the base", line.common);
  ExportArguments& arguments = line.export_changes;
  command->add_option("model", arguments.model, "Model folder, such as that of a run")->required();
  command->add_option("--base", arguments.base, "Model folder that the fine-tuning began with");
  command
      ->add_option(
          "--out", arguments.out,
          "Folder to write; or FILE.pth, without a base: a whole SAM as FLAP-SAM's program "
          "loads it")
      ->required();
  command->callback([&line] { line.command = Command::kExport; });
}

void build_evaluate(CLI::App& app, CommandLine& line) {
  CLI::App* evaluate =
      subcommand(&app, "evaluate", "Measure how well a model does on a data set", line.common);
  evaluate->add_option("model", line.evaluate.model, "Model folder")->required();
  add_data(evaluate, line.evaluate.data)->required();
  evaluate->add_option("--split", line.evaluate.split, "The examples to evaluate on")
      ->check(one_of({data::kTrainSplit, data::kTestSplit}))
      ->capture_default_str();
  add_answering(evaluate, line.evaluate);
  auto* predictions = evaluate->add_option("--predictions", line.evaluate.predictions,
                                           "Write a JSON line for every example");
  evaluate->add_flag("--logits", line.evaluate.logits, "With every label's logit in the JSON lines")
      ->needs(predictions);
  evaluate->add_option("--masks", line.evaluate.masks,
                       "Of volumes: the predicted masks as NIfTI, each on its volume's grid and "
                       "under its name in this folder.");
  add_device(evaluate, line.evaluate.device, line.evaluate.threads);
  evaluate->callback([&line] { line.command = Command::kEvaluate; });
}

/// What is scored, by which metrics, and where the scores go.
void add_scored(CLI::App* score, ScoreArguments& arguments) {
  std::vector<std::string> metrics = {"auto"};
  metrics.insert(metrics.end(), ntk::metric_names().begin(), ntk::metric_names().end());
  score->add_option("--model", arguments.model, "Model folder")->required();
  auto* score_data = add_data(score, arguments.data);
  score
      ->add_option("--config", arguments.config,
                   "Experiment file: its data section instead of --data and its options")
      ->excludes(score_data);
  score->add_option("--out", arguments.out, "scores.json or scores.csv, of the first metric");
  score->add_option("--client", arguments.clients, "Only this client (repeatable); all by default")
      ->allow_extra_args(false);
  score
      ->add_option("--unit", arguments.units,
                   "Only these units: a name, or a pattern such as 'block.*' (repeatable); all by "
                   "default")
      ->allow_extra_args(false);
  score
      ->add_option(
          "--metric", arguments.metrics,
          "Importance measure (repeatable; several need --table); auto is lntk, of a model "
          "that answers in words gradient")
      ->allow_extra_args(false)
      ->check(one_of(metrics))
      ->capture_default_str();
  score->add_option("--table", arguments.table,
                    "CSV of metric × client × unit; the metrics' rank agreement is printed");
}

/// Which weights and outputs a score is of, and what it may cost.
void add_scoring(CLI::App* score, ScoreArguments& arguments) {
  add_scheme(score, arguments.scheme);
  add_peft(score, arguments.peft, "Add a PEFT method with fresh weights");
  score
      ->add_option("--freeze", arguments.freeze,
                   "Weights that are not trained: name or shell pattern (repeatable)")
      ->allow_extra_args(false);
  auto* output = score
                     ->add_option("--output", arguments.outputs,
                                  "lntk, trace: only this answer's logit (repeatable)")
                     ->allow_extra_args(false);
  ranged(score, "--random-outputs", arguments.random_outputs,
         "lntk, trace: only so many answers, drawn from the seed; 0 is all. Of a model that "
         "segments: so many sums of all logits with random signs, in place of a mean of each class",
         0, kMany)
      ->excludes(output);
  score
      ->add_option("--answers", arguments.answers,
                   "lntk, trace of a model that answers in words: the answers whose "
                   "log-likelihoods are differentiated, e.g. yes,no; by default the client's most "
                   "frequent ones")
      ->delimiter(',')
      ->allow_extra_args(false);
  ranged(score, "--top-answers", arguments.top_answers, "How many of these", 1, kMany);
  ranged(score, "--top", arguments.top, "Eigenvalues to find of each unit (--json prints them)", 1,
         1000);
  ranged(score, "--samples", arguments.samples, "Training samples of a client to score on", 1,
         kMany);
  score
      ->add_option("--memory", arguments.memory,
                   "Memory beyond model, samples and one block's activations, e.g. 4GiB")
      ->transform(amount_of("bytes"))
      ->default_str("4GiB");
  score->add_flag("--dry-run", arguments.dry_run,
                  "Print the estimated time and memory of each client, and end");
}

/// The noise on published scores.
void add_privacy(CLI::App* score, ScoreArguments& arguments) {
  ranged(score, "--private-epsilon", arguments.private_epsilon,
         "Clip and noise the scores for this ε over all releases; 0 is off", 0.0, 1e6);
  ranged(score, "--private-delta", arguments.private_delta, "Its δ", 1e-300, 0.999999);
  ranged(score, "--private-clip", arguments.private_clip, "L2 norm to clip a row to; 0 is 1/√units",
         0.0, 1e6);
  ranged(score, "--releases", arguments.releases, "Noised rows a client publishes in all", 1,
         kMany);
  ranged(score, "--release", arguments.release, "Which of them this is", 1, kMany);
  score
      ->add_option("--private-seed", arguments.private_seed,
                   "Seed of the noise, to repeat an experiment; who knows it can undo the noise")
      ->check(seed_value());
}

void build_score(CLI::App& app, CommandLine& line) {
  CLI::App* score =
      subcommand(&app, "score", "Score every unit of a model for every client", line.common);
  add_scored(score, line.score);
  add_scoring(score, line.score);
  add_privacy(score, line.score);
  add_seed(score, line.score.seed);
  add_device(score, line.score.device, line.score.threads);
  score->get_option("--device")
      ->description(
          "cpu, cuda or cuda:N; scores are computed in float32 on any, whatever type the "
          "files have");
  add_spill(score, line.score.spill);
  score->callback([&line] { line.command = Command::kScore; });
}

/// Scores, budgets and costs.
void add_plan_input(CLI::App* plan, PlanArguments& arguments) {
  plan->add_option(
      "--problem", arguments.problem,
      "problem.yaml: scores, budgets of units or resources, costs, pinned and forbidden "
      "units, coverage, objectives");
  plan->add_option("--scores", arguments.scores,
                   "scores.json, or a table (CSV, TSV): client,<unit>,… or the columns client, "
                   "unit, value; or a "
                   "folder of clients' files, or - for standard input; required without --problem");
  plan->add_option("--metric", arguments.metric, "Which metric of scores that hold several");
  plan->add_option(
      "--budget", arguments.budget,
      "What a client may train: units (4) or, with --costs, an amount (400kB, 2GFLOP); "
      "or a table client,budget; required without --problem");
  plan->add_option("--of", arguments.of, "What budgets count, where they do not say it")
      ->check(one_of(budget_kinds()));
  plan->add_option("--ranks", arguments.ranks,
                   "Plan LoRA ranks: a client trains a unit at a rank of 1 to this, and budgets "
                   "count ranks or an amount of what these cost; 1 unless the problem says")
      ->check(whole_number_in(1, kLargestRank));
  plan->add_option("--least-cohort", arguments.least_cohort,
                   "A unit is trained by nobody or by at least so many clients; 1 unless the "
                   "problem says")
      ->check(whole_number_in(1, 1000000));
  plan->add_option(
      "--costs", arguments.costs,
      "What units cost: a table unit,bytes,flops,memory or the JSON of strata inspect");
  plan->add_option("--unit", arguments.units,
                   "Units that compete for the budgets: a name, or a pattern such as 'block.*' "
                   "(repeatable); by default all but a model's embeddings and head, which every "
                   "client trains besides")
      ->allow_extra_args(false);
}

/// How the front is found and the plan taken from it.
void add_plan_search(CLI::App* plan, PlanArguments& arguments) {
  plan->add_option("--algorithm", arguments.options.algorithm, "How the front is found")
      ->check(one_of(optimizers::algorithm_names()))
      ->capture_default_str();
  plan->add_option("--choose", arguments.choose,
                   "Which point of the front becomes the plan; knee unless the problem says")
      ->check(choice_rule());
  plan->add_option("--start", arguments.options.search.start, "What a metaheuristic begins with")
      ->check(one_of(optimizers::search_starts()))
      ->capture_default_str();
  ranged(plan, "--evaluations", arguments.options.search.evaluations,
         "Objective evaluations of a metaheuristic", std::int64_t{1}, std::int64_t{1} << 40);
  ranged(plan, "--seconds", arguments.options.search.seconds,
         "Time limit of a metaheuristic; 0: none. The plan then depends on the machine", 0.0, 1e6);
  ranged(plan, "--population", arguments.options.search.population,
         "Population of a metaheuristic, a multiple of 4", 8, 1000000);
  ranged(plan, "--islands", arguments.options.search.islands,
         "Islands: populations side by side, which share the evaluations", 1, 1024);
  plan->add_option("--warm", arguments.warm,
                   "plan.json or --archive file of an earlier plan that a metaheuristic begins "
                   "with, too; clients and units are matched by name");
  add_seed(plan, arguments.options.search.seed);
}

void add_plan_normalise(CLI::App* plan, PlanArguments& arguments) {
  auto* normalise = plan->add_flag_callback(
      "--normalise", [&arguments] { arguments.normalise = true; },
      "Divide each client's scores by their sum; the default for the JSON of strata score");
  plan->add_flag_callback(
          "--no-normalise", [&arguments] { arguments.normalise = false; },
          "Take the scores as they are")
      ->excludes(normalise);
}

/// The distance from the exact front, and its unsupported points.
void add_plan_front(CLI::App* plan, PlanArguments& arguments) {
  plan->add_flag_callback(
      "--no-gap", [&arguments] { arguments.options.gap = false; },
      "Do not certify the distance from optimal");
  const std::string with_unsupported =
      "With the algorithm " +
      joined(optimizers::algorithms_with(&optimizers::AlgorithmUses::unsupported), " or ");
  plan->add_flag("--sweep", arguments.options.sweep,
                 with_unsupported +
                     ": plan over the unsupported points met on the way, too, "
                     "nearly all there are");
  ranged(plan, "--full-front", arguments.options.full_front_seconds,
         with_unsupported + ": enumerate unsupported points, too, for at most so many seconds", 0.0,
         1e6);
}

void add_plan_output(CLI::App* plan, PlanArguments& arguments) {
  plan->add_option("--out", arguments.out, "plan.json to write");
  plan->add_option("--front", arguments.front,
                   "File of the front to write, with every point's objectives and assignment: CSV, "
                   "or JSON by the name FILE.json");
  plan->add_option("--archive", arguments.archive,
                   "File of the front's assignments to write, at most 1,000, for a later --warm");
  plan->add_option("--export", arguments.exports,
                   "Write the plan for other tools (repeatable): peft:DIR, a "
                   "CLIENT/adapter_config.json for Hugging Face PEFT; unfrozen:DIR, a "
                   "CLIENT/unfrozen_parameters.yaml for axolotl and Spectrum; requires_grad:FILE, "
                   "JSON of the weights that each client trains")
      ->allow_extra_args(false);
  plan->add_option_function<std::string>(
      "--adapters",
      [&arguments](const std::string& folder) { arguments.exports.push_back("peft:" + folder); },
      "The same as --export peft:DIR");
  plan->add_option(
      "--export-model,--adapter-model", arguments.export_model,
      "The model that these are for: its folder, or its model_type, such as vilt, vit, "
      "bert, llama or gpt2; without, names that fit most of them");
  plan->add_option(
      "--export-template,--adapter-template", arguments.export_template,
      "Of peft: adapter_config.json whose other fields these take over; LoRA's defaults without");
}

void build_plan(CLI::App& app, CommandLine& line) {
  CLI::App* plan =
      subcommand(&app, "plan", "Assign units to clients from a score table", line.common);
  add_plan_input(plan, line.plan);
  add_plan_search(plan, line.plan);
  add_plan_normalise(plan, line.plan);
  add_plan_front(plan, line.plan);
  add_plan_output(plan, line.plan);
  plan->callback([&line] { line.command = Command::kPlan; });
}

void build_compare(CLI::App& app, CommandLine& line) {
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
}

/// What `run` and `benchmark` share.
void add_running(CLI::App* command, RunArguments& arguments) {
  command->add_option("config", arguments.config, "Experiment file (YAML)")->required();
  command->add_option("--out", arguments.out, "Run folder to write")->required();
  command->add_flag("--resume", arguments.resume, "Continue a run that was interrupted");
  ranged(command, "--parallel", arguments.parallel,
         "Clients at the same time; 0 is as many as the threads leave cores, 1 measures memory", 0,
         1024);
  command->add_option("--set", arguments.set, "Replace a value of the experiment file: key=value")
      ->allow_extra_args(false);
  add_device(command, arguments.device, arguments.threads);
}

void build_run(CLI::App& app, CommandLine& line) {
  CLI::App* run = subcommand(
      &app, "run", "Run federated rounds: score, plan, train, aggregate, evaluate", line.common);
  add_running(run, line.run);
  add_spill(run, line.run.spill);
  run->add_option("--courier", line.run.courier,
                  "How clients are reached: threads, mpi, or pump:FOLDER; threads, or mpi under "
                  "mpirun and srun");
  run->callback([&line] { line.command = Command::kRun; });
}

void build_work(CLI::App& app, CommandLine& line) {
  CLI::App* work =
      subcommand(&app, "work", "Answer one order of a run from a site's own data", line.common);
  work->add_option("order", line.work.order, "Order of a server (docs/messages.md)")->required();
  work->add_option("--out", line.work.out, "Reply to write")->required();
  work->add_option("--data", line.work.data, "Data folder that holds the order's client");
  work->add_option("--model", line.work.model, "Foundation that the run began with");
  work->add_option("--site", line.work.site,
                   "site.yaml: data, foundation, and what the site allows (docs/consortium.md)");
  work->add_option("--device", line.work.device, "cpu, cuda or cuda:N")->capture_default_str();
  ranged(work, "--threads", line.work.threads,
         "LibTorch threads; 0 is as many as the order says, for the same last bits", 0, 1024);
  add_spill(work, line.work.spill);
  work->callback([&line] { line.command = Command::kWork; });
}

void build_benchmark(CLI::App& app, CommandLine& line) {
  CLI::App* benchmark =
      subcommand(&app, "benchmark", "Compare methods over backbones, shares of the data and seeds",
                 line.common);
  add_running(benchmark, line.benchmark);
  benchmark->callback([&line] { line.command = Command::kBenchmark; });
}

void build_report(CLI::App& app, CommandLine& line) {
  CLI::App* report =
      subcommand(&app, "report", "Write one HTML page about a run or an experiment", line.common);
  report->add_option("folder", line.report.folder, "Run folder, or a folder of run folders")
      ->required();
  report->callback([&line] { line.command = Command::kReport; });
}

/// The table. Every option stands here or in options.cpp once, with its type, range and help.
void build(CLI::App& app, CommandLine& line) {
  app.require_subcommand(1);
  build_data(app, line);
  build_inspect(app, line);
  build_pretrain(app, line);
  build_merge(app, line);
  build_export(app, line);
  build_evaluate(app, line);
  build_score(app, line);
  build_plan(app, line);
  build_compare(app, line);
  build_run(app, line);
  build_work(app, line);
  build_benchmark(app, line);
  build_report(app, line);
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
  const Look look = look_of(path, positional ? option.get_name() : help.name);
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
         command == Command::kMerge || command == Command::kExport ||
         command == Command::kPretrain || command == Command::kScore || command == Command::kRun ||
         command == Command::kWork || command == Command::kBenchmark;
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
