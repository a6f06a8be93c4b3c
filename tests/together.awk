# Several sources of tests as one, each in a namespace of its own behind its #includes: a compilation reads the headers
# and makes what they are templates of once for all.

function close_last() { if (inside) print "}  // namespace"; inside = 0 }
FNR == 1 {
  close_last()
  name = FILENAME
  sub(/.*\/tests\//, "", name)
  gsub(/[^A-Za-z0-9]/, "_", name)
  printf "#line 1 \"%s\"\n", FILENAME
}
/^#include/ && inside {
  printf "%s:%d: an #include behind the first declaration\n", FILENAME, FNR > "/dev/stderr"
  exit failed = 1
}
!inside && !/^(#include|\/\/|$)/ {
  inside = 1
  printf "namespace of_%s {\n#line %d \"%s\"\n", name, FNR, FILENAME
}
{ print }
END { if (failed) exit 1; close_last() }
