// Files that are made to take all memory, all time or the terminal, and surroundings that fail: the
// program answers each in one line. All runs have limited memory, so that a limit that is missing
// fails a test and not the machine.
#include <sys/resource.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <cstdlib>

#include "catch.h"
#include "command.h"
#include "wrong_input.h"

using namespace strata;
using test::check_refused;
using test::run_strata;

namespace {

std::string repeated(const std::string& text, int times) {
  std::string out;
  out.reserve(text.size() * static_cast<std::size_t>(times));
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

/// Sets a limit for the programs that are started while it lives.
class Limit {
 public:
  Limit(int resource, rlim_t limit) : resource_(static_cast<__rlimit_resource>(resource)) {
    getrlimit(resource_, &before_);
    const rlimit now{limit, before_.rlim_max};
    setrlimit(resource_, &now);
  }
  ~Limit() { setrlimit(resource_, &before_); }
  Limit(const Limit&) = delete;
  Limit& operator=(const Limit&) = delete;

 private:
  __rlimit_resource resource_;
  rlimit before_ = {};
};

struct Fixture {
  test::TempDir dir;
  Limit memory{RLIMIT_DATA, rlim_t{2} << 30};
  /// The arguments are refused with exactly this line.
  void refused(const std::vector<std::string>& arguments, const std::string& line) const {
    check_refused(arguments, dir.path(), {"strata: error: " + line + "\n"});
  }
};

/// Whether what needs LibTorch was built beside the program; says so where it was not.
bool has_torch() {
  const bool built = std::filesystem::exists(test::strata_program().parent_path() / "strata-torch");
  if (!built) WARN("skipped: models need strata-torch, which this build does not have");
  return built;
}

const std::string kDeep = repeated("[", 200'000) + repeated("]", 200'000);
const std::string kTooDeep = ": lists and mappings are nested more than 200 deep";

std::string safetensors(const std::string& header) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(header.size() >> 8 * i & 0xff);
  return out + header;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "JSON nested without end is refused by every reader") {
  const std::string more = R"(,"b":1,"c":1,"d":1,"e":2)";
  dir.write("d.json", "{\"a\":" + kDeep + more + "}");
  refused({"plan", "--scores", "d.json", "--budget", "1"}, "d.json:1" + kTooDeep);
  dir.write("scores.json",
            R"({"version":1,"clients":["ct"],"units":["a"],"scores":[[)" + kDeep + "]]}");
  refused({"plan", "--scores", "scores.json", "--budget", "1"}, "scores.json:1" + kTooDeep);
  dir.write("scores.csv", "client,a,b\nct,1,2\n");
  refused({"plan", "--scores", "scores.csv", "--budget", "1", "--warm", "d.json"},
          "d.json:1" + kTooDeep);
  dir.write("lines/manifest.jsonl", "\n{\"image\":" + kDeep + more + "}\n");
  refused({"data", "check", "lines"}, "lines/manifest.jsonl:2" + kTooDeep);
  dir.write("easy/train/questions.json", kDeep);
  refused({"data", "check", "easy"}, "easy/train/questions.json:1" + kTooDeep);
  dir.write("rad/VQA_RAD Dataset Public.json", "[{\"q\":" + kDeep + more + "}]");
  refused({"data", "check", "rad"}, "rad/VQA_RAD Dataset Public.json:1" + kTooDeep);
  dir.write("run/config.yaml", "version: 1\n");
  dir.write("run/metrics.csv", "round\n");
  dir.write("run/run.json", "{\"a\":" + kDeep + more + "}");
  check_refused({"report", "run"}, dir.path(), {"run/run.json:1" + kTooDeep});
  if (!has_torch()) return;
  dir.write("model/config.json", "{\"model_type\":" + kDeep + more + "}");
  refused({"inspect", "model", "--config-only"}, "model/config.json:1" + kTooDeep);
}

TEST_CASE_METHOD(Fixture,
                 "weights whose header is nested without end, or a model of a million blocks") {
  if (!has_torch()) return;
  const auto reference = std::filesystem::path(STRATA_SOURCE_DIR) / "tests/reference/vilt";
  std::filesystem::copy(reference, dir / "model");
  dir.write("model/model.safetensors",
            safetensors(R"({"w":{"dtype":"F32","shape":)" + kDeep + R"(,"data_offsets":[0,8]}})"));
  refused({"inspect", "model"}, "model/model.safetensors:1" + kTooDeep);
  std::string config = test::slurp(reference / "config.json");
  const std::string layers = "\"num_hidden_layers\": 2";
  config.replace(config.find(layers), layers.size(), "\"num_hidden_layers\": 16777216");
  dir.write("model/config.json", config);
  refused({"inspect", "model"},
          "model/config.json: num_hidden_layers: a whole number from 1 to 1000 was expected, "
          "found 16777216");
}

TEST_CASE_METHOD(Fixture, "YAML whose aliases or references stand for gigabytes") {
  std::string aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n", references = "x0: \"----------\"\n";
  for (int i = 1; i < 15; ++i) {
    const std::string last = std::to_string(i - 1), next = std::to_string(i);
    if (i < 9)
      aliases +=
          "a" + next + ": &a" + next + " [" + repeated("*a" + last + ",", 9) + "*a" + last + "]\n";
    references += "x" + next + ": \"" + repeated("${x" + last + "}", 4) + "\"\n";
  }
  dir.write("bomb.yaml", aliases);
  refused(
      {"plan", "--problem", "bomb.yaml"},
      "bomb.yaml:1: more than 1000000 values, of which an alias counts as many as it stands for");
  dir.write("two.yaml", "version: 1\nscores: s.csv\nbudget: 1\n---\nbudget: 2\n");
  refused({"plan", "--problem", "two.yaml"},
          "two.yaml:5: a second YAML document begins here (after ---), but the file must be one");
  dir.write("infinite.yaml", "version: .inf\n");
  check_refused({"plan", "--problem", "infinite.yaml"}, dir.path(), {"version: ", "found .inf\n"});
}

TEST_CASE_METHOD(Fixture, "a megabyte of pickle that stands for twenty gigabytes") {
  const std::string bomb = "](X" + std::string("\x40\x42\x0f\0", 4) + std::string(1'000'000, 'x') +
                           std::string("q\0", 2) + repeated(std::string("h\0", 2), 20'000) + "e.";
  for (const std::string split : {"train", "val", "test"})
    dir.write("set/qas/" + split + "/" + split + "_qa.pkl", bomb);
  refused({"data", "check", "set"},
          "set/qas/train/train_qa.pkl: pickle: its shared texts are more than 16 times its size");
}

TEST_CASE_METHOD(Fixture,
                 "an image whose few bytes say that it has a quarter of a billion pixels") {
  const std::string line =
      R"({"image":"a.png","question":"q?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})";
  dir.write("set/manifest.jsonl", line + "\n");
  dir.write("set/a.png", std::string("\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x40\0\0\0\x40\0\1\0\0\0\0"
                                     "\x81\xb3\x2d\x29\0\0\0\0IDAT\x35\xaf\x06\x1e",
                                     45));
  refused({"data", "check", "set"},
          "set/a.png: PNG image of 16384 x 16384 pixels; at most 16384 a side and 67108864 in all "
          "can be read");
}

