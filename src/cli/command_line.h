#pragma once
/// \file
/// The option table: every subcommand's options with their types, ranges and help, once. It parses,
/// validates, and describes itself for --help, manual pages and completion; both programs use it.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/help.h"
#include "strata/core/plan_options.h"
#include "strata/optimizers/compare.h"

namespace strata::cli {

struct CommonArguments {
  bool quiet = false;
  bool json = false;
};

struct DataMakeArguments {
  std::string set = "phantoms";
  std::string out;
  std::uint64_t seed = 1;
  int images = 160;
  int shapes = 1200;
  int classes = 64;
  std::string layout = "kits";
  int volumes = 40;
  int size = 64;
};

struct DataCheckArguments {
  std::string folder;
  std::string language = "en";
  bool questions_only = false;
  bool labels = false;
  std::string partition = "modality";
  int clients = 0;
  double alpha = 0.3;
  double public_fraction = 0;
  double fraction = 1;
  std::uint64_t seed = 1;
};

struct InspectArguments {
  std::string model;
  std::string scheme = "block";
  int text_tokens = 0;  ///< 0: the model's max_position_embeddings
  bool config_only = false;
  std::vector<std::string> peft;  ///< see peft::parse_method; counted beside the model's own
  bool cost = false;
  std::string plan;                 ///< with cost: also what each client spends; empty: none
  std::vector<std::string> always;  ///< units that every client trains beside its plan
  int batch_size = 32;
  std::string buffers = "average";  ///< see models::Buffers
};

struct PretrainArguments {
  std::string config;
  std::string out;
  std::string device = "cpu";
  int threads = 0;
  int parallel = 0;
  std::vector<std::string> set;
};

/// A data set and how it is read.
struct DataOptions {
  std::string folder;
  std::string language = "en";           ///< SLAKE's questions
  std::string task = "auto";             ///< see tasks/tasks.h
  std::string unseen_answers = "error";  ///< or drop, leave such examples out
  std::string cache;                     ///< of decoded images; empty: none
  std::string prompt;                    ///< of a model that speaks; empty: its own
};

struct EvaluateArguments {
  std::string model;
  DataOptions data;
  std::string answering = "generate";  ///< or rank; of a model that speaks, as the next four
  int beams = 1;
  int most_tokens = 32;
  std::string answer_list;  ///< a file; empty: the training examples' answers
  int candidates = 128;
  std::string split = "test";
  std::string predictions;  ///< JSON lines; empty: none
  bool logits = false;      ///< in them
  std::string masks;        ///< the folder for those of volumes; empty: none
  std::string device = "cpu";
  int threads = 0;
};

struct ScoreArguments {
  std::string model;
  DataOptions data;
  std::string
      config;  ///< optional experiment file: its data partition instead of the manifest's clients
  std::string out;
  std::vector<std::string> clients;             ///< empty: all
  std::vector<std::string> units;               ///< empty: all
  std::vector<std::string> metrics = {"auto"};  ///< the model's default
  std::string table;                            ///< CSV of all metrics; needed for more than one
  std::string scheme = "block";
  std::vector<std::string> peft;     ///< see peft::parse_method; with fresh weights
  std::vector<std::string> freeze;   ///< shell patterns of weights that are not trained
  std::vector<std::string> outputs;  ///< answers to differentiate; empty: all
  int random_outputs = 0;  ///< or so many of them, drawn from the seed; 0: all; of a model
                           ///< that segments: random sums of its logits; 0: means
  std::vector<std::string> answers;  ///< of a model that speaks; empty: the most frequent
  int top_answers = 8;               ///< of these
  int top = 1;
  int samples = 32;
  std::uint64_t seed = 1;
  std::uint64_t memory = std::uint64_t{4} << 30;  ///< bytes
  std::string spill;
  bool dry_run = false;
  double private_epsilon = 0;  ///< 0: scores as they are
  double private_delta = 1e-5;
  double private_clip = 0;  ///< 0: the least that a row can have
  int releases = 1;
  int release = 1;
  std::optional<std::uint64_t> private_seed;  ///< by default from the system's random device
  std::string device = "cpu";
  int threads = 0;
};

struct PlanArguments {
  std::string problem;
  std::string scores;
  std::string metric;  ///< of scores that hold several
  std::string budget;
  std::string of;                   ///< what the budget counts; empty: as it says itself
  std::optional<int> ranks;         ///< not set: as the problem file says, or 1
  std::optional<int> least_cohort;  ///< not set: as the problem file says, or 1
  std::string costs;
  std::vector<std::string> units;  ///< patterns; empty: as the scores' roles say
  PlanOptions options;             ///< but for `choose` and the warm start, which are read
  std::string choose;              ///< empty: as the problem file says, or the default
  std::string warm;                ///< plan.json or an archive file
  std::optional<bool> normalise;   ///< not set: as the scores' roles say
  std::string out;
  std::string front;
  std::string archive;
  std::vector<std::string> exports;  ///< as parse_export reads them
  std::string export_template;
  std::string export_model;
};

struct WorkArguments {
  std::string order;
  std::string out;
  std::string data, model;  ///< empty: the site file's, or those of the experiment
  std::string site;         ///< empty: everything is allowed
  std::string device = "cpu";
  int threads = 0;
  std::string spill;
};

struct RunArguments {
  std::string config;
  std::string out;
  std::string courier;  ///< empty: threads, or MPI where a launcher started the program
  bool resume = false;
  int parallel = 0;
  std::string device = "cpu";
  int threads = 0;
  std::string spill;
  std::vector<std::string> set;
};

struct MergeArguments {
  std::string model;
  std::string out;
};

struct ExportArguments {
  std::string model;
  std::string base;
  std::string out;
};

struct CompareArguments {
  std::vector<std::string> instances;  ///< sizes such as 9x24, folders, CSV files of scores
  std::string budget;                  ///< of files without budgets beside them
  optimizers::ComparisonOptions options;
  int instance_seeds = 3;
  bool resume = false;
  std::string write_instances;
  std::string out;
};

struct ReportArguments {
  std::string folder;
};

enum class Command {
  kNone,
  kDataMake,
  kDataCheck,
  kInspect,
  kEvaluate,
  kPretrain,
  kMerge,
  kExport,
  kScore,
  kPlan,
  kCompare,
  kRun,
  kWork,
  kBenchmark,
  kReport,
  kVersion
};

struct CommandLine {
  Command command = Command::kNone;
  CommonArguments common;
  DataMakeArguments data_make;
  DataCheckArguments data_check;
  InspectArguments inspect;
  EvaluateArguments evaluate;
  PretrainArguments pretrain;
  MergeArguments merge;
  ExportArguments export_changes;
  ScoreArguments score;
  PlanArguments plan;
  CompareArguments compare;
  RunArguments run;
  WorkArguments work;
  RunArguments benchmark;  ///< but for `spill` and `courier`
  ReportArguments report;
};

/// inspect, score, run, work, benchmark, pretrain, merge, export, evaluate and the second half of
/// --version.
bool needs_torch(Command command);

/// What help says of the program and, below it, of every subcommand.
HelpCommand command_help();

/// Parses argv. Prints help, completion and manual pages itself and then sets `done`; @throws
/// InputError for wrong usage, one line with the option, what was found and the nearest option.
CommandLine parse_command_line(int argc, char** argv, bool& done);

// One function a subcommand, each in its own file; they return an ExitCode.
int run_data_make(const DataMakeArguments& arguments, const CommonArguments& common);
int run_data_check(const DataCheckArguments& arguments, const CommonArguments& common);
int run_inspect(const InspectArguments& arguments, const CommonArguments& common);
int run_evaluate(const EvaluateArguments& arguments, const CommonArguments& common);
int run_merge(const MergeArguments& arguments, const CommonArguments& common);
int run_export(const ExportArguments& arguments, const CommonArguments& common);
int run_plan(const PlanArguments& arguments, const CommonArguments& common);
int run_compare(const CompareArguments& arguments, const CommonArguments& common);
int run_report(const ReportArguments& arguments, const CommonArguments& common);
int run_pretrain(const PretrainArguments& arguments,
                 const CommonArguments& common);                                // strata-torch
int run_score(const ScoreArguments& arguments, const CommonArguments& common);  // strata-torch
int run_run(const RunArguments& arguments, const CommonArguments& common);      // strata-torch
int run_work(const WorkArguments& arguments, const CommonArguments& common);    // strata-torch
int run_benchmark(const RunArguments& arguments,
                  const CommonArguments& common);  // strata-torch

}  // namespace strata::cli
