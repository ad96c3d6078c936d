#!/usr/bin/env bash
# The unit tests under a sanitizer, or only the build for them: sanitize.sh test|build address|thread
#
# Left out of both: FaultTests, which kill processes that no sanitizer is in, and take minutes; one test of 16 million
# numbers in one array, which takes minutes when each access is watched. Left out where threads are watched: what
# computes on one alone.
set -euo pipefail
cd "$(dirname "$0")/../.."
usage() {
    echo "usage: $0 test|build address|thread" >&2
    exit 2
}
[[ "${1-}" =~ ^(test|build)$ ]] || usage
sanitizer="${2-}"
left='^FaultTests[.]|hugeContainersAreCounted'
case "$sanitizer" in
address)
    scratch=.build/asan
    export LSAN_OPTIONS="suppressions=$PWD/Tests/Sanitize/leaks.supp:print_suppressions=0"
    ;;
thread)
    scratch=.build/tsan
    export TSAN_OPTIONS="suppressions=$PWD/Tests/Sanitize/threads.supp"
    left+='|^(Aggregate|Commands|Contracts|Fleet|JSON|Model)Tests[.]|PowerCutTests'
    ;;
*) usage ;;
esac
swift build --build-tests --sanitize="$sanitizer" --scratch-path "$scratch"
[ "$1" = test ] || exit 0
if [ "$sanitizer" = thread ]; then
    clang -std=c17 -O1 -g -shared -fPIC -Wall -Wextra -Werror -o "$scratch/threads.so" Tests/Sanitize/threads.c
    export LD_PRELOAD="$PWD/$scratch/threads.so"
fi

run() { Tests/swift-test.sh 1200 --sanitize="$sanitizer" --scratch-path "$scratch" "$@"; }
# As in `make unit`: what has servers and deadlines does not share the cores with what only computes.
served='^((DeadLetters|Edge|HTTP|Kafka|Notify|Postgres|Process|Redis)Tests[.]|AggregateTests[.]AggregateTests)'
run --filter "$served"
# Here minutes of it, which keep the threads of all tests from those that wait: the runtime with faults everywhere, which
# is one thread.
faults='^FlotillaTests[.](FaultAtEveryCall|RandomFault)Tests'
# Processes "die" there in the middle of things: tasks that nobody goes on with stay, and all that they hold.
export ASAN_OPTIONS=detect_leaks=0
run --filter '^FlotillaTests[.]' --skip "$faults"
[ "$sanitizer" = thread ] || run --filter "$faults"
unset ASAN_OPTIONS
run --skip "$served|^FlotillaTests[.]|$left"