TEST_CASE_METHOD(Fixture,
                 "a manifest names no file outside of its folder, nor one that cannot be") {
  const auto manifest = [](const std::string& image) {
    return R"({"image":")" + image +
           R"(","question":"q?","answers":["yes"],"split":"train","client":"ct","answer_type":"closed"})" +
           "\n";
  };
  dir.write("out.png", "x");
  dir.write("set/manifest.jsonl", "\n" + manifest("x/../../out.png"));
  refused({"data", "check", "set"},
          "set/manifest.jsonl:2: image: \"x/../../out.png\" is outside of the "
          "data set's folder");
  dir.write("set/manifest.jsonl", manifest(std::string(5000, 'x')));
  refused({"data", "check", "set"},
          "set/manifest.jsonl:1: image: it holds a file name of 5000 bytes; at most 255 can be");
}

TEST_CASE_METHOD(Fixture, "names reach the terminal without their control characters") {
  dir.write(
      "scores.json",
      R"({"version":1,"clients":["\u001b[31mct\n\u0000","m\u202eri\u009b"],"units":["a\tb","c"],)"
      R"("scores":[[1,2],[3,1e-400]]})");
  const auto outcome = run_strata({"plan", "--scores", "scores.json", "--budget", "1"}, dir.path());
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, Catch::Contains("\\x1b[31mct\\n\\x00") &&
                              Catch::Contains("m\\u202eri\\u009b") && Catch::Contains("a\\tb"));
  for (const char* raw : {"\x1b", "\u202e", "\u009b", "\t"})
    CHECK(outcome.out.find(raw) == std::string::npos);
  CHECK(outcome.out.find('\0') == std::string::npos);
  const auto as_json =
      run_strata({"plan", "--scores", "scores.json", "--budget", "1", "--json"}, dir.path());
  for (const char* raw : {"\x1b", "\u202e", "\u009b"})
    CHECK(as_json.out.find(raw) == std::string::npos);
  CHECK(nlohmann::json::parse(as_json.out).at("clients").contains("m\u202eri\u009b"));
  // In messages, too, which stay one line.
  dir.write(
      "twice.json",
      R"({"version":1,"clients":["\u001bct\n","\u001bct\n"],"units":["a"],"scores":[[1],[1]]})");
  refused({"plan", "--scores", "twice.json", "--budget", "1"},
          "twice.json: clients: the client \"\\x1bct\\n\" stands twice");
  dir.write("long.json", "{\"" + std::string(1'000'000, 'x') + "\":1}");
  const auto cut = run_strata({"plan", "--scores", "long.json", "--budget", "1"}, dir.path());
  CHECK(cut.code == 2);
  CHECK(cut.err.size() < 2000);
}

