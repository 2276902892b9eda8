# smtpproxyd: one Makefile for GNU make (4 and later) and for BSD make.
#
# There are no conditionals and no pattern rules here: what differs between
# systems is a variable with the system's name at its end.  CFLAGS, CPPFLAGS,
# LDFLAGS and LDLIBS are yours; ours have other names and are put before them.

OS		!= uname -s

PREFIX		?= /usr/local
SYSCONFDIR	?= /etc
DESTDIR		?=
CFLAGS		?= -O2 -g
SECONDS		?= 60
MINUTES		?= 30

# Where it differs.
PORT_Linux	!= ls common/port/linux*.c 2>/dev/null || :
PORT_OpenBSD	= common/port/openbsd.c
PORT_FreeBSD	= common/port/other.c
PORT_NetBSD	= common/port/other.c
PORT_DragonFly	= common/port/other.c
PORT_Darwin	= common/port/other.c
PKG_Linux	= libbsd-overlay libseccomp libcap-ng openssl
LIBS_OpenBSD	= -lssl -lcrypto
LIBS_FreeBSD	= -lssl -lcrypto
LIBS_NetBSD	= -lssl -lcrypto
DEFS_Linux	= -D_GNU_SOURCE
HASH_Linux	= sha256sum
HASH_OpenBSD	= sha256
HASH_FreeBSD	= sha256
HASH_NetBSD	= sha256
MAN_Linux	= ${PREFIX}/share/man
MAN_OpenBSD	= ${PREFIX}/man
MAN_FreeBSD	= ${PREFIX}/share/man
MAN_NetBSD	= ${PREFIX}/man
SERVICE_Linux	= ${PREFIX}/lib/systemd/system
SERVICE_OpenBSD	= ${SYSCONFDIR}/rc.d

# The TLS library's: TLS=libressl builds its method tables against OpenSSL.
# That is for tests only; the version line shows it, and install refuses it.
TLS		= ${OS}
TLS_OPENSSL	!= ls common/port/tls_openssl*.c
TLS_Linux	= ${TLS_OPENSSL}
TLS_OpenBSD	= common/port/tls_libressl.c
TLS_FreeBSD	= ${TLS_OPENSSL}
TLS_NetBSD	= ${TLS_OPENSSL}
TLS_DragonFly	= common/port/tls_libressl.c
TLS_Darwin	= ${TLS_OPENSSL}
TLS_libressl	= common/port/tls_libressl.c
TLS_BOTH	!= ls common/port/tls_*.c | grep -v -e /tls_openssl \
		    -e /tls_libressl

# Libraries.  Where one is missing the compiler says what to do about it: it
# is told to include a file that is not there.
PKG		= ${PKG_${OS}}
PKG_CFLAGS	!= test -z "${PKG}" || pkg-config --cflags ${PKG} 2>/dev/null \
		    || echo "-include run-make-deps-first.h"
PKG_LIBS	!= test -z "${PKG}" || pkg-config --libs ${PKG} 2>/dev/null || :
CHECK_CFLAGS	!= pkg-config --cflags-only-I check 2>/dev/null || :
CHECK_LIBS	!= pkg-config --libs check 2>/dev/null || echo -lcheck

# SANDBOX=trace leaves out what a debugger or sanitizer can't live with.  It
# is for tests only, the version line shows it, and install refuses it.
SANDBOX		=
SANDBOX_trace	= -DSANDBOX_TRACE

# FAULTS=yes links in what lets tests make calls fail (Linux, GNU ld); no
# source knows of it.  The version line shows it too, and install refuses it.
# Each call is to return to a place of its own, by which it is known.
FAULTS		=
FAULTS_yes	= regress/tools/faults.o
FAULTS_LD_yes	= @regress/tools/faults.wrap
FAULTS_CC_yes	= -g -fno-inline -fno-optimize-sibling-calls \
		  -U_FORTIFY_SOURCE

WERROR		= -Werror
WARN		= -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes \
		  -Wmissing-prototypes -Wpointer-arith -Wundef -Wvla ${WERROR}
# Without optimisation there is no _FORTIFY_SOURCE: make HARDEN= CFLAGS=-O0.
HARDEN		= -O2 -fstack-protector-strong -U_FORTIFY_SOURCE \
		  -D_FORTIFY_SOURCE=2 -fPIE
HARDEN_LD	= -pie -Wl,-z,relro -Wl,-z,now
CPPFLAGS_ALL	= -std=c11 ${DEFS_${OS}} ${SANDBOX_${SANDBOX}} ${PKG_CFLAGS} \
		  ${CPPFLAGS}
COMPILE		= ${CC} ${CPPFLAGS_ALL} ${WARN} ${HARDEN} \
		  ${FAULTS_CC_${FAULTS}} ${CFLAGS}
