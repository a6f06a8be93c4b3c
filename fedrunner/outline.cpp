#include "fedrunner/outline.h"

#include <vector>

namespace strata::fedrunner {
namespace {

enum Direction { kRight, kDown, kLeft, kUp };

/// The edges between what is within and what is not, with what is within on their right.
class Edges {
 public:
  Edges(const std::uint8_t* labels, std::int64_t height, std::int64_t width, std::uint8_t label)
      : corners_(width + 1), leave_(static_cast<std::size_t>((height + 1) * (width + 1))) {
    const auto within = [&](std::int64_t y, std::int64_t x) {
      return y >= 0 && y < height && x >= 0 && x < width && labels[y * width + x] == label;
    };
    for (std::int64_t y = 0; y < height; ++y) {
      for (std::int64_t x = 0; x < width; ++x) {
        if (!within(y, x)) continue;
        if (!within(y - 1, x)) add(y, x, kRight);
        if (!within(y, x + 1)) add(y, x + 1, kDown);
        if (!within(y + 1, x)) add(y + 1, x + 1, kLeft);
        if (!within(y, x - 1)) add(y + 1, x, kUp);
      }
    }
  }

  bool take(std::size_t corner, int direction) {
    const auto bit = static_cast<std::uint8_t>(1 << direction);
    if (!(leave_[corner] & bit)) return false;
    leave_[corner] = static_cast<std::uint8_t>(leave_[corner] & ~bit);
    return true;
  }
  std::size_t next(std::size_t corner, int direction) const {
    const auto row = static_cast<std::size_t>(corners_);
    switch (direction) {
      case kRight:
        return corner + 1;
      case kDown:
        return corner + row;
      case kLeft:
        return corner - 1;
      default:
        return corner - row;
    }
  }
  std::size_t count() const { return leave_.size(); }
  std::int64_t x(std::size_t corner) const { return static_cast<std::int64_t>(corner) % corners_; }
  std::int64_t y(std::size_t corner) const { return static_cast<std::int64_t>(corner) / corners_; }

 private:
  void add(std::int64_t y, std::int64_t x, int direction) {
    leave_[static_cast<std::size_t>(y * corners_ + x)] |= static_cast<std::uint8_t>(1 << direction);
  }
  std::int64_t corners_;             // in a row
  std::vector<std::uint8_t> leave_;  // a bit each for the directions of edges that leave a corner
};

void append_run(std::string& path, int direction, std::int64_t length) {
  path += direction == kRight || direction == kLeft ? 'h' : 'v';
  path += std::to_string(direction == kRight || direction == kDown ? length : -length);
}

/// The edges that follow `corner`'s to the right until they are back.
void append_loop(std::string& path, Edges& edges, std::size_t corner) {
  path += 'M' + std::to_string(edges.x(corner)) + ' ' + std::to_string(edges.y(corner));
  int direction = kRight;
  std::int64_t length = 1;
  corner = edges.next(corner, direction);
  for (;;) {
    // Where pixels touch at a corner, a turn to the right stays with the same one.
    int turn = 0;
    const int turns[] = {1, 0, 3};
    while (turn < 3 && !edges.take(corner, (direction + turns[turn]) % 4)) ++turn;
    if (turn == 3) break;
    if (turns[turn] != 0) {
      append_run(path, direction, length);
      direction = (direction + turns[turn]) % 4;
      length = 0;
    }
    ++length;
    corner = edges.next(corner, direction);
  }
  path += 'z';  // which is the last run, too
}

}  // namespace

std::string outline(const std::uint8_t* labels, std::int64_t height, std::int64_t width,
                    std::uint8_t label) {
  Edges edges(labels, height, width, label);
  std::string path;
  for (std::size_t corner = 0; corner < edges.count(); ++corner)
    if (edges.take(corner, kRight)) append_loop(path, edges, corner);
  return path;
}

}  // namespace strata::fedrunner
