/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/process.h"
#include "scan/matcher.h"

/*
 * The matcher beside `grep -oE` over the same raw answers of an API server (lists of Pods in JSON,
 * one line each page, as they come; one Pod in twenty names an address of the old range), in
 * processor time, both as a process from start to end with the text in a file in memory. Both print the
 * number of addresses.
 *
 *	scan-matcher            measures
 *	scan-matcher count FILE is what is measured
 */
#define BENCH_BYTES ((size_t)256 * 1024 * 1024)
#define BENCH_PAGE 500
#define BENCH_RUNS 3
/* what is read at a time, and more than an address has */
#define BENCH_PIECE ((size_t)1 << 20)
#define BENCH_WORD ((size_t)64)

static const char bench_grep[] =
	"LC_ALL=C grep -oE '(^|[^0-9.])10\\.96\\.[0-9]{1,3}\\.[0-9]{1,3}($|[^0-9.])' \"$1\" | wc "
	"-l";

static int bench_count(const char *path)
{
	auto_error struct error err = {0};
	struct net_cidr_list old = {0};
	struct scan_matcher matcher;
	struct scan_cursor cursor;
	struct scan_match match;
	auto_file FILE *file = fopen(path, "rbe");
	auto_free char *text = alloc_bytes(BENCH_PIECE);
	size_t count = 0, kept = 0, context = 0, n;

	if (!file || net_cidr_list_parse(SLICE("10.96.0.0/16"), &old, &err) < 0)
		return 1;
	scan_matcher_init(&matcher, &old);
	/* piece by piece: what begins in the last bytes of one is found in the next, which has
	 * some bytes before it, too */
	while ((n = fread(text + kept, 1, BENCH_PIECE - kept, file)) > 0) {
		size_t len = kept + n, end = n == BENCH_PIECE - kept ? len - BENCH_WORD : len;

		scan_cursor_start(&cursor, &matcher, (struct slice){text, len});
		while (scan_cursor_next(&cursor, &match) && match.offset < end)
			count += match.offset >= context;
		context = BENCH_WORD;
		kept = end == len ? 0 : 2 * BENCH_WORD;
		memmove(text, text + len - kept, kept);
	}
	printf("%zu\n", count);
	return 0;
}

