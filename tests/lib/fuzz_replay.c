/* SPDX-License-Identifier: MIT */

/*
 * main() of a fuzz target as a unit test: runs the target over its corpus
 * (tests/fuzz/corpus/NAME, and files given as arguments), then over each file cut short and with
 * bytes changed, always the same ones. Works with any compiler; libFuzzer finds more.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	/* of all files together; keeps a slow target at seconds, also with sanitizers */
	MAX_CHANGES = 3000,
};

static unsigned tests;

/* An exact copy on the heap, so that reading past its end is seen by ASan and valgrind. */
static void replay_one(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void replay_changes(uint8_t *data, size_t size, size_t max)
{
	static const uint8_t values[] = {0, ' ', '\n', '"', '-', '0', ':', 0x80, 0xff};
	size_t step = size * (1 + sizeof(values)) / max + 1;

	for (size_t at = 0; at < size; at += step) {
		uint8_t kept = data[at];

		replay_one(data, at);
		for (size_t i = 0; i < sizeof(values); i++) {
			data[at] = values[i];
			replay_one(data, size);
		}
		data[at] = kept;
	}
}

static void replay_file(const char *path, const char *name, size_t changes)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = malloc(1 << 20);
	size_t size;

	if (!file || !data) {
		printf("Bail out! cannot read '%s'\n", path);
		exit(EXIT_FAILURE);
	}
	size = fread(data, 1, 1 << 20, file);
	fclose(file);
	printf("# %s\n", name);
	fflush(stdout);
	replay_one(data, size);
	replay_changes(data, size, changes);
	free(data);
	printf("ok %u - %s\n", ++tests, name);
}

int main(int argc, char **argv)
{
	const char *target = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const char *root = getenv("KR_SRCDIR");
	struct dirent **entries;
	char folder[4096], path[4400];
	int count;

	for (int i = 1; i < argc; i++)
		replay_file(argv[i], argv[i], MAX_CHANGES);
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", root ? root : KR_SRCDIR,
		 target);
	count = scandir(folder, &entries, NULL, alphasort);
	for (int i = 0; i < count; i++) {
		if (entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
			replay_file(path, entries[i]->d_name, MAX_CHANGES / (size_t)count + 1);
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	printf("1..%u\n", tests);
	return tests == 0;
}
