/* SPDX-License-Identifier: MIT */
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

int main(void)
{
	test_each_case("doctor", examine);
	return test_done();
}
