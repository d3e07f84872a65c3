/* SPDX-License-Identifier: MIT */
#include "step/pulse.h"

#include <string.h>

#include "base/clock.h"
#include "lib/test.h"

/* What kube-proxy's configuration and age make of the windows. */
static const struct {
	const char *name;
	const char *config; /* NULL: there is no ConfigMap */
	unsigned minor;
	int64_t period_ms;
	unsigned touches;
	int64_t gap_ms;
	int64_t quiet_ms;
} rows[] = {
	{"no ConfigMap: the default", NULL, 36, 1000, 1, 150, 2200},
	{"kubeadm writes 0 s for the default", "mode: \"\"\niptables:\n  minSyncPeriod: 0s\n", 36,
	 1000, 1, 150, 2200},
	{"another period", "mode: iptables\niptables:\n  minSyncPeriod: 2500ms\n", 36, 2500, 1, 150,
	 5500},
	{"minutes and seconds", "mode: iptables\niptables:\n  minSyncPeriod: 1m1s\n", 36, 61000, 1,
	 150, 134200},
	{"a bucket of two tokens", "mode: nftables\nnftables:\n  minSyncPeriod: 1s\n", 32, 1000, 2,
	 150, 3200},
	{"the longest where nodes differ",
	 "mode: nftables\nnftables:\n  minSyncPeriod: 1s\niptables:\n  minSyncPeriod: 3s\n", 33,
	 3000, 2, 150, 9600},
	{"1.20 needs more between its touches", "mode: \"\"\n", 20, 1000, 2, 200, 3200},
	{"IPVS does not wait", "mode: ipvs\nipvs:\n  minSyncPeriod: 0s\n", 36, 0, 1, 150, 0},
	{"IPVS that waits", "mode: ipvs\nipvs:\n  minSyncPeriod: 4s\n", 36, 4000, 1, 150, 8800},
	{"what cannot be read is the default",
	 "mode: iptables\niptables:\n  minSyncPeriod: often\n", 36, 1000, 1, 150, 2200},
};

static void test_configure(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_step_pulse struct step_pulse pulse = {0};
		struct error err = {0};

		TEST("%s", rows[i].name);
		CHECK_OK(step_pulse_configure(&pulse, rows[i].config, rows[i].minor, &err), &err);
		CHECK_INT(pulse.period_ms, rows[i].period_ms);
		CHECK_INT(pulse.touches, rows[i].touches);
		CHECK_INT(pulse.touch_gap_ms, rows[i].gap_ms);
		CHECK_INT(pulse.quiet_ms, rows[i].quiet_ms);
	}
}

static void test_malformed(void)
{
	auto_step_pulse struct step_pulse pulse = {0};
	auto_error struct error err = {0};

	TEST("a configuration that is no YAML");
	CHECK_ERROR(step_pulse_configure(&pulse, "mode: [", 36, &err), &err, ERROR_PARSE,
		    "kube-proxy");
}

static void test_window(void)
{
	struct step_pulse pulse = {.period_ms = 1000, .end_ms = 50800};
	struct step_pulse ipvs = {0};

	TEST("a window ends before the next sync, and never where proxies do not wait");
	clock_set_virtual(50120, 0);
	CHECK_INT(step_pulse_left(&pulse), 680);
	clock_set_virtual(50900, 0);
	CHECK(step_pulse_left(&pulse) < 0);
	CHECK(step_pulse_left(&ipvs) == INT64_MAX);
	step_pulse_disturbed(&pulse);
	CHECK_INT(pulse.quiet_since_ms, 50900);
}

static void test_metrics_address(void)
{
	static const struct {
		const char *config;
		const char *address; /* NULL: the default */
		int port;
	} binds[] = {
		{"mode: iptables\n", NULL, 10249},
		{"metricsBindAddress: \"\"\n", NULL, 10249},
		{"metricsBindAddress: 0.0.0.0:10249\n", NULL, 10249},
		{"metricsBindAddress: \"[::]:9000\"\n", NULL, 9000},
		{"metricsBindAddress: 127.0.0.1:10349\n", "127.0.0.1", 10349},
		{"metricsBindAddress: \"[fd00::1]:7\"\n", "fd00::1", 7},
		{"metricsBindAddress: nonsense\n", NULL, 10249},
	};

	for (size_t i = 0; i < sizeof(binds) / sizeof(binds[0]); i++) {
		auto_step_pulse struct step_pulse pulse = {0};
		struct error err = {0};

		TEST("where the metrics are: %s", binds[i].config);
		CHECK_OK(step_pulse_configure(&pulse, binds[i].config, 36, &err), &err);
		CHECK_INT(pulse.metrics_port, binds[i].port);
		if (binds[i].address)
			CHECK_STR(pulse.metrics, binds[i].address);
		else
			CHECK(pulse.metrics == NULL);
	}
}

int main(void)
{
	test_metrics_address();
	test_configure();
	test_malformed();
	test_window();
	return test_done();
}
