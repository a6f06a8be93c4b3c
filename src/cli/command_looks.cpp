#include "cli/command_looks.h"

#include <algorithm>
#include <iterator>

namespace strata::cli {
namespace {

struct LookRow {
  const char* option;  ///< alone, or after the subcommand that it looks so in
  Look look;
};

constexpr LookRow kLooks[] = {
    {"--adapters", {"DIR", "Output"}},
    {"--algorithm", {"NAME", "Planning"}},
    {"--algorithms", {"NAME", "Search"}},
    {"--alpha", {"NUMBER", "Partition"}},
    {"--always", {"UNIT", "Cost"}},
    {"--answer-list", {"FILE", "Answering"}},
    {"--answering", {"METHOD", "Answering"}},
    {"--answers", {"ANSWER,…", "Scoring"}},
    {"--archive", {"FILE", "Output"}},
    {"--base", {"DIR", "Input"}},
    {"--batch-size", {"N", "Cost"}},
    {"--buffers", {"POLICY", "Cost"}},
    {"--beams", {"N", "Answering"}},
    {"--budget", {"AMOUNT", "Input"}},
    {"--cache", {"DIR", "Input"}},
    {"--candidates", {"N", "Answering"}},
    {"--choose", {"RULE", "Planning"}},
    {"--classes", {"N", "Data"}},
    {"--client", {"NAME", "Input"}},
    {"--clients", {"N", "Partition"}},
    {"--config", {"FILE", "Input"}},
    {"--config-only", {"", "Model"}},
    {"--cost", {"FILE", "Cost"}},
    {"--costs", {"FILE", "Input"}},
    {"--courier", {"COURIER", "Running"}},
    {"--data", {"DIR", "Input"}},
    {"--device", {"NAME", "Computing"}},
    {"--dry-run", {"", "Computing"}},
    {"--evaluations", {"N", "Search"}},
    {"--export", {"KIND:PATH", "Output"}},
    {"--export-model", {"NAME", "Output"}},
    {"--export-template", {"FILE", "Output"}},
    {"--fraction", {"FRACTION", "Partition"}},
    {"--freeze", {"PATTERN", "Model"}},
    {"--front", {"FILE", "Output"}},
    {"--full-front", {"SECONDS", "Planning"}},
    {"--help", {"", kGeneralGroup}},
    {"--images", {"N", "Data"}},
    {"--instance-seeds", {"N", "Input"}},
    {"--instances", {"PATH", "Input"}},
    {"--islands", {"N", "Search"}},
    {"--json", {"", kGeneralGroup}},
    {"--labels", {"", "Input"}},
    {"--layout", {"NAME", "Data"}},
    {"--logits", {"", "Output"}},
    {"--language", {"NAME", "Input"}},
    {"--least-cohort", {"N", "Input"}},
    {"--memory", {"BYTES", "Computing"}},
    {"--metric", {"NAME", "Scoring"}},
    {"--masks", {"DIR", "Output"}},
    {"--model", {"DIR", "Input"}},
    {"--most-tokens", {"N", "Answering"}},
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
    {"--quiet", {"", kGeneralGroup}},
    {"--random-outputs", {"N", "Scoring"}},
    {"--ranks", {"N", "Input"}},
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
    {"--site", {"FILE", "Input"}},
    {"--spill", {"DIR", "Computing"}},
    {"--split", {"NAME", "Input"}},
    {"--start", {"NAME", "Search"}},
    {"--starts", {"NAME", "Search"}},
    {"--sweep", {"", "Planning"}},
    {"--table", {"FILE", "Output"}},
    {"--text-tokens", {"N", "Cost"}},
    {"--threads", {"N", "Computing"}},
    {"--top", {"N", "Scoring"}},
    {"--top-answers", {"N", "Scoring"}},
    {"--prompt", {"PROMPT", "Input"}},
    {"--task", {"NAME", "Input"}},
    {"--unit", {"UNIT", "Input"}},
    {"--unseen-answers", {"NAME", "Input"}},
    {"--version", {"", kGeneralGroup}},
    {"--volumes", {"N", "Data"}},
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
    {"order", {"FILE", "Input"}},
    {"strata plan --out", {"FILE", "Output"}},
    {"strata plan --seed", {"N", "Search"}},
    {"strata score --out", {"FILE", "Output"}},
    {"strata work --out", {"FILE", "Output"}},
    {"strata score --seed", {"N", "Scoring"}},
};

struct ExampleRow {
  const char *path, *purpose, *command;
};

constexpr ExampleRow kExamples[] = {
    {"strata", "Two units for every client, from a table of scores",
     "strata plan --scores scores.csv --budget 2 --out plan.json"},
    {"strata", "The same help, and that of a subcommand", "strata help plan"},
    {"strata data", "Draw the synthetic data set", "strata data make phantoms --out phantoms"},
    {"strata data", "Read all of a data set", "strata data check phantoms"},
    {"strata data make", "Images of 32 pixels a side",
     "strata data make phantoms --out phantoms --size 32"},
    {"strata data check", "One client for each modality", "strata data check phantoms"},
    {"strata data check", "Eight clients with uneven answers",
     "strata data check phantoms --partition dirichlet --clients 8 --alpha 0.3"},
    {"strata inspect", "The units of a model", "strata inspect models/vilt"},
    {"strata inspect", "What its adapters would cost",
     "strata inspect models/vilt --peft adapters:reduction=16 --scheme adapter"},
    {"strata inspect", "What the clients of a plan spend",
     "strata inspect models/vilt --cost plan.json --always head"},
    {"strata evaluate", "How often a model answers a data set's test questions correctly",
     "strata evaluate models/demo --data phantoms"},
    {"strata evaluate", "What it answers to each of them",
     "strata evaluate models/demo --data phantoms --predictions answers.jsonl"},
    {"strata merge", "A plain model of one that was trained with LoRA",
     "strata merge run/model --out merged"},
    {"strata export", "What a run has changed, as PEFT's folder where PEFT has such a method",
     "strata export run/model --base foundation --out changes"},
    {"strata pretrain", "The foundation of the demo's run",
     "strata pretrain configs/demo.yaml --out models/demo"},
    {"strata score", "Score with the layerwise neural tangent kernel",
     "strata score --model models/demo --data phantoms --out scores.json"},
    {"strata score", "Compare two importance measures",
     "strata score --model models/demo --data phantoms --metric lntk --metric fisher --table "
     "metrics.csv"},
    {"strata plan", "Two units for every client, from a table of scores",
     "strata plan --scores scores.csv --budget 2 --out plan.json"},
    {"strata plan", "The whole front, and one adapter_config.json for each client",
     "strata plan --problem problem.yaml --front front.csv --export peft:adapters"},
    {"strata plan", "Which weights each client trains, for a training script of your own",
     "strata plan --scores scores.csv --budget 2 --export requires_grad:trained.json "
     "--export-model llama"},
    {"strata compare", "Two metaheuristics on problems of 9 clients and 24 units",
     "strata compare --instances 9x24 --algorithms nsga2,mopso --out comparison"},
    {"strata run", "Run an experiment", "strata run configs/demo.yaml --out runs/mine"},
    {"strata run", "Continue it after an interruption",
     "strata run configs/demo.yaml --out runs/mine --resume"},
    {"strata run", "The same on the ranks of an MPI job",
     "mpirun -np 4 strata run configs/demo.yaml --out runs/mine --threads 2"},
    {"strata work", "Answer an order at a site",
     "strata work 00000.order --site site.yaml --out 00000.reply"},
    {"strata benchmark", "Methods of fine-tuning against each other",
     "strata benchmark configs/peft_benchmark.yaml --out runs/peft"},
    {"strata report", "A page about one run", "strata report runs/mine"},
    {"strata help", "How to plan", "strata help plan"},
    {"strata completion", "Complete in this bash; the installed package does it in all",
     "strata completion bash > strata.bash"},
    {"strata man", "The page of plan", "strata man plan"},
    {"strata man", "Every page, for man's folder of your own",
     "strata man --out ~/.local/share/man/man1"},
};

}  // namespace

Look look_of(const std::string& path, const std::string& option) {
  for (const std::string& key : {path + " " + option, option}) {
    const auto* found = std::find_if(std::begin(kLooks), std::end(kLooks),
                                     [&](const LookRow& row) { return row.option == key; });
    if (found != std::end(kLooks)) return found->look;
  }
  return {"TEXT", "Options"};
}

std::vector<HelpExample> examples_of(const std::string& path) {
  std::vector<HelpExample> examples;
  for (const ExampleRow& row : kExamples)
    if (row.path == path) examples.push_back({row.purpose, row.command});
  return examples;
}

}  // namespace strata::cli
