/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/buffer.h"
#include "lib/test.h"
#include "report/document.h"
#include "report/findings.h"
#include "report/table.h"
#include "text/json.h"
#include "text/yaml.h"

static void test_table(void)
{
	static const char *const titles[] = {"NODE", "RANGE"};
	auto_table struct table t = {.titles = titles, .columns = 2};
	auto_buffer struct buffer text = {0};
	auto_buffer struct buffer markdown = {0};

	table_cell(&t, "cp1");
	table_cellf(&t, "10.%d.0.0/16", 96);
	table_cell(&t, "größter");
	table_cell(&t, "a|b\033[2J");
	table_cell(&t, "half");

	TEST("columns are aligned by characters, lines end without blanks");
	table_print(&t, TABLE_TEXT, &text);
	CHECK_STR(buffer_cstr(&text), "NODE     RANGE\n"
				      "cp1      10.96.0.0/16\n"
				      "größter  a|b?[2J\n"
				      "half\n");
	TEST("pipes are escaped in Markdown");
	table_print(&t, TABLE_MARKDOWN, &markdown);
	CHECK_STR(buffer_cstr(&markdown), "| NODE | RANGE |\n"
					  "| --- | --- |\n"
					  "| cp1 | 10.96.0.0/16 |\n"
					  "| größter | a\\|b?[2J |\n"
					  "| half |  |\n");
}

/* Walks both: every scalar of the JSON must be the text that a YAML parser reads. */
static void compare(const json_t *value, const struct yaml_node *node)
{
	const char *key;
	json_t *member;
	size_t i;

	if (!CHECK(node != NULL))
		return;
	if (json_is_object(value)) {
		CHECK_INT(node->count, json_object_size(value));
		json_object_foreach((json_t *)value, key, member)
			compare(member, yaml_get(node, key));
	} else if (json_is_array(value)) {
		CHECK_INT(node->count, json_array_size(value));
		json_array_foreach(value, i, member)
			compare(member, yaml_item(node, i));
	} else if (json_is_string(value)) {
		CHECK_STR(yaml_string(node), json_string_value(value));
		/* what looks like a number or a boolean must be quoted */
		if (strspn(json_string_value(value), "0123456789.") ==
		    strlen(json_string_value(value)))
			CHECK_INT(node->style, YAML_DOUBLE_QUOTED);
	} else if (json_is_integer(value)) {
		CHECK_INT(node->style, YAML_PLAIN);
	}
}

static void test_yaml(void)
{
	static const char source[] =
		"{\"schemaVersion\":1,\"plain\":\"text-1\",\"number\":\"10\",\"yes\":\"no\","
		"\"empty\":\"\",\"list\":[{\"a\":\"x: y\",\"b\":[1,[2,\"3\"]]},[],{}],"
		"\"none\":null,\"deep\":{\"k\":{\"l\":\"line\\nfeed \\\"q\\\" ü\"}},"
		"\"odd key: #\":\"- dash\",\"flag\":true,\"address\":\"10.96.0.1\"}";
	auto_error struct error err = {0};
	auto_json json_t *value = json_parse(slice_of(source), "source", &err);
	auto_buffer struct buffer out = {0};
	auto_yaml struct yaml y = {0};

	TEST("what document_yaml writes is read back as the same tree");
	document_yaml(value, &out);
	if (!CHECK_OK(yaml_parse(&y, "out", buffer_as_slice(&out), &err), &err))
		return;
	compare(value, yaml_root(&y));
	CHECK(strstr(buffer_cstr(&out), "plain: text-1\n") != NULL);
	CHECK(strstr(buffer_cstr(&out), "\"yes\": \"no\"\n") != NULL);
}

static void test_findings(void)
{
	auto_findings struct finding_list list = {0};
	auto_buffer struct buffer text = {0};
	auto_buffer struct buffer wide = {0};
	auto_buffer struct buffer coloured = {0};
	struct finding *f = finding_add(&list, "KR301", FINDING_ERROR, "certificates/10.17.0.1");

	finding_message(f, "%d of 3 lack it", 2);
	finding_remedy(f, "run this");
	for (int i = 0; i < 10; i++)
		finding_evidence(f, "line %d\033[2J", i);
	finding_close(f);
	finding_message(finding_add(&list, "KR001", FINDING_INFO, "Cluster"), "the regime is x");
	finding_list_sort(&list);

	TEST("three lines of evidence in text, escapes filtered, groups in order");
	findings_print(&list, FINDINGS_TEXT, /* colour= */ false, &text);
	CHECK_STR(buffer_cstr(&text), "√ Cluster\n"
				      "  i KR001 the regime is x\n"
				      "√ Ranges and flags\n"
				      "√ default/kubernetes\n"
				      "× Certificates\n"
				      "  × KR301 2 of 3 lack it\n"
				      "      line 0?[2J\n"
				      "      line 1?[2J\n"
				      "      line 2?[2J\n"
				      "      … (more with -o wide)\n"
				      "      → run this\n"
				      "√ DNS and kubelet\n"
				      "√ Workloads and network plugin\n"
				      "√ kubeadm and manifests\n"
				      "√ Nodes and earlier runs\n"
				      "\n"
				      "1 error, no warnings\n");
	TEST("wide has eight lines of evidence and the number of the others");
	findings_print(&list, FINDINGS_WIDE, /* colour= */ false, &wide);
	CHECK(strstr(buffer_cstr(&wide), "      line 7?[2J\n      and 2 more\n") != NULL);
	CHECK(strstr(buffer_cstr(&wide), "line 8") == NULL);
	TEST("colour only where it was asked for");
	findings_print(&list, FINDINGS_TEXT, /* colour= */ true, &coloured);
	CHECK(strstr(buffer_cstr(&coloured), "\033[31m×\033[0m KR301") != NULL);
	CHECK(strchr(buffer_cstr(&text), '\033') == NULL);
	TEST("errors come first, infos do not matter");
	CHECK_STR(list.items[0].code, "KR301");
	CHECK(finding_list_matters(&list));
	list.items[0].severity = FINDING_INFO;
	CHECK(!finding_list_matters(&list));
}

int main(void)
{
	test_table();
	test_yaml();
	test_findings();
	return test_done();
}