/* Milliseconds of processor time that children took so far: what else runs here does not count. */
static double bench_now(void)
{
	struct rusage usage;

	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

static double bench_run(const char *const argv[], struct buffer *out)
{
	auto_error struct error err = {0};
	auto_buffer struct buffer errors = {0};
	double start = bench_now();
	int status;

	buffer_clear(out);
	if (process_run(argv, NULL, (struct slice){0}, 600000, out, &errors, &status, &err) < 0 ||
	    status != 0) {
		fprintf(stderr, "%s: %s%s\n", argv[0], error_text(&err), buffer_cstr(&errors));
		exit(1);
	}
	return bench_now() - start;
}

static void bench_pod(struct buffer *b, unsigned int i)
{
	unsigned int mixed = i * 2654435761u;

	buffer_format(
		b,
		"%s{\"metadata\":{\"name\":\"web-%u-%08x\",\"generateName\":\"web-%u-\","
		"\"namespace\":\"team-%u\",\"uid\":\"%08x-5b1e-4c2a-9d0f-%012x\","
		"\"resourceVersion\":\"%u\",\"creationTimestamp\":\"2026-11-2%uT1%u:30:00Z\","
		"\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"%08x\"},\"managedFields\":"
		"[{\"manager\":\"kubelet\",\"operation\":\"Update\",\"apiVersion\":\"v1\","
		"\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{\"f:status\":{\"f:conditions\":{"
		"\"k:{\\\"type\\\":\\\"Ready\\\"}\":{\".\":{},\"f:status\":{}}},\"f:podIP\":{}}}}]}"
		","
		"\"spec\":{\"nodeName\":\"node-%u\",\"containers\":[{\"name\":\"web\",\"image\":"
		"\"registry.example.com/team/web:1.10.%u\",\"env\":[{\"name\":\"UPSTREAM\","
		"\"value\":\"http://%s.%u.%u:8080/api\"}],\"resources\":{\"limits\":{\"cpu\":"
		"\"100m\",\"memory\":\"128Mi\"}},\"imagePullPolicy\":\"IfNotPresent\"}],"
		"\"restartPolicy\":\"Always\",\"dnsPolicy\":\"ClusterFirst\"},\"status\":{"
		"\"phase\":\"Running\",\"hostIP\":\"10.250.%u.%u\",\"podIP\":\"10.244.%u.%u\"}}",
		i % BENCH_PAGE ? "," : "", i, mixed, i, i % 40, mixed, i, i * 7, i % 9, i % 9,
		mixed, i % 300, i % 90, i % 20 ? "10.244" : "10.96", i % 256, mixed % 250, i % 4,
		i % 250, i % 256, mixed % 250);
}

/* The number of addresses of the old range that were written. */
static size_t bench_write(const char *path)
{
	auto_file FILE *file = fopen(path, "wbe");
	size_t written = 0, addresses = 0;
	unsigned int i = 0;

	if (!file) {
		perror(path);
		exit(1);
	}
	while (written < BENCH_BYTES) {
		auto_buffer struct buffer page = {0};

		buffer_text(&page, "{\"kind\":\"PodList\",\"apiVersion\":\"v1\",\"metadata\":{"
				   "\"resourceVersion\":\"1\"},\"items\":[");
		for (unsigned int j = 0; j < BENCH_PAGE; j++, i++) {
			addresses += i % 20 == 0;
			bench_pod(&page, i);
		}
		buffer_text(&page, "]}\n");
		written += fwrite(buffer_cstr(&page), 1, page.len, file);
	}
	return addresses;
}

static int bench_compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static int bench_measure(const char *program, const char *folder)
{
	auto_free char *path = alloc_format("%s/pods.json", folder);
	const char *const ours_argv[] = {program, "count", path, NULL};
	const char *const other_argv[] = {"sh", "-c", bench_grep, "sh", path, NULL};
	auto_buffer struct buffer out = {0};
	double ours[BENCH_RUNS], other[BENCH_RUNS];
	size_t addresses = bench_write(path);
	auto_free char *want = alloc_format("%zu\n", addresses);

	/* once before, so that both find the file in memory */
	bench_run(ours_argv, &out);
	for (size_t i = 0; i < BENCH_RUNS; i++) {
		ours[i] = bench_run(ours_argv, &out);
		if (strcmp(buffer_cstr(&out), want) != 0) {
			fprintf(stderr, "the matcher found %s instead of %s", buffer_cstr(&out),
				want);
			return 1;
		}
		other[i] = bench_run(other_argv, &out);
		if (strcmp(buffer_cstr(&out), want) != 0) {
			fprintf(stderr, "grep found %s instead of %s", buffer_cstr(&out), want);
			return 1;
		}
	}
	qsort(ours, BENCH_RUNS, sizeof(ours[0]), bench_compare);
	qsort(other, BENCH_RUNS, sizeof(other[0]), bench_compare);
	printf("scan-matcher ratio=%.1f ours=%.0f other=%.0f (MB/s, beside grep -oE over the same "
	       "%zu MiB of JSON)\n",
	       other[BENCH_RUNS / 2] / ours[BENCH_RUNS / 2],
	       (double)BENCH_BYTES / 1000 / ours[BENCH_RUNS / 2],
	       (double)BENCH_BYTES / 1000 / other[BENCH_RUNS / 2], BENCH_BYTES >> 20);
	return 0;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/kr-bench-XXXXXX";
	const char *const clean[] = {"rm", "-rf", folder, NULL};
	auto_buffer struct buffer out = {0};
	int status;

	if (argc > 2 && strcmp(argv[1], "count") == 0)
		return bench_count(argv[2]);
	if (!mkdtemp(folder)) {
		perror(folder);
		return 1;
	}
	status = bench_measure(argv[0], folder);
	bench_run(clean, &out);
	return status;
}
