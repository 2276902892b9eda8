# Sourced by the scripts that run tests: run one step after the other, print
# how each ended, and add up what they report.
#
#	tally_start DIR		logs go to DIR/NAME.log
#	step NAME COMMAND...	run it, quietly; its output on a failure only
#	step_live NAME COMMAND...	the same, its output also shown
#	step_each NAME DIR COMMAND...	names on standard input: the command
#				with each name in the place of %, in DIR,
#				several at once
#	tally_end		the last line, and the exit status
#
# What a step reports, in this order: a last line "N passed, N failed, N
# skipped"; else the lines of libcheck, "100%: Checks: N, Failures: N, Errors:
# N"; else its exit status is one test, 77 is one that was skipped.  A step
# that ends with another status, but reported no failure, has failed once, and
# so has one that reports no test at all.

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
	name=$1 status=$2 took=$3
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
	elif [ $(($1 + $2 + $3)) -eq 0 ]; then
		set -- 0 1 0
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
	printf '%-4s %-28s %s (%d s)\n' $word "$name" "$text" $took
	[ $word = ok ] || tally_bad="$tally_bad $name"
	[ $word = FAIL ] || return 0
	[ "${tally_live-no}" = no ] || return 0
	echo "--- the end of $tally_dir/$name.log:"
	tail -n 40 "$tally_dir/$name.log"
	echo "---"
}

# tally_run LOG DIR COMMAND...: leaves LOG.log, and in LOG.end the exit status
# and the seconds.
tally_run()
{
	log=$1 dir=$2
	shift 2
	began=$(date +%s)
	status=0
	(cd "$dir" && with_limit "$@") >"$log.log" 2>&1 </dev/null ||
	    status=$?
	echo "$status $(($(date +%s) - began))" >"$log.end"
}

tally_end_of()
{
	read -r end_status end_took <"$tally_dir/$1.end" ||
	    end_status=1 end_took=0
	rm -f "$tally_dir/$1.end"
	tally_count "$1" "$end_status" "$end_took"
}

step()
{
	step_name=$1
	shift
	tally_run "$tally_dir/$step_name" . "$@"
	tally_end_of "$step_name"
}

step_each()
{
	each_name=$1 each_dir=$2
	shift 2
	each=$(cat)
	echo "$each" | xargs -P "$jobs" -I % sh -c '. ./regress/tools/tally.sh
	    tally_run "$@"' sh "$tally_dir/$each_name-%" "$each_dir" "$@"
	for each_item in $each; do
		tally_end_of "$each_name-$each_item"
	done
}

step_live()
{
	step_name=$1
	shift
	began=$(date +%s)
	echo "---- $step_name"
	{
		status=0
		with_limit "$@" 2>&1 </dev/null || status=$?
		echo "$status $(($(date +%s) - began))" \
		    >"$tally_dir/$step_name.end"
	} | tee "$tally_dir/$step_name.log" |
	    sed 's/^\([0-9]* passed, .*\)$/     \1/'
	tally_live=yes
	tally_end_of "$step_name"
	tally_live=no
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
