/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "doctor/doctor.h"
#include "lib/observation_case.h"
#include "lib/test.h"
#include "text/json.h"

/*
 * tests/data/doctor/CASE/expected: the regime, then "error CODE SUBJECT" and "warning CODE SUBJECT"
 * of each finding, in order; lib/observation_case.h has the observations.
 */
static void examine(const char *dir)
{
	auto_free char *path = alloc_format("%s/expected", dir);
	auto_free char *expected = test_file(path, NULL);
	auto_json json_t *observation = observation_case_read(dir);
	auto_cluster struct cluster *cluster = NULL;
	auto_findings struct finding_list list = {0};
	auto_error struct error err = {0};
	auto_buffer struct buffer got = {0};

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	doctor_examine(cluster, &list);
	buffer_format(&got, "%s\n", cluster_regime_name(cluster->regime));
	for (size_t i = 0; i < list.count; i++) {
		const struct finding *f = &list.items[i];

		CHECK(f->message && *f->message);
		if (f->severity == FINDING_INFO)
			continue;
		CHECK(f->remedy && *f->remedy);
		buffer_format(&got, "%s %s %s\n", finding_severity_name(f->severity), f->code,
			      f->subject);
	}
	CHECK_STR(buffer_cstr(&got), expected);
}

/* A remedy names the repair only where a plan has a step for it. */
static const struct {
	const char *folder;
	const char *code;
	bool repairs;
} remedies[] = {
	{"tests/data/doctor/no-endpoints", "KR206", false},
	{"tests/data/doctor/dns-moved-kubelet-not", "KR402", true},
	{"tests/data/doctor/dns-moved-kubelet-not", "KR403", false},
	{"tests/data/doctor/incident-flag-1.36", "KR403", true},
	{"tests/data/doctor/dns-local-behind", "KR406", true},
	{"tests/data/doctor/dns-local-baked", "KR406", false},
};

static const struct finding *finding_of(const struct finding_list *list, const char *code)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].code, code) == 0)
			return &list->items[i];
	return NULL;
}

static void remedy(size_t row)
{
	auto_json json_t *observation = observation_case_read(remedies[row].folder);
	auto_cluster struct cluster *cluster = NULL;
	auto_findings struct finding_list list = {0};
	auto_error struct error err = {0};
	const struct finding *f;

	if (!CHECK_OK(cluster_build(observation, &cluster, &err), &err))
		return;
	doctor_examine(cluster, &list);
	f = finding_of(&list, remedies[row].code);
	if (CHECK(f && f->remedy))
		CHECK((strstr(f->remedy, "plan --repair") != NULL) == remedies[row].repairs);
}

int main(void)
{
	test_each_case("doctor", examine);
	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		TEST("remedy of %s in %s", remedies[i].code, remedies[i].folder);
		remedy(i);
	}
	TEST("one and many");
	CHECK_STR(finding_plural(1, "Pod crash-loops", "Pods crash-loop"), "Pod crash-loops");
	CHECK_STR(finding_plural(0, "Pod crash-loops", "Pods crash-loop"), "Pods crash-loop");
	CHECK_STR(finding_plural(2, "Pod crash-loops", "Pods crash-loop"), "Pods crash-loop");
	return test_done();
}
