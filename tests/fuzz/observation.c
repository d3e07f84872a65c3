/* SPDX-License-Identifier: MIT */
/*
 * An observation is what servers and nodes said: whatever it is, it becomes a cluster or an error,
 * and the doctor has a message for each finding.
 */
#include <assert.h>
#include <stdint.h>

#include "doctor/doctor.h"
#include "text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	auto_error struct error err = {0};
	auto_json json_t *document =
		json_parse((struct slice){(const char *)data, size}, "fuzz", &err);
	auto_cluster struct cluster *cluster = NULL;
	auto_findings struct finding_list list = {0};
	auto_json json_t *json = NULL;

	if (!document || cluster_build(document, &cluster, &err) < 0)
		return 0;
	doctor_examine(cluster, &list);
	for (size_t i = 0; i < list.count; i++)
		assert(list.items[i].message && *list.items[i].message);
	json = finding_list_json(&list);
	assert(json_array_size(json) == list.count);
	return 0;
}
