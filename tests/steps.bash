# Runs named steps one after another and says at the end how each went; tests/run and tests/long
# source it.
#
# A step that fails does not stop the ones behind it. `close` prints one line per step and the
# counts, and ends the script with 1 if any step failed.

set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# Models and `--no-default-features` get folders of their own, so that switching between them
# rebuilds nothing.
target=${CARGO_TARGET_DIR:-target}

passed=0 failed=0 skipped=0 summary=()

# step NAME COMMAND...: runs the command, which says what it does, and notes how it went. One that
# ends with 77 could not run here, and has said why.
step() {
    local name=$1 from=$SECONDS verdict
    shift
    printf '\n== %s: %s\n' "$name" "$*"
    "$@"
    case $? in
        0) verdict=passed passed=$((passed + 1)) ;;
        77) verdict=skipped skipped=$((skipped + 1)) ;;
        *) verdict=FAILED failed=$((failed + 1)) ;;
    esac
    summary+=("$(printf '%-8s %-14s %4d s' "$verdict" "$name" $((SECONDS - from)))")
    printf '== %s %s\n' "$name" "$verdict"
}

# skip NAME WHY: a step that cannot run here, said aloud.
skip() {
    printf '\n== %s skipped: %s\n' "$1" "$2"
    skipped=$((skipped + 1))
    summary+=("$(printf '%-8s %-14s        %s' skipped "$1" "$2")")
}

close() {
    printf '\n'
    printf '%s\n' "${summary[@]}"
    printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ]
    exit
}

# run_tests OPTIONS...: nextest where there is one, since it ends a test that hangs; else cargo.
run_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run "$@"
    else
        cargo test --all-targets "$@"
    fi
}

# run_models BOUND: the loom models of the crates that own atomics, at most BOUND preemptions each.
# Models stand in modules called `model`. None at all is a failure: the filter would be wrong.
run_models() {
    local log
    log=$(RUSTFLAGS="--cfg loom ${RUSTFLAGS:-}" LOOM_MAX_PREEMPTIONS=$1 \
        CARGO_TARGET_DIR="$target/loom" \
        cargo test --profile model -p forebear-hooks -p forebear --no-default-features --lib \
        -- model 2>&1)
    local code=$?
    printf '%s\n' "$log"
    [ "$code" -eq 0 ] || return 1
    if ! grep -qE '^test result: ok\. [1-9]' <<<"$log"; then
        echo 'no model ran'
        return 1
    fi
}

# foreign_crates OPTIONS...: how many crates that are not ours a build of forebear needs.
foreign_crates() {
    cargo tree -p forebear -e no-dev --prefix none "$@" |
        awk '$1 !~ /^forebear/ { print $1 }' | sort -u
}

# at_most COUNT OPTIONS...: fails if there are more foreign crates than that.
at_most() {
    local most=$1 crates count
    shift
    crates=$(foreign_crates "$@") || return 1
    count=$(grep -c . <<<"$crates")
    printf '%d foreign crates, %d at most: %s\n' "$count" "$most" "$(tr '\n' ' ' <<<"$crates")"
    [ "$count" -gt 0 ] && [ "$count" -le "$most" ]
}
