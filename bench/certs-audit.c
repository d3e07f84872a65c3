/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/process.h"
#include "lib/authority.h"
#include "pki/audit.h"

/*
 * The whole audit (names, terms, usages, keys, chains) of the certificates of 32 control planes,
 * as one process from start to end, beside the loop that the incident's author typed over the same
 * files, which prints names only. Keys and CAs are RSA-2048, as kubeadm makes them.
 *
 *	certs-audit            measures
 *	certs-audit audit DIR… is what is measured
 */
#define BENCH_NODES 32
#define BENCH_RUNS 5

static const char bench_loop[] =
	"for i in $(find \"$1\" -type f -name '*.crt'); do openssl x509 -in $i -text "
	"| grep -A 2 'Subject Alternative Name'; done; :";

static int bench_audit(int count, char **folders)
{
	static const char *const addresses[] = {"10.96.0.1", "10.17.0.1"};
	auto_pki_texts struct pki_texts expected = {0};
	size_t certificates = 0;
	size_t matching = 0;
	size_t verified = 0;
	size_t gaps = 0;

	pki_texts_add(&expected, addresses[0]);
	pki_texts_add(&expected, addresses[1]);
	for (int i = 0; i < count; i++) {
		const struct pki_audit_options options = {.expected = &expected};
		auto_pki_audit struct pki_audit audit = {0};
		auto_error struct error err = {0};

		if (pki_audit_folder(folders[i], &options, &audit, &err) < 0) {
			fprintf(stderr, "%s\n", error_text(&err));
			return 1;
		}
		certificates += audit.count;
		for (size_t j = 0; j < audit.count; j++) {
			matching += audit.records[j].key_matches;
			verified += audit.records[j].ca_path || audit.records[j].self_signed;
			gaps += pki_record_problem(&audit.records[j], "san-missing") != NULL;
		}
	}
	printf("%zu %zu %zu %zu\n", certificates, matching, verified, gaps);
	return 0;
}

static double bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Milliseconds from start to end; the output replaces *out. */
static double bench_run(const char *const argv[], struct buffer *out)
{
	auto_error struct error err = {0};
	auto_buffer struct buffer errors = {0};
	double start = bench_now();
	int status = 0;

	buffer_clear(out);
	if (process_run(argv, NULL, (struct slice){0}, 600000, out, &errors, &status, &err) < 0 ||
	    status != 0) {
		fprintf(stderr, "%s: %s%s\n", argv[0], error_text(&err), buffer_cstr(&errors));
		exit(1);
	}
	return bench_now() - start;
}

static int bench_compare(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;

	return (left > right) - (left < right);
}

static int bench_measure(const char *self, const char *folder)
{
	const char *ours_argv[BENCH_NODES + 3] = {self, "audit"};
	const char *other_argv[] = {"/bin/sh", "-c", bench_loop, "sh", folder, NULL};
	char *nodes[BENCH_NODES];
	double ours[BENCH_RUNS];
	auto_buffer struct buffer out = {0};
	size_t count = 0;
	double other;

	for (size_t i = 0; i < BENCH_NODES; i++) {
		auto_free char *pki = NULL;

		nodes[i] = alloc_format("%s/node%02zu", folder, i);
		pki = file_join(nodes[i], "pki");
		ours_argv[2 + i] = nodes[i];
		if (i == 0) {
			authority_make_pki(pki, PKI_KEY_RSA_2048, time(NULL));
		} else {
			const char *copy[] = {"cp", "-a", nodes[0], nodes[i], NULL};

			bench_run(copy, &out);
		}
	}
	/* once before, so that both find the files in memory */
	bench_run(ours_argv, &out);
	for (size_t i = 0; i < BENCH_RUNS; i++)
		ours[i] = bench_run(ours_argv, &out);
	qsort(ours, BENCH_RUNS, sizeof(ours[0]), bench_compare);
	count = (size_t)BENCH_NODES * 10;
	if (strcmp(buffer_cstr(&out), "320 320 320 32\n") != 0) {
		fprintf(stderr, "the audit saw something else than is there: %s",
			buffer_cstr(&out));
		return 1;
	}
	other = bench_run(other_argv, &out);
	printf("certs-audit ratio=%.0f ours=%.4f other=%.3f (ms per certificate, beside the "
	       "incident's openssl loop over the same %zu files)\n",
	       other / ours[BENCH_RUNS / 2], ours[BENCH_RUNS / 2] / (double)count,
	       other / (double)count, count);
	for (size_t i = 0; i < BENCH_NODES; i++)
		free(nodes[i]);
	return 0;
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/kr-bench-XXXXXX";
	const char *const clean[] = {"rm", "-rf", folder, NULL};
	auto_buffer struct buffer out = {0};
	int status;

	if (argc > 2 && strcmp(argv[1], "audit") == 0)
		return bench_audit(argc - 2, argv + 2);
	if (!mkdtemp(folder)) {
		perror(folder);
		return 1;
	}
	status = bench_measure(argv[0], folder);
	bench_run(clean, &out);
	return status;
}
