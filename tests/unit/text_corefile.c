/* SPDX-License-Identifier: MIT */
#include "text/corefile.h"

#include <string.h>

#include "base/alloc.h"
#include "lib/edit_case.h"
#include "lib/test.h"
#include "text/json.h"
#include "text/local_dns.h"

/* both|new|list-both|list-new FROM TO [FROM TO]… */
static int apply(const struct edit_line *line, struct slice text, struct buffer *ret,
		 struct error *err)
{
	struct corefile_move moves[EDIT_WORDS];
	const char *verb = line->words[0];
	enum corefile_edit edit = strstr(verb, "both") ? COREFILE_BOTH : COREFILE_NEW;
	size_t count = 0;

	(void)err;
	for (size_t i = 1; i + 1 < line->count; i += 2)
		moves[count++] = (struct corefile_move){line->words[i], line->words[i + 1]};
	if (strncmp(verb, "list", 4) == 0)
		corefile_edit_list(text, edit, moves, count, ret);
	else
		corefile_edit(text, edit, moves, count, ret);
	return 0;
}

static void run_case(const char *dir)
{
	edit_case_run(dir, apply, true);
}

static void test_names(void)
{
	struct slice text = SLICE("bind 169.254.20.10 10.96.0.10\n  health 10.96.0.11:8080\n"
				  "# 10.96.0.12\nforward . 10.96.0.13x\n");

	TEST("a Corefile names what stands as a word in it");
	CHECK(corefile_names(text, "10.96.0.10"));
	CHECK(corefile_names(text, "10.96.0.11"));
	CHECK(!corefile_names(text, "10.96.0.1"));
	CHECK(!corefile_names(text, "10.96.0.12"));
	CHECK(!corefile_names(text, "10.96.0.13"));
}

/* ---- the template ---- */

static json_t *parse(const char *text)
{
	auto_error struct error err = {0};
	json_t *value = json_parse(slice_of(text), "template", &err);

	CHECK(value != NULL);
	return value;
}

static void test_recognised(void)
{
	static const struct {
		const char *name;
		const char *container;
		const char *addresses; /* NULL: it is none */
	} cases[] = {
		{"as its manifest has it",
		 "{\"args\":[\"-localip\",\"169.254.20.10,10.96.0.10\",\"-conf\",\"/etc/"
		 "Corefile\"]}",
		 "169.254.20.10,10.96.0.10"},
		{"two dashes", "{\"args\":[\"--localip\",\"10.96.0.10\"]}", "10.96.0.10"},
		{"with =", "{\"args\":[\"-localip=10.96.0.10\"]}", "10.96.0.10"},
		{"two dashes with =", "{\"args\":[\"-x\",\"--localip=1.2.3.4\"]}", "1.2.3.4"},
		{"in the command", "{\"command\":[\"/node-cache\",\"-localip\",\"1.2.3.4\"]}",
		 "1.2.3.4"},
		{"no value", "{\"args\":[\"-localip\"]}", NULL},
		{"another argument", "{\"args\":[\"-localips\",\"1.2.3.4\"]}", NULL},
		{"a word", "{\"args\":[\"localip\",\"1.2.3.4\"]}", NULL},
		{"not a text", "{\"args\":[\"-localip\",7]}", NULL},
		{"no arguments", "{\"name\":\"x\"}", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *text =
			alloc_format("{\"spec\":{\"containers\":[{},%s]}}", cases[i].container);
		auto_json json_t *template = parse(text);
		auto_free char *found = local_dns_addresses(template);

		TEST("%s", cases[i].name);
		CHECK_STR(found, cases[i].addresses);
	}
}

#define TEMPLATE                                                                                 \
	"{\"spec\":{\"containers\":[{\"args\":[\"-localip\",\"169.254.20.10,%s\"],"              \
	"\"livenessProbe\":{\"httpGet\":{\"host\":\"%s\",\"port\":8080}},\"image\":\"x\"}],"     \
	"\"volumes\":[{\"name\":\"a\",\"configMap\":{\"name\":\"kube-dns\",\"optional\":true}}," \
	"{\"name\":\"lock\",\"hostPath\":{\"path\":\"/run/xtables.lock\"}},"                     \
	"{\"name\":\"b\",\"configMap\":{\"name\":\"%s\"}}]}}"

static void test_edited(void)
{
	static const struct corefile_move moves[] = {{"10.96.0.10", "10.17.0.10"}};
	auto_free char *before =
		alloc_format(TEMPLATE, "10.96.0.10", "10.96.0.10", "node-local-dns");
	auto_free char *both =
		alloc_format(TEMPLATE, "10.96.0.10,10.17.0.10", "10.17.0.10", "ours");
	auto_free char *after =
		alloc_format(TEMPLATE, "10.17.0.10", "10.17.0.10", "node-local-dns");
	auto_json json_t *template = parse(before);
	auto_json json_t *there =
		local_dns_edit(template, COREFILE_BOTH, moves, 1, "node-local-dns", "ours");
	auto_json json_t *again =
		local_dns_edit(there, COREFILE_BOTH, moves, 1, "node-local-dns", "ours");
	auto_json json_t *end =
		local_dns_edit(there, COREFILE_NEW, moves, 1, "ours", "node-local-dns");
	auto_json json_t *direct =
		local_dns_edit(template, COREFILE_NEW, moves, 1, "ours", "node-local-dns");
	auto_free char *there_text = json_print(there);
	auto_free char *again_text = json_print(again);
	auto_free char *end_text = json_print(end);
	auto_free char *direct_text = json_print(direct);
	auto_free char *template_text = json_print(template);

	TEST("a template is edited, and nothing else in it");
	CHECK_STR(there_text, both);
	CHECK_STR(again_text, both);
	CHECK_STR(end_text, after);
	CHECK_STR(direct_text, after);
	CHECK_STR(template_text, before);
	TEST("which ConfigMaps it has");
	CHECK(local_dns_mounts(template, "node-local-dns"));
	CHECK(!local_dns_mounts(there, "node-local-dns"));
	CHECK(local_dns_mounts(there, "ours"));
	CHECK_STR(local_dns_config_map(template, 1), "node-local-dns");
	CHECK_STR(local_dns_config_map(template, 2), NULL);
}

static void test_leaves(void)
{
	static const struct {
		const char *argument;
		bool leaves;
	} cases[] = {
		{"-skipteardown", true},    {"--skipteardown=true", true},
		{"-skipteardown=1", true},  {"-skipteardown=false", false},
		{"-skipteardown=0", false}, {"--skipteardown=F", false},
		{"-skipteardowns", false},  {"skipteardown", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		auto_free char *text =
			alloc_format("{\"spec\":{\"containers\":[{\"args\":[\"-x\",\"%s\"]}]}}",
				     cases[i].argument);
		auto_json json_t *template = parse(text);

		TEST("%s leaves its addresses: %d", cases[i].argument, cases[i].leaves);
		CHECK(local_dns_leaves_addresses(template) == cases[i].leaves);
	}
}

int main(void)
{
	test_leaves();
	test_names();
	test_recognised();
	test_edited();
	test_each_case("corefile", run_case);
	return test_done();
}
