# Writes a test out of the examples of the public headers given: what stands between \code and \endcode in their
# comments, one test case an example. The header `stands_in` has what they stand in; in it, assert is a check.
function add(line) { body = body line "\n" }
BEGIN { print "// Written by tests/house/examples.awk." }
FNR == 1 {
  header = FILENAME
  sub(/^.*include\//, "", header)
  split(header, parts, "/")
  module = parts[2]
  inside = 0
  found = 0
  print "#include \"" header "\""
}
/^ *\/\/\/ \\endcode/ {
  add("}")
  inside = 0
}
inside {
  sub(/^ *\/\/\/ ?/, "")
  add($0)  # not indented: an example may hold a text of several lines
}
/^ *\/\/\/ \\code/ {
  inside = 1
  found = found + 1
  name = found == 1 ? header : header ", " found
  add("\nTEST_CASE_METHOD(ExampleFolder, \"" name "\") {")
  add("  using namespace strata;")
  if (module != "core") add("  using namespace strata::" module ";")
}
# The last include is the one that says what assert is.
END { printf "#include \"%s\"\n%s", stands_in, body }
