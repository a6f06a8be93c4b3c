#include "data/pickle.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <unordered_map>
#include <variant>

#include "core/csv.h"
#include "strata/core/error.h"

namespace strata::data {
namespace {

constexpr int kMaxDepth = 64;
/// PathVQA's largest list has about 20,000 dictionaries of three entries.
constexpr std::int64_t kMaxValues = 1'000'000;
/// Texts are shared in a pickle, where two bytes refer to one again, but not in JSON. PathVQA's,
/// whose keys and image names are shared, are three times their file's size.
constexpr std::size_t kMaxGrowth = 16, kAlwaysAllowed = std::size_t{1} << 20;

/// Pickle's containers are shared and filled after they were pushed, which JSON values cannot be. A
/// dictionary's keys lie in other nodes, of which none moves or goes before all do.
struct Node;
using NodePtr = Node*;
struct Node {
  std::variant<Json, std::vector<NodePtr>, std::vector<std::pair<std::string_view, NodePtr>>> value;
};
using List = std::vector<NodePtr>;
using Dictionary = std::vector<std::pair<std::string_view, NodePtr>>;

class Unpickler {
 public:
  Unpickler(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}

  /// Lives as long as the unpickler.
  NodePtr run() {
    for (;;) {
      opcode_at_ = position_;
      const auto opcode = static_cast<unsigned char>(take(1)[0]);
      switch (opcode) {
        case 0x80:  // PROTO
          take(1);
          break;
        case 0x95:  // FRAME
          take(8);
          break;
        case '}':
          push(Dictionary{});
          break;
        case ']':
          push(List{});
          break;
        case '(':
          marks_.push_back(stack_.size());
          break;
        case 'X':
          push(Json(text(number(4))));
          break;
        case 0x8c:  // SHORT_BINUNICODE
          push(Json(text(number(1))));
          break;
        case 0x8d:  // BINUNICODE8
          push(Json(text(number(8))));
          break;
        case 'N':
          push(Json(nullptr));
          break;
        case 0x88:  // NEWTRUE
          push(Json(true));
          break;
        case 0x89:  // NEWFALSE
          push(Json(false));
          break;
        case 'J':
          push(Json(static_cast<std::int32_t>(number(4))));
          break;
        case 'K':
          push(Json(number(1)));
          break;
        case 'M':
          push(Json(number(2)));
          break;
        case 'q':
          remember(number(1));
          break;
        case 'r':
          remember(number(4));
          break;
        case 0x94:  // MEMOIZE
          remember(memo_.size());
          break;
        case 'h':
          push_memo(number(1));
          break;
        case 'j':
          push_memo(number(4));
          break;
        case 'a': {
          const NodePtr value = pop();
          as<List>("a list").push_back(value);
          break;
        }
        case 'e': {
          const std::vector<NodePtr> values = pop_mark();
          List& list = as<List>("a list");
          list.insert(list.end(), values.begin(), values.end());
          break;
        }
        case 's': {
          const NodePtr value = pop(), key = pop();
          as<Dictionary>("a dictionary").emplace_back(key_text(key), value);
          break;
        }
        case 'u': {
          const std::vector<NodePtr> values = pop_mark();
          if (values.size() % 2 != 0) fail("a dictionary with a key and no value");
          Dictionary& dictionary = as<Dictionary>("a dictionary");
          for (std::size_t i = 0; i < values.size(); i += 2)
            dictionary.emplace_back(key_text(values[i]), values[i + 1]);
          break;
        }
        case '.': {
          const NodePtr result = pop();
          if (!stack_.empty()) fail("more than one object");
          return result;
        }
        default: {
          char code[8];
          std::snprintf(code, sizeof code, "0x%02x", opcode);
          fail(std::string("the opcode ") + code +
               " is none of those for lists, dictionaries, texts and whole numbers");
        }
      }
    }
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": pickle, byte " + std::to_string(opcode_at_) + ": " + message);
  }

  std::string_view take(std::uint64_t count) {
    if (count > bytes_.size() - position_) fail("the file ends too early");
    const std::string_view part = bytes_.substr(position_, count);
    position_ += count;
    return part;
  }

  std::uint64_t number(int bytes) {
    std::uint64_t value = 0;
    const std::string_view part = take(bytes);
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(part[i]);
    return value;
  }

