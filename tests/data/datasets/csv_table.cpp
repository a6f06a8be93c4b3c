#include "data/datasets/csv_table.h"

#include "support/error_text.h"
#include "temp_dir.h"

using namespace strata;
using namespace strata::data;
using namespace strata::test;

TEST_CASE("a table's fields by its columns' names, wherever the columns stand") {
  const TempDir folder;
  const CsvTable table(
      folder.write("a.csv", ",dx,id\r\n0,nv,i1\r\n\r\n1,mel,\"i\n2\"\r\n2,nv,\r\n"));
  REQUIRE(table.size() == 3);
  CHECK(table.has_column("dx"));
  CHECK_FALSE(table.has_column("site"));
  CHECK(table.at(1, table.column("id")) == "i\n2");
  CHECK(table.filled(0, table.column("dx")) == "nv");
  CHECK(table.choice(1, table.column("dx"), {"nv", "mel"}) == 1);
  CHECK(table.place(2) == (folder / "a.csv").string() + ":6");
}

TEST_CASE("errors of a table name file, line, column and the nearest name") {
  const CsvTable table("dx,id,dx_type,id\nnw,,histo,\n", "a.csv");
  CHECK(input_error([&] { (void)table.column("dx_typ"); }) ==
        "a.csv: the column \"dx_typ\" is missing (did you mean \"dx_type\"?)");
  CHECK(input_error([&] { (void)table.column("id"); }) == "a.csv: the column \"id\" stands twice");
  CHECK(input_error([&] { (void)table.filled(0, 1); }) == "a.csv:2: id: the field is empty");
  CHECK(input_error([&] {
          (void)table.choice(0, 0, {"mel", "nv"});
        }) == "a.csv:2: dx: \"nw\" is not one of \"mel\", \"nv\" (did you mean \"nv\"?)");
  CHECK(input_error([&] { CsvTable("dx,id\n", "a.csv"); }) ==
        "a.csv: no row below the columns' names");
}

TEST_CASE("the first of several names that is a file") {
  const TempDir folder;
  CHECK(first_file(folder.path(), {"a", "a.csv"}).empty());
  folder.write("a.csv", "");
  std::filesystem::create_directory(folder / "a");
  CHECK(first_file(folder.path(), {"a", "a.csv"}) == folder / "a.csv");
  folder.write("b", "");
  CHECK(first_file(folder.path(), {"b", "a.csv"}) == folder / "b");
}
