# Sourced by the scripts that run tests: run one step after the other, print
# how each ended, and add up what they report.
#
#	tally_start DIR		logs go to DIR/NAME.log
#	step NAME COMMAND...	run it, quietly; its output on a failure only
#	step_live NAME COMMAND...	the same, its output also shown
#	tally_end		the last line, and the exit status
#
# What a step reports, in this order: a last line "N passed, N failed, N
# skipped"; else the lines of libcheck, "100%: Checks: N, Failures: N, Errors:
# N"; else its exit status is one test, 77 is one that was skipped.  A step
# that ends with another status, but reported no failure, has failed once.

tally_start()
{
	tally_dir=$1
	tally_passed=0 tally_failed=0 tally_skipped=0
	tally_bad=
	mkdir -p "$tally_dir"
}

# Minutes at most for one step, so that nothing hangs for ever.
STEP_MINUTES=${STEP_MINUTES:-15}

with_limit()
{
	if command -v timeout >/dev/null 2>&1; then
		timeout -k 10 "${STEP_MINUTES}m" "$@"
	else
		"$@"
	fi
}

tally_count()
{
	name=$1 status=$2 began=$3
	# shellcheck disable=SC2046 # three words are wanted
	set -- $(awk '
	/^([a-z]+: )?[0-9]+ passed, [0-9]+ failed/ {
		sub(/^[a-z]+: /, "")
		gsub(/,/, "")
		total = 1
		p = $1; f = $3; s = ($6 == "skipped") ? $5 : 0
	}
	/^[0-9]+%: Checks: [0-9]+, Failures: [0-9]+, Errors: [0-9]+/ {
		gsub(/,/, "")
		checks = 1
		cf += $5 + $7
		cp += $3 - $5 - $7
	}
	END {
		if (total)
			print p, f, s
		else if (checks)
			print cp, cf, 0
		else
			print "none"
	}' "$tally_dir/$name.log")
	if [ "$1" = none ]; then
		case $status in
		0) set -- 1 0 0 ;;
		77) set -- 0 0 1 ;;
		*) set -- 0 1 0 ;;
		esac
	elif [ "$status" -ne 0 ] && [ "$status" -ne 77 ] &&
	    [ "$2" -eq 0 ]; then
		set -- "$1" 1 "$3"
	fi
	tally_passed=$((tally_passed + $1))
	tally_failed=$((tally_failed + $2))
	tally_skipped=$((tally_skipped + $3))
	text="$1 passed"
	word=ok
	[ "$3" -eq 0 ] || text="$text, $3 skipped" word=skip
	[ "$2" -eq 0 ] || text="$text, $2 failed" word=FAIL
	[ "$status" -ne 124 ] || text="$text, out of time"
	took=$(($(date +%s) - began))
	printf '%-4s %-28s %s (%d s)\n' $word "$name" "$text" $took
	[ $word = ok ] || tally_bad="$tally_bad $name"
	[ $word != FAIL ] || return 1
}

step()
{
	name=$1
	shift
	began=$(date +%s)
	status=0
	with_limit "$@" >"$tally_dir/$name.log" 2>&1 </dev/null || status=$?
	tally_count "$name" $status "$began" || {
		echo "--- the end of $tally_dir/$name.log:"
		tail -n 40 "$tally_dir/$name.log"
		echo "---"
	}
}

step_live()
{
	name=$1
	shift
	began=$(date +%s)
	echo "---- $name"
	{
		status=0
		with_limit "$@" 2>&1 </dev/null || status=$?
		echo $status >"$tally_dir/$name.status"
	} | tee "$tally_dir/$name.log" |
	    sed 's/^\([0-9]* passed, .*\)$/     \1/'
	tally_count "$name" "$(cat "$tally_dir/$name.status")" "$began" || :
	rm -f "$tally_dir/$name.status"
}

# With CI=true a test that was skipped counts as a failure.
tally_end()
{
	[ -z "$tally_bad" ] || echo "look at:$tally_bad (in $tally_dir)"
	echo "$tally_passed passed, $tally_failed failed," \
	    "$tally_skipped skipped"
	[ $tally_failed -eq 0 ] || exit 1
	[ $tally_passed -gt 0 ] || exit 1
	[ "${CI-}" != true ] || [ $tally_skipped -eq 0 ] || exit 1
	exit 0
}
