#!/usr/bin/env bash
# Opens reports in headless Chromium and checks what a reader would see: every figure is there, visible and
# not empty, and nothing is wider than a laptop's window. Screenshots go to the folder given.
# Usage: chromium.sh MAKE_REPORT_PAGE SCREENSHOTS
set -euo pipefail

make_page=$1
screenshots=$2
width=1366

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$browser" ]; then
  echo "SKIPPED: no Chromium is installed, so no report was looked at (Debian package chromium)" >&2
  exit 4
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HOME=$scratch/home
mkdir -p "$HOME" "$screenshots"

chromium() {
  timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --user-data-dir="$scratch/profile" --hide-scrollbars "$@" 2> "$scratch/stderr"
}

"$make_page" "$scratch/runs" > "$scratch/pages"

cat > "$scratch/probe.html" <<'PROBE'
<script>
addEventListener("load", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const lines = [`document ${document.documentElement.scrollWidth} ${innerWidth}`];
  for (const figure of document.querySelectorAll("figure")) {
    for (const panel of figure.querySelectorAll(".panels > svg")) {
      const box = panel.getBoundingClientRect();
      const style = getComputedStyle(panel);
      const visible = style.display !== "none" && style.visibility === "visible" &&
        box.left >= 0 && box.right <= innerWidth;
      const shapes = panel.querySelectorAll("path, polygon, use, text").length -
        panel.querySelectorAll("defs *").length;
      lines.push(`${figure.id} ${visible ? "visible" : "hidden"} ${Math.round(box.width)} ` +
        `${Math.round(box.height)} ${shapes}`);
    }
  }
  for (const table of document.querySelectorAll("table")) {
    if (table.parentElement.scrollWidth > table.parentElement.clientWidth) {
      lines.push(`overflow ${table.id} ${table.scrollWidth}`);
    }
  }
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = lines.map((line) => "probe: " + line).join("\n") + "\n";
  document.body.append(out);
});
</script>
PROBE

failures=0
fail() {
  echo "FAILED: $page: $*" >&2
  failures=$((failures + 1))
}

# Each figure of a page with the least number of shapes and texts that any of its panels may hold.
figures_of() {
  if [ "$1" = comparison ]; then
    printf '%s\n' 'fig-convergence-random 25' 'fig-convergence-greedy 25'
  else
    printf '%s\n' 'fig-accuracy 25' 'fig-client-accuracy 40' 'fig-scores 200' 'fig-assignments 150' \
      'fig-assignments-rounds 110' 'fig-usage 35' 'fig-front 25' 'fig-coverage 80'
  fi
}

while read -r page; do
  name=$(basename "$(dirname "$page")")
  cat "$page" "$scratch/probe.html" > "$scratch/$name.html"
  chromium --window-size=$width,900 --virtual-time-budget=10000 --dump-dom \
    "file://$scratch/$name.html" > "$scratch/dom" || { cat "$scratch/stderr" >&2; exit 1; }
  sed -n 's/.*probe: \([a-z].*\)/\1/p' "$scratch/dom" | sed 's/<.*//' | grep -v '\$' > "$scratch/seen" || true

  read -r _ content window < <(grep '^document ' "$scratch/seen" || echo "document none none")
  [ "$window" = "$width" ] || fail "the window is $window px wide, not $width"
  [ "$content" != none ] && [ "$content" -le "$width" ] ||
    fail "the page is $content px wide in a window of $width"
  if grep -q '^overflow ' "$scratch/seen"; then
    fail "too wide: $(grep '^overflow ' "$scratch/seen" | tr '\n' ' ')"
  fi
  while read -r figure least; do
    grep "^$figure " "$scratch/seen" > "$scratch/panels" || { fail "no $figure"; continue; }
    while read -r _ visible wide high shapes; do
      [ "$visible" = visible ] || fail "$figure is not visible"
      if [ "$wide" -le 150 ] || [ "$high" -le 100 ]; then
        fail "a panel of $figure measures only $wide x $high px"
      fi
      [ "$shapes" -ge "$least" ] || fail "a panel of $figure holds only $shapes shapes, not $least"
    done < "$scratch/panels"
    widest=$(sort -k3,3n "$scratch/panels" | tail -n 1 | cut -d' ' -f3)
    [ "$widest" -gt 200 ] || fail "$figure is only $widest px wide"
    echo "$name: $figure: $(wc -l < "$scratch/panels") panels, widest $widest px"
  done < <(figures_of "$name")
  chromium --window-size=$width,6000 --screenshot="$screenshots/$name.png" "file://$page" \
    > /dev/null || { cat "$scratch/stderr" >&2; exit 1; }
  [ -s "$screenshots/$name.png" ] || fail "no screenshot was made"
  echo "$name: screenshot $screenshots/$name.png"
done < "$scratch/pages"

[ "$(wc -l < "$scratch/pages")" = 3 ] || { echo "FAILED: three pages were expected" >&2; exit 1; }
[ "$failures" = 0 ]
