#include "data/png.h"

#include "data/image.h"
#include "support/error_text.h"
#include "support/gradient.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("a written PNG reads back the same, and the same image gives the same bytes") {
  const TempDir folder;
  // 200 x 150 needs several stored blocks.
  for (const Image& image : {gradient(1, 1), gradient(7, 5), gradient(200, 150)}) {
    write_png(image, folder / "a.png");
    write_png(image, folder / "b.png");
    const Image back = read_image(folder / "a.png");
    CHECK(back.width == image.width);
    CHECK(back.height == image.height);
    CHECK(back.pixels == image.pixels);
    CHECK(slurp(folder / "a.png") == slurp(folder / "b.png"));
  }
}
