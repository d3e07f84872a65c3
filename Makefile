# SPDX-License-Identifier: MIT
#
# make                     build/kubectl-renumber, build/renumber-agent, build/renumber-lab
# make check               installs what is missing, builds, runs unit, data, API and CLI tests
# make check-cluster       real clusters (root, network namespaces); ARGS='1.36.3 incident-delete'
# make bench [ONLY=NAME]   one line for each ratio
# make demo                the main job, shown
# make campaign RUNS=20 SEED=1 [ONLY=I]   harm done to runs in the lab, and what must hold after it (JOBS at a time)
# make campaign-every [STEP=N] [ANY=1]   each change of a repair and of a migration in each regime harmed in turn
# make campaign-summary    what campaigns have done so far, by commit
# make install DESTDIR= PREFIX=/usr/local
# make fuzz [ONLY=NAME] [FUZZ_SECONDS=10], make coverage, make dist, make distcheck, make clean
# SAN=address,undefined    sanitizers, objects in build-address,undefined/
# CC=clang BUILD=DIR WERROR=1 V=1 TESTS='tests/cli/a.t build/tests/unit/b'

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

PREFIX ?= /usr/local
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
FUZZ_SECONDS ?= 10
BUILD := build$(if $(SAN),-$(SAN))
Q := $(if $(filter 1,$(V) $(VERBOSE)),,@)
comma := ,
say = $(if $(Q),@printf '  %-7s %s\n' '$(1)' '$(2)')
# one level of -j for those who gave none
parallel = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))
# asked once, and only when something is compiled: the libraries may have to be installed first
once = $(eval $(1) := $(2))$($(1))

PACKAGES := libcurl openssl jansson libfyaml sqlite3 zlib
LAB_PACKAGES := libmicrohttpd gnutls
AGENT_PACKAGES := openssl jansson libfyaml
PKG_CFLAGS = $(call once,PKG_CFLAGS,$(shell pkg-config --cflags $(PACKAGES)))
PKG_LIBS = $(call once,PKG_LIBS,$(shell pkg-config --libs $(PACKAGES)))
AGENT_LIBS = $(call once,AGENT_LIBS,$(shell pkg-config --static --libs $(AGENT_PACKAGES)))
LAB_LIBS = $(call once,LAB_LIBS,$(shell pkg-config --libs $(LAB_PACKAGES)))

WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wvla -Wwrite-strings -Wpointer-arith -Wundef -Wformat=2 \
	-Wconversion -Wimplicit-fallthrough $(if $(WERROR),-Werror)
SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
HARDEN := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2)
CFLAGS ?= -O2 -g
KR_CFLAGS = -std=c17 -D_GNU_SOURCE -Isrc -I. -I$(BUILD)/include $(WARNINGS) -fno-common -fPIE \
	-ffunction-sections -fdata-sections $(HARDEN) $(SANITIZE) $(CFLAGS) $(PKG_CFLAGS) \
	$(EXTRA_CFLAGS)
KR_LDFLAGS = -Wl,-z,relro,-z,now -Wl,--gc-sections $(SANITIZE) $(CFLAGS) $(LDFLAGS)