  std::string text(std::uint64_t size) {
    std::string text(take(size));
    if (!is_utf8(text)) fail("a text is not valid UTF-8");
    return text;
  }

  /// Keys are values of their own until a dictionary takes them.
  void count(std::size_t values) const {
    if (values >= 2 * kMaxValues) fail("more than " + std::to_string(kMaxValues) + " values");
  }

  void remember(std::uint64_t key) {
    count(memo_.size());
    memo_[key] = top();
  }

  template <typename Value>
  void push(Value value) {
    count(nodes_.size());
    nodes_.push_back(Node{std::move(value)});
    stack_.push_back(&nodes_.back());
  }

  NodePtr pop() {
    if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size()))
      fail("nothing on the stack");
    const NodePtr value = stack_.back();
    stack_.pop_back();
    return value;
  }

  NodePtr top() const {
    if (stack_.empty()) fail("nothing on the stack");
    return stack_.back();
  }

  std::vector<NodePtr> pop_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    marks_.pop_back();
    std::vector<NodePtr> values(first, stack_.end());
    stack_.erase(first, stack_.end());
    return values;
  }

  void push_memo(std::uint64_t key) {
    const auto found = memo_.find(key);
    if (found == memo_.end()) fail("no object was remembered as " + std::to_string(key));
    stack_.push_back(found->second);
  }

  template <typename Container>
  Container& as(const char* name) const {
    auto* container = std::get_if<Container>(&top()->value);
    if (!container) fail(std::string("expected ") + name + " on the stack");
    return *container;
  }

  const std::string& key_text(NodePtr key) const {
    const Json* value = std::get_if<Json>(&key->value);
    if (!value || !value->is_string()) fail("a dictionary's key is no text");
    return value->get_ref<const std::string&>();
  }

  std::string_view bytes_;
  const std::string& file_;
  std::size_t position_ = 0, opcode_at_ = 0;
  std::deque<Node> nodes_;  ///< owns all, so that deep or circular ones need no recursion to go
  std::vector<NodePtr> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, NodePtr> memo_;
};

/// Makes JSON of nodes, counting what a few bytes can share until it is more than fits in memory.
class Converter {
 public:
  Converter(std::size_t file_size, const std::string& file)
      : text_left_(std::max(kAlwaysAllowed, kMaxGrowth * file_size)), file_(file) {}

  Json convert(const Node& node, int depth = 0) {
    // A list can also hold itself.
    if (depth > kMaxDepth) fail("nested in more than " + std::to_string(kMaxDepth) + " levels");
    if (++values_ > kMaxValues) fail("more than " + std::to_string(kMaxValues) + " values");
    if (const Json* value = std::get_if<Json>(&node.value)) {
      if (value->is_string()) count(value->get_ref<const std::string&>());
      return *value;
    }
    if (const List* list = std::get_if<List>(&node.value)) {
      Json::array_t out;
      out.reserve(list->size());
      for (const NodePtr element : *list) out.push_back(convert(*element, depth + 1));
      return out;
    }
    return dictionary(std::get<Dictionary>(node.value), depth);
  }

 private:
  /// The last value of a key, in the place of the first.
  Json dictionary(const Dictionary& entries, int depth) {
    Json::object_t out;
    std::unordered_map<std::string_view, std::ptrdiff_t> places;
    for (const auto& [key, value] : entries) {
      count(key);
      const auto [place, first] = places.emplace(key, std::distance(out.begin(), out.end()));
      if (first) out.emplace_back(key, nullptr);
      (out.begin() + place->second)->second = convert(*value, depth + 1);
    }
    return out;
  }

  void count(std::string_view text) {
    if (text.size() > text_left_)
      fail("its shared texts are more than " + std::to_string(kMaxGrowth) + " times its size");
    text_left_ -= text.size();
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(file_ + ": pickle: " + message);
  }

  std::int64_t values_ = 0;
  std::size_t text_left_;
  const std::string& file_;
};

}  // namespace

Json read_pickle(std::string_view bytes, const std::string& file) {
  Unpickler unpickler(bytes, file);
  return Converter(bytes.size(), file).convert(*unpickler.run());
}

}  // namespace strata::data
