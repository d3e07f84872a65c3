/* SPDX-License-Identifier: MIT */
#include "probe.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS " \t\n"

static int kind_parse(const char *word, enum probe_kind *ret_kind)
{
	static const char *const names[] = {"tls", "tcp", "udp", "dns"};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strcmp(word, names[i]) == 0) {
			*ret_kind = (enum probe_kind)i;
			return 0;
		}
	}
	return -1;
}

static int number_parse(const char *word, int *ret_number)
{
	char *end;
	long number = strtol(word, &end, 10);

	if (*end || number < 1 || number > 65535)
		return -1;
	*ret_number = (int)number;
	return 0;
}

static int line_parse(char *line, struct target *t)
{
	char *words[6] = {0}, *rest = line, *word;
	int n = 0, period;

	while (n < 6 && (word = strsep(&rest, SEPARATORS)))
		if (*word)
			words[n++] = word;
	if (n < 5 || kind_parse(words[0], &t->kind) < 0 || number_parse(words[3], &t->port) < 0 ||
	    number_parse(words[4], &period) < 0 || (t->kind == PROBE_DNS && n < 6))
		return -1;
	snprintf(t->name, sizeof(t->name), "%s", words[1]);
	snprintf(t->address, sizeof(t->address), "%s", words[2]);
	snprintf(t->question, sizeof(t->question), "%s", n == 6 ? words[5] : "");
	t->control = strncmp(t->name, "control", 7) == 0;
	t->period = (int64_t)period * 1000;
	t->to.sin_family = AF_INET;
	t->to.sin_port = htons((uint16_t)t->port);
	return inet_pton(AF_INET, t->address, &t->to.sin_addr) == 1 ? 0 : -1;
}

int probe_configure(struct probe *p)
{
	FILE *file = fopen(p->config, "re");
	char line[512], copy[512];
	int64_t now = probe_monotonic();

	if (!file) {
		fprintf(stderr, "probe: cannot read '%s'\n", p->config);
		return -1;
	}
	while (fgets(line, sizeof(line), file)) {
		struct target *t = &p->targets[p->n_targets];

		if (line[0] == '#' || line[0] == '\n')
			continue;
		memcpy(copy, line, sizeof(copy));
		if (p->n_targets == PROBE_TARGETS || line_parse(copy, t) < 0) {
			fprintf(stderr, "probe: %s: cannot use this line: %s", p->config, line);
			fclose(file);
			return -1;
		}
		/* Beats are spread, so that targets do not wait for one another. */
		t->next = now + (int64_t)p->n_targets * 1700 % t->period;
		t->source_port = 32768 + (int)(probe_realtime() / 1000 % 28000);
		p->n_targets++;
	}
	fclose(file);
	return 0;
}
