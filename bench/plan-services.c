/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/process.h"
#include "lib/test.h"
#include "plan/make.h"
#include "text/json.h"

/*
 * The plan of a migration of 10,000 Services, from the observation to the text of the plan file, as
 * one process, beside its budget of 2 s and 200 MB.
 *
 *	plan-services          measures
 *	plan-services plan FILE    is what is measured: the observation is in FILE
 */
#define BENCH_SERVICES 10000
#define BENCH_RUNS 3
#define BENCH_SECONDS 2.0
#define BENCH_MB 200.0
#define BENCH_FILE ((size_t)1 << 30)

static int bench_plan(const char *file)
{
	const struct plan_request request = {.mode = PLAN_MIGRATE,
					     .to = "10.16.0.0/14",
					     .run = "r-bench",
					     .created_at = "2026-11-22T23:00:00Z",
					     .restart = "needed",
					     .nodes_reached = true};
	auto_buffer struct buffer text = {.max = BENCH_FILE};
	auto_error struct error err = {0};
	auto_json json_t *observation = NULL;
	auto_cluster struct cluster *cluster = NULL;
	auto_plan struct plan plan = {0};
	auto_buffer struct buffer dump = {.max = BENCH_FILE};

	if (file_read(file, BENCH_FILE, &text, &err) < 0 ||
	    !(observation = json_parse(buffer_as_slice(&text), file, &err))) {
		fprintf(stderr, "%s\n", error_text(&err));
		return 1;
	}
	buffer_release(&text); /* pages of a list go one by one, too */
	if (cluster_build(observation, &cluster, &err) < 0 ||
	    plan_make(cluster, &request, &plan, &err) < 0) {
		fprintf(stderr, "%s\n", error_text(&err));
		return 1;
	}
	plan_to_text(&plan, &dump);
	printf("%zu %d\n", json_array_size(plan.map), dump.len > BENCH_SERVICES);
	return 0;
}

/* As an API server gives them, with what people and tools put on them. */
static json_t *bench_service(unsigned int n)
{
	auto_free char *name = alloc_format("service-%05u", n);
	auto_free char *space = alloc_format("team-%03u", n % 200);
	auto_free char *address =
		alloc_format("10.%u.%u.%u", 96 + n / 50000, n / 200 % 250 + 1, n % 200 + 20);

	return json_pack(
		"{s:s, s:s, s:{s:s, s:s, s:s+, s:s, s:s, s:{s:s, s:s, s:s, s:s}, s:{s:s, s:s}},"
		" s:{s:s, s:[s], s:s, s:[s], s:s, s:s, s:s, s:{s:s, s:s},"
		" s:[{s:s, s:i, s:s, s:s}, {s:s, s:i, s:s, s:i}]}, s:{s:{}}}",
		"apiVersion", "v1", "kind", "Service", "metadata", "name", name, "namespace", space,
		"uid", "0d4b6a8e-5a52-4d5e-9d0c-", name, "resourceVersion", "123456",
		"creationTimestamp", "2026-10-01T08:00:00Z", "labels", "app.kubernetes.io/name",
		name, "app.kubernetes.io/instance", name, "app.kubernetes.io/managed-by", "Helm",
		"helm.sh/chart", "service-1.2.3", "annotations", "meta.helm.sh/release-name", name,
		"meta.helm.sh/release-namespace", space, "spec", "clusterIP", address, "clusterIPs",
		address, "internalTrafficPolicy", "Cluster", "ipFamilies", "IPv4", "ipFamilyPolicy",
		"SingleStack", "sessionAffinity", "None", "type", "ClusterIP", "selector",
		"app.kubernetes.io/name", name, "app.kubernetes.io/instance", name, "ports", "name",
		"http", "port", 80, "protocol", "TCP", "targetPort", "http", "name", "metrics",
		"port", 9090, "protocol", "TCP", "targetPort", 9090, "status", "loadBalancer");
}

static int bench_observation(const char *file)
{
	auto_free char *text = test_file("tests/data/doctor/healthy-1.36/observation.json", NULL);
	auto_error struct error err = {0};
	auto_json json_t *observation = json_parse(slice_of(text), "observation", &err);
	json_t *services = json_path(observation, "services");
	auto_free char *dump = NULL;

	for (unsigned int n = 0; n < BENCH_SERVICES; n++)
		json_array_append_new(services, bench_service(n));
	dump = json_dumps(observation, JSON_COMPACT);
	if (dump && file_replace(file, dump, strlen(dump), 0600, 0, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", error_text(&err));
	return -1;
}

/* Processor time of children that ended: others work on this machine, too. */
static double bench_used(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int bench_measure(const char *self, const char *file)
{
	const char *const argv[] = {self, "plan", file, NULL};
	auto_free char *expected = alloc_format("%d 1\n", BENCH_SERVICES + 2);
	struct rusage usage;
	double best = 0;
	double mb;

	for (int i = 0; i < BENCH_RUNS; i++) {
		auto_error struct error err = {0};
		auto_buffer struct buffer out = {0};
		auto_buffer struct buffer errors = {0};
		double start = bench_used();
		double took;
		int status = 0;

		if (process_run(argv, NULL, (struct slice){0}, 600000, &out, &errors, &status,
				&err) < 0 ||
		    status != 0 || strcmp(buffer_cstr(&out), expected) != 0) {
			fprintf(stderr, "%s%s%s\n", error_text(&err), buffer_cstr(&errors),
				buffer_cstr(&out));
			return 1;
		}
		took = bench_used() - start;
		if (i == 0 || took < best)
			best = took;
	}
	getrusage(RUSAGE_CHILDREN, &usage);
	mb = (double)usage.ru_maxrss / 1024;
	printf("plan-services ratio=%.1f ours=%.3f other=%.3f (s of processor time for %d "
	       "Services, beside the "
	       "budget)\n",
	       BENCH_SECONDS / best, best, BENCH_SECONDS, BENCH_SERVICES);
	printf("plan-services-memory ratio=%.1f ours=%.0f other=%.0f (MB resident, beside the "
	       "budget)\n",
	       BENCH_MB / mb, mb, BENCH_MB);
	return best <= BENCH_SECONDS && mb <= BENCH_MB ? 0 : 1;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/kr-bench-XXXXXX";
	auto_free char *file = NULL;
	int status = 1;

	if (argc == 3 && strcmp(argv[1], "plan") == 0)
		return bench_plan(argv[2]);
	if (!mkdtemp(folder)) {
		perror(folder);
		return 1;
	}
	file = file_join(folder, "observation.json");
	if (bench_observation(file) == 0)
		status = bench_measure(argv[0], file);
	remove(file);
	remove(folder);
	return status;
}
