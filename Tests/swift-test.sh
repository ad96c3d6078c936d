#!/usr/bin/env bash
# `swift test` with a limit in seconds. Tests run side by side and a failure scrolls by among a thousand lines:
# what failed is said again at the end, where a log that is cut short still has it.
#   Tests/swift-test.sh SECONDS ARGUMENTS-OF-SWIFT-TEST…
set -uo pipefail
limit="$1"
shift
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
timeout -k 10 "$limit" swift test --skip-build --disable-xctest "$@" 2>&1 | tee "$log"
status="${PIPESTATUS[0]}"
# A filter that fits nothing is no failure to `swift test`.
if [ "$status" -eq 0 ] && ! grep -q 'Test run with [1-9]' "$log"; then
    echo "no test ran: does the filter still name one?"
    status=1
fi
if [ "$status" -ne 0 ]; then
    echo "--- what failed (exit $status; 124 is the limit of $limit s) ---"
    # An issue's lines: the mark, and the comments and values that follow it.
    awk '/^✘/ { shown = 12 } /^(✔|◇|➜)/ { shown = 0 } shown-- > 0' "$log" | cut -c 1-400 | tail -n 200
    echo "--- started and not ended ---"
    awk '/^◇ Test .* started/ { name = $0; sub(/^◇ /, "", name); sub(/ started.*/, "", name); open[name] = 1 }
         /^(✔|✘|➜) Test / { name = $0; sub(/^(✔|✘|➜) /, "", name); sub(/ (passed|failed|skipped|with [0-9]+ test case|recorded).*/, "", name); delete open[name] }
         END { for (name in open) if (name !~ /^Test case/) print name }' "$log" | sort | head -n 50
fi
exit "$status"