LINK		= ${CC} ${CFLAGS} ${HARDEN_LD} ${LDFLAGS}
LIBS		= ${PKG_LIBS} ${LIBS_${OS}} ${LDLIBS}

# What there is.  smtpproxyd/main.c has main(); all else is also in LIB, which
# the tests are linked with.
HDRS		!= ls common/*.h common/port/*.h privsep/*.h smtpproxyd/*.h \
		    regress/*/*.h 2>/dev/null | grep -v -e /build_id.h || :
SRCS_ALL	!= ls common/*.c privsep/*.c smtpproxyd/*.c 2>/dev/null | \
		    grep -v -e /parse.c -e /main.c || :
GRAMMAR		!= ls smtpproxyd/*.y 2>/dev/null || :
SRCS_PORT	= ${PORT_${OS}} ${TLS_${TLS}} ${TLS_BOTH}
SRCS		= ${SRCS_ALL} ${SRCS_PORT} ${GRAMMAR:.y=.c}
OBJS		= ${SRCS:.c=.o}
MAIN		= smtpproxyd/main.o
PROG		= smtpproxyd/smtpproxyd
LIB		= build/libsmtpproxyd.a

# Programs of regress/: every test_X.c, fuzz_X.c and tool is one; what stands
# beside the tests under another name goes into each that needs it.  A tool's
# parts, and what tools share, have an underscore in their names.
TESTS		!= ls regress/unit/test_*.c 2>/dev/null || :
TEST_MORE	!= ls regress/unit/*.c 2>/dev/null | grep -v /test_ || :
TEST_LIB	= build/libtest.a
TESTPROGS	= ${TESTS:.c=.test}
FUZZ		!= ls regress/fuzz/fuzz_*.c 2>/dev/null || :
FUZZ_MORE	!= ls regress/fuzz/*.c 2>/dev/null | \
		    grep -v -e /fuzz_ -e /replay.c || :
REPLAYS		= ${FUZZ:.c=.replay}
FUZZERS		= ${FUZZ:.c=.fuzz}
TOOLS_C		!= ls regress/tools/*.c 2>/dev/null | \
		    grep -v -e /faults.c -e _ || :
TOOL_MORE	!= ls regress/tools/*_*.c 2>/dev/null || :
TOOL_LIB	= build/libtools.a
TOOLS		= ${TOOLS_C:.c=}
TEST_OBJS	= ${TESTS:.c=.o} ${TEST_MORE:.c=.o} ${FUZZ:.c=.o} \
		  ${FUZZ_MORE:.c=.o} ${TOOLS_C:.c=.o} ${TOOL_MORE:.c=.o} \
		  regress/fuzz/replay.o regress/tools/faults.o

# Touched when one of the flags is another than the last time.
FLAGS		!= sh regress/tools/stamp.sh build/flags \
		    '${COMPILE} : ${LINK} ${FAULTS} ${TLS} ${LIBS} : ${YACC}'

.SUFFIXES:
.SUFFIXES: .c .o .test .replay .fuzz

.c.o:
	${COMPILE} ${CHECK_CFLAGS} -c -o $@ $<
.o.test:
	${LINK} -o $@ $< ${TEST_LIB} ${LIB} ${CHECK_LIBS} ${LIBS}
.o.replay:
	${LINK} -o $@ $< regress/fuzz/replay.o ${FUZZ_MORE:.c=.o} ${LIB} \
	    ${LIBS}
.o.fuzz:
	${LINK} -fsanitize=fuzzer -o $@ $< ${FUZZ_MORE:.c=.o} ${LIB} ${LIBS}

all: ${PROG}

${PROG}: ${MAIN} ${LIB} ${FAULTS_${FAULTS}}
	${LINK} ${FAULTS_LD_${FAULTS}} -o $@ ${MAIN} ${FAULTS_${FAULTS}} \
	    ${LIB} ${LIBS}

${LIB}: ${OBJS}
	@rm -f $@
	${AR} rc $@ ${OBJS}
	${RANLIB} $@
${TEST_LIB}: ${TEST_MORE:.c=.o}
	@rm -f $@
	${AR} rc $@ ${TEST_MORE:.c=.o}
	${RANLIB} $@
${TOOL_LIB}: ${TOOL_MORE:.c=.o}
	@rm -f $@
	${AR} rc $@ ${TOOL_MORE:.c=.o}
	${RANLIB} $@
RANLIB		?= ranlib

smtpproxyd/parse.c: smtpproxyd/parse.y
	${YACC} -o $@ smtpproxyd/parse.y

# Parent and children must be of one build: they compare this hash.
smtpproxyd/build_id.h: Makefile ${HDRS} ${SRCS_ALL} ${SRCS_PORT} \
    ${GRAMMAR} smtpproxyd/main.c
	@{ echo "${SANDBOX} ${FAULTS}"; cat Makefile ${HDRS} ${SRCS_ALL} \
	    ${SRCS_PORT} ${GRAMMAR} smtpproxyd/main.c; } | \
	    ${HASH_${OS}} | \
	    sed -e 's/[^0-9a-f].*//' -e 's/.*/#define BUILD_ID	"&"/' > $@.new
	@mv $@.new $@