TEST_CASE_METHOD(Fixture, "a number below every double is 0, in CSV as in JSON") {
  dir.write("scores.csv", "client,a,b\nct,1e-400,2\n");
  dir.write("scores.json",
            R"({"version":1,"clients":["ct"],"units":["a","b"],"scores":[[1e-400,2]]})");
  const auto csv = run_strata({"plan", "--scores", "scores.csv", "--budget", "1"}, dir.path());
  const auto json = run_strata({"plan", "--scores", "scores.json", "--budget", "1"}, dir.path());
  CHECK(csv.code == 0);
  // All but the time that it took.
  const auto seconds = csv.out.rfind("\nseconds");
  REQUIRE(seconds != std::string::npos);
  CHECK(csv.out.substr(0, seconds) == json.out.substr(0, seconds));
}

TEST_CASE_METHOD(Fixture, "outputs through links, of long names, and beyond ulimit -f") {
  dir.write("scores.csv", "client,a,b\nct,1,2\nmri,2,1\n");
  const auto plan = [&](const std::string& out) {
    return std::vector<std::string>{"plan", "--scores", "scores.csv", "--budget",
                                    "1",    "--out",    out};
  };
  std::filesystem::create_symlink("there.json", dir / "link.json");
  CHECK(run_strata(plan("link.json"), dir.path()).code == 0);
  CHECK(std::filesystem::is_symlink(dir / "link.json"));
  CHECK(std::filesystem::is_regular_file(dir / "there.json"));
  std::filesystem::create_symlink("round.json", dir / "round.json");
  check_refused(
      plan("round.json"), dir.path(),
      {"strata: error: round.json: cannot be written: Too many levels of symbolic links\n"}, 1);
  // Two options that lead to one file, which is not there yet.
  std::filesystem::create_symlink("front.csv", dir / "other.csv");
  check_refused({"plan", "--scores", "scores.csv", "--budget", "1", "--out", "front.csv", "--front",
                 "other.csv"},
                dir.path(), {"name the same file"});
  CHECK(run_strata(plan(std::string(250, 'x')), dir.path()).code == 0);

  const auto before = test::snapshot(dir.path());
  const auto outcome = [&] {
    const Limit file_size(RLIMIT_FSIZE, 100);
    return run_strata(plan("big.json"), dir.path());
  }();
  CHECK(outcome.code == 1);
  CHECK(outcome.err == "strata: error: big.json: cannot be written: File too large\n");
  CHECK(test::snapshot(dir.path()) == before);
}

TEST_CASE("less address space than LibTorch needs is a message, not a wait for ever") {
  const test::TempDir dir;
  const Limit memory(RLIMIT_AS, rlim_t{900'000} << 10);
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run", "c.yaml", "--out", "o"},
        std::vector<std::string>{"score", "--model", "m", "--data", "d", "--out", "s.json"}})
    check_refused(arguments, dir.path(),
                  {"strata: error: the address space is limited to 878 MiB (ulimit -v), but "
                   "LibTorch needs at least 1126\n"},
                  1);
}