SRC := $(wildcard src/*.c src/*/*.c)
MAINS := src/main.c src/agent/main.c
LAB_SRC := $(wildcard lab/*.c)
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIB_OBJ := $(call obj,$(filter-out $(MAINS),$(SRC)))
AGENT_OBJ := $(call obj,$(filter-out $(MAINS),$(wildcard $(patsubst %,src/%/*.c,agent pki text net base))))
LAB_OBJ := $(call obj,$(filter-out lab/main.c,$(LAB_SRC)))
TEST_LIB_OBJ := $(call obj,$(filter-out tests/lib/fuzz_replay.c,$(wildcard tests/lib/*.c)))

CLI := $(if $(wildcard src/main.c),$(BUILD)/kubectl-renumber)
AGENT := $(if $(wildcard src/agent/main.c),$(BUILD)/renumber-agent)
LAB := $(if $(wildcard lab/main.c),$(BUILD)/renumber-lab $(BUILD)/renumber-lab-shim \
	$(BUILD)/renumber-lab-agent $(BUILD)/renumber-lab-hurry.so)
UNIT := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*.c))
# programs that the scripts of these folders run
TEST_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/api/*.c tests/cli/*.c tests/crash/*.c))
REPLAY := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
BENCH := $(patsubst %.c,$(BUILD)/%,$(wildcard bench/*.c))
TESTS := $(UNIT) $(REPLAY) $(wildcard tests/data/*.t tests/api/*.t tests/cli/*.t tests/lab/*.t)
.PHONY: all check check-run test-programs bench-programs objects check-cluster bench demo campaign campaign-every campaign-summary install fuzz fuzz-programs \
	coverage dist distcheck clean FORCE
all: $(CLI) $(AGENT) $(LAB)

$(BUILD)/include/version.h: FORCE
	@mkdir -p $(@D)
	@printf '#define KUBECTL_RENUMBER_VERSION "%s"\n' "$$(tools/version)" >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/src/%.o: src/%.c | $(BUILD)/include/version.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KR_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c | $(BUILD)/include/version.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(KR_CFLAGS) -Itests -DKR_SRCDIR='"$(CURDIR)"' -MMD -MP -c -o $@ $<

# a list of members, so that a deleted source leaves the archive too
$(BUILD)/%.list: FORCE
	@mkdir -p $(@D)
	@echo '$(MEMBERS)' | cmp -s - $@ || echo '$(MEMBERS)' >$@
$(BUILD)/libkr.list: MEMBERS = $(LIB_OBJ)
$(BUILD)/libagent.list: MEMBERS = $(AGENT_OBJ)
$(BUILD)/liblab.list: MEMBERS = $(LAB_OBJ)
$(BUILD)/libtest.list: MEMBERS = $(TEST_LIB_OBJ)
$(BUILD)/libkr.a: $(LIB_OBJ)
$(BUILD)/libagent.a: $(AGENT_OBJ)
$(BUILD)/liblab.a: $(LAB_OBJ)
$(BUILD)/libtest.a: $(TEST_LIB_OBJ)
$(BUILD)/%.a: $(BUILD)/%.list
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

# The debug information goes to FILE.debug, where gdb and valgrind look for it.
split = $(if $(SAN)$(KEEP_DEBUG),,$(Q)objcopy --only-keep-debug $@ $@.debug && strip $@ \
	&& objcopy --add-gnu-debuglink=$@.debug $@)

$(BUILD)/kubectl-renumber: $(BUILD)/src/main.o $(BUILD)/libkr.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) -pie -o $@ $^ $(PKG_LIBS)
	$(split)

# Static, because it runs on any node; sanitizers do not link statically. What ld says of dlopen and
# name look-ups in libcrypto is dropped (the agent uses neither); its own --no-warnings would hide
# undefined symbols too.
$(BUILD)/renumber-agent: $(BUILD)/src/agent/main.o $(BUILD)/libagent.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) $(if $(SAN),-pie,-static-pie) -o $@ $^ $(AGENT_LIBS) 2>$@.log; \
		status=$$?; grep -vE 'in statically linked applications|libcrypto.*: in function' $@.log >&2; \
		rm -f $@.log; exit $$status
	$(split)

$(BUILD)/renumber-lab: $(BUILD)/lab/main.o $(LAB_OBJ) $(BUILD)/libkr.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) -pie -o $@ $^ $(PKG_LIBS) $(LAB_LIBS)
	$(split)

# small and static, because it is started often
$(BUILD)/renumber-lab-shim: $(BUILD)/lab/shim/main.o $(BUILD)/lab/shim.o $(BUILD)/lab/ask.o $(BUILD)/libagent.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) $(if $(SAN),,-static) -o $@ $^ $(if $(SAN),$(AGENT_LIBS),-ljansson)
	$(split)

# the agent for labs whose clock is shared: the same objects, but libc's clocks and files are those
# of lab/hurry
HURRY_WRAPS := clock_gettime time nanosleep poll __poll_chk open write fsync rename link unlink
HURRY_SRC := $(wildcard lab/hurry/*.c)
$(BUILD)/lab/hurry/%.wrapped.o: lab/hurry/%.c lab/hurry/hook.h lab/hurry/page.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(KR_CFLAGS) -DHURRY_WRAPPED -Wno-missing-prototypes -c -o $@ $<
$(BUILD)/renumber-lab-agent: $(BUILD)/src/agent/main.o $(patsubst %.c,$(BUILD)/%.wrapped.o,$(HURRY_SRC)) $(BUILD)/libagent.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(HURRY_WRAPS)) $(if $(SAN),-pie,-static) -o $@ $^ \
		$(AGENT_LIBS) 2>$@.log; status=$$?; \
		grep -vE 'in statically linked applications|libcrypto.*: in function' $@.log >&2; rm -f $@.log; exit $$status
	$(split)

# preloaded into programs that may be of another kind: neither sanitizers nor -pie
$(BUILD)/renumber-lab-hurry.so: $(HURRY_SRC) lab/hurry/hook.h lab/hurry/page.h
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=c17 -D_GNU_SOURCE -I. $(WARNINGS) -Wno-missing-prototypes -O2 -fPIC -fvisibility=hidden -shared -o $@ \
		$(HURRY_SRC) -ldl

LAB_UNIT := $(filter $(BUILD)/tests/unit/lab_%,$(UNIT))
$(LAB_UNIT): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libtest.a $(BUILD)/liblab.a $(BUILD)/libkr.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) -pie -o $@ $^ $(PKG_LIBS) $(LAB_LIBS)

$(filter-out $(LAB_UNIT),$(UNIT)) $(TEST_PROGRAMS) $(BENCH): $(BUILD)/%: $(BUILD)/%.o $(BUILD)/libtest.a $(BUILD)/libkr.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) -pie -o $@ $^ $(PKG_LIBS)

$(REPLAY): $(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/lib/fuzz_replay.o $(BUILD)/libkr.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) -pie -o $@ $^ $(PKG_LIBS)

bench-programs: $(BENCH)
objects: $(call obj,$(SRC) $(LAB_SRC))
test-programs: all $(UNIT) $(TEST_PROGRAMS) $(REPLAY)

check:
	@tools/install-deps
	@+$(MAKE) --no-print-directory $(parallel) test-programs
	@+$(MAKE) --no-print-directory check-run

check-run: export KR_SRCDIR := $(CURDIR)
check-run: export KR_BUILD := $(abspath $(BUILD))
check-run: export LC_ALL := C.UTF-8
check-run: export KR_SAN := $(SAN)
check-run:
	$(Q)prove --failures --exec '$(CHECK_EXEC)' -j$(JOBS) $(PROVE_ARGS) $(TESTS)

CLUSTER_VERSIONS ?= 1.36.3 1.32.2 1.20.2
check-cluster:
	@tools/install-deps
	@tests/cluster/install-deps
	@+$(MAKE) --no-print-directory $(parallel) all
	$(Q)$(if $(ARGS),tests/cluster/run $(ARGS),status=0; for version in $(CLUSTER_VERSIONS); do \
		tests/cluster/run $$version $$(tests/cluster/run --list) || status=1; done; exit $$status)

bench: all $(BENCH)
	$(Q)KR_SRCDIR=$(CURDIR) KR_BUILD=$(abspath $(BUILD)) bench/run $(ONLY)

demo:
	@tools/install-deps
	@+$(MAKE) --no-print-directory $(parallel) all
	$(Q)KR_BUILD=$(abspath $(BUILD)) tools/demo

RUNS ?= 20
SEED ?= 1
campaign:
	@tools/install-deps
	@+$(MAKE) --no-print-directory $(parallel) all
	$(Q)KR_BUILD=$(abspath $(BUILD)) JOBS=$(JOBS) tools/campaign $(RUNS) $(SEED) $(ONLY)

campaign-every:
	@tools/install-deps
	@+$(MAKE) --no-print-directory $(parallel) all
	$(Q)KR_BUILD=$(abspath $(BUILD)) JOBS=$(JOBS) tools/campaign --every all

campaign-summary:
	$(Q)tools/campaign --sum doc/campaign-results.jsonl

fuzz:
	@+$(MAKE) --no-print-directory $(parallel) BUILD=$(BUILD)/fuzz SAN=fuzzer-no-link,address,undefined \
		CC=clang fuzz-programs
	$(Q)tools/run-fuzz $(BUILD)/fuzz $(FUZZ_SECONDS) $(ONLY)
fuzz-programs: $(patsubst %.c,$(BUILD)/%.fuzzer,$(wildcard tests/fuzz/*.c))
$(BUILD)/tests/fuzz/%.fuzzer: $(BUILD)/tests/fuzz/%.o $(BUILD)/libkr.a
	$(call say,LD,$@)
	$(Q)$(CC) $(KR_LDFLAGS) -fsanitize=fuzzer -pie -o $@ $^ $(PKG_LIBS)

coverage:
	@+$(MAKE) --no-print-directory BUILD=$(BUILD)/coverage CFLAGS='-O0 -g --coverage' KEEP_DEBUG=1 check
	$(Q)tools/coverage $(BUILD)/coverage

SHELLS := bash zsh fish
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 755 $(CLI) $(AGENT) $(filter-out %.so %-lab-agent,$(LAB)) $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(wildcard doc/*.1) $(DESTDIR)$(PREFIX)/share/man/man1
	$(if $(wildcard doc/*.5),install -m 644 $(wildcard doc/*.5) $(DESTDIR)$(PREFIX)/share/man/man5)
	install -d $(DESTDIR)$(PREFIX)/share/kubectl-renumber
	install -m 644 deploy/rbac-read.yaml deploy/rbac-run.yaml $(DESTDIR)$(PREFIX)/share/kubectl-renumber
	tools/install-completion $(CLI) $(DESTDIR)$(PREFIX) $(SHELLS)

VERSION = $(call once,VERSION,$(shell tools/version))
DIST = kubectl-renumber-$(VERSION)
dist:
	$(Q)mkdir -p $(BUILD)/dist && echo $(VERSION) >$(BUILD)/dist/VERSION
	$(Q)git archive --prefix=$(DIST)/ --add-file=$(BUILD)/dist/VERSION HEAD \
		| gzip -n9 >$(BUILD)/dist/$(DIST).tar.gz
	@echo $(BUILD)/dist/$(DIST).tar.gz

# DIST_TESTS='$(UNIT)': fewer tests, as TESTS there
distcheck: dist
	$(Q)rm -rf $(BUILD)/dist/$(DIST) && tar -C $(BUILD)/dist -xzf $(BUILD)/dist/$(DIST).tar.gz
	$(Q)+$(MAKE) -C $(BUILD)/dist/$(DIST) BUILD=build $(if $(DIST_TESTS),TESTS='$(value DIST_TESTS)') check
	$(Q)rm -rf $(BUILD)/dist/$(DIST)

clean:
	rm -rf build build-*

-include $(shell find $(addprefix $(BUILD)/,src lab tests bench) -name "*.d" -type f 2>/dev/null)