${OBJS} ${MAIN} ${TEST_OBJS}: ${HDRS} build/flags
${MAIN}: smtpproxyd/build_id.h
${TESTPROGS}: ${LIB} ${TEST_LIB}
${REPLAYS}: ${LIB} ${FUZZ_MORE:.c=.o} regress/fuzz/replay.o
${FUZZERS}: ${LIB} ${FUZZ_MORE:.c=.o}

# What the tests run.
tests: ${TESTPROGS} ${REPLAYS} tools
fuzzers: ${FUZZERS}
tools: ${TOOLS}
${TOOLS}: ${TOOLS_C:.c=.o} ${TOOL_LIB} ${LIB}
	${LINK} -o $@ $@.o ${TOOL_LIB} ${LIB} ${LIBS}

# For scripts that call a compiler or a checker of their own.
show-flags:
	@echo '${CPPFLAGS_ALL} ${CHECK_CFLAGS}'
show-srcs:
	@echo '${SRCS_ALL} ${SRCS_PORT} smtpproxyd/main.c'

deps:
	@sh regress/tools/deps.sh build
test-deps:
	@sh regress/tools/deps.sh test

demo:
	@sh regress/tools/deps.sh build
	@${MAKE} -s all tools
	@sh regress/tools/demo.sh

unit:
	@${MAKE} -s all tests
	@sh regress/tools/regress.sh unit corpora
lint:
	@${MAKE} -s all tests
	@sh regress/tools/regress.sh lint
regress:
	@sh regress/tools/deps.sh test
	@${MAKE} -s all tests
	@sh regress/tools/regress.sh unit lint corpora system
regress-full:
	@sh regress/tools/deps.sh test
	@${MAKE} -s all tests
	@sh regress/tools/regress.sh full
fuzz:
	@SECONDS_EACH=${SECONDS} sh regress/tools/regress.sh fuzz
soak:
	@${MAKE} -s all tools
	@/usr/bin/python3 regress/soak/soak.py --minutes ${MINUTES}
# Beside HAProxy and nginx on this machine, on which all else should rest.
bench:
	@sh regress/tools/deps.sh test
	@${MAKE} -s all tools
	@/usr/bin/python3 regress/bench/bench
coverage:
	@sh regress/tools/coverage.sh
# The page of the session machine, after a change of its table.
machine: regress/tools/machine
	regress/tools/machine >regress/MACHINE.md

install: ${PROG}
	@test -z "${SANDBOX}" || { echo "install: not a build with" \
	    "SANDBOX=${SANDBOX}" >&2; exit 1; }
	@test -z "${FAULTS}" || { echo "install: not a build with" \
	    "FAULTS=${FAULTS}" >&2; exit 1; }
	@test "${TLS}" = "${OS}" || { echo "install: not a build with" \
	    "TLS=${TLS}" >&2; exit 1; }
	@DESTDIR="${DESTDIR}" PREFIX="${PREFIX}" MAN="${MAN_${OS}}" \
	    SYSCONFDIR="${SYSCONFDIR}" SERVICE="${SERVICE_${OS}}" \
	    sh regress/tools/install.sh install
uninstall:
	@DESTDIR="${DESTDIR}" PREFIX="${PREFIX}" MAN="${MAN_${OS}}" \
	    SYSCONFDIR="${SYSCONFDIR}" SERVICE="${SERVICE_${OS}}" \
	    sh regress/tools/install.sh uninstall

# build/mta, the unpacked mail servers, stays: it costs minutes.
clean:
	rm -f common/port/tls_*.o
	rm -f ${PROG} ${OBJS} ${MAIN} ${TEST_OBJS} ${TESTPROGS} ${REPLAYS} \
	    ${FUZZERS} ${TOOLS} smtpproxyd/parse.c smtpproxyd/build_id.h \
	    smtpproxyd/build_id.h.new ${LIB} ${TEST_LIB} ${TOOL_LIB} \
	    build/flags
	rm -rf build/clang build/bmake build/asan build/trace build/faults \
	    build/fuzz build/coverage build/log build/demo build/dest
distclean: clean
	rm -rf build

.PHONY: all tests fuzzers tools show-flags show-srcs deps test-deps demo \
	unit lint regress regress-full fuzz soak bench coverage machine \
	install uninstall clean distclean
