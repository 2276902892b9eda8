#!/bin/sh
#
# Every manual page is without a warning.

set -eu
cd "$(dirname "$0")/../.."
command -v mandoc >/dev/null 2>&1 || { echo "no mandoc"; exit 77; }

bad=0
found=no
for page in smtpproxyd/*.[1-9] smtpproxyctl/*.[1-9]; do
	[ -f "$page" ] || continue
	found=yes
	said=$(mandoc -Tlint -Wwarning "$page" 2>&1) || :
	if [ -n "$said" ]; then
		echo "$said"
		bad=1
	fi
done
[ $found = yes ] || { echo "no manual page"; exit 1; }
exit $bad
