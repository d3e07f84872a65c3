/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "cmd/commands.h"
#include "lib/test.h"

struct settings {
	bool flag;
	bool other;
	const char *text;
	const char *choice;
	int64_t duration_ms;
	unsigned int percent;
};

#define SETTING(field) offsetof(struct settings, field)

static const struct option rows[] = {
	{"flag", 'f', NULL, OPTION_FLAG, SETTING(flag), NULL, "a flag"},
	{"text", 't', "TEXT", OPTION_TEXT, SETTING(text), NULL, "a text"},
	{"choice", 'c', "WHICH", OPTION_CHOICE, SETTING(choice), "one two three", "one of three"},
	{"wait", 0, "TIME", OPTION_DURATION, SETTING(duration_ms), NULL, "a duration"},
	{"share", 0, "PERCENT", OPTION_PERCENT, SETTING(percent), NULL, "a percentage"},
	{0},
};

/* A second table, as the common options are: the first one wins. */
static const struct option common[] = {
	{"flag", 0, NULL, OPTION_FLAG, SETTING(other), NULL, "never found"},
	{"other", 'o', NULL, OPTION_FLAG, SETTING(other), NULL, "of the second table"},
	{0},
};

#define WORDS_MAX 10

/* `line` is split at blanks; '~' is an empty word. */
static int parse(const char *line, struct settings *settings, struct settings *second,
		 struct buffer *words, struct error *err)
{
	const struct option_table tables[] = {{rows, settings}, {common, second}};
	const char *argv[WORDS_MAX] = {"program"};
	const char *found[WORDS_MAX];
	char *parts[WORDS_MAX];
	struct slice rest = slice_of(line);
	struct slice part;
	size_t count = 0;
	int argc = 1;
	int result;

	while (*line && slice_next(&rest, ' ', &part)) {
		parts[argc] = slice_is(part, "~") ? alloc_text("") : slice_dup(part);
		argv[argc] = parts[argc];
		argc++;
	}
	result = option_parse(argc, argv, tables, 2, found, &count, err);
	for (size_t i = 0; result == 0 && i < count; i++)
		buffer_format(words, "%s%s", i ? " " : "", found[i]);
	/* texts point into the words: what they are is compared by the caller's copy */
	if (result == 0) {
		settings->text = settings->text ? alloc_text(settings->text) : NULL;
		settings->choice = settings->choice ? alloc_text(settings->choice) : NULL;
		CHECK(found[count] == NULL);
	}
	for (int i = 1; i < argc; i++)
		free(parts[i]);
	return result;
}

static const struct {
	const char *line;
	const char *words;
	struct settings want;
} fine[] = {
	{.line = "", .words = ""},
	{"a b", "a b", {0}},
	{"--flag", "", {.flag = true}},
	{"-f", "", {.flag = true}},
	{"a --flag b", "a b", {.flag = true}},
	{"--text x", "", {.text = "x"}},
	{"--text=x=y", "", {.text = "x=y"}},
	{"-t x a", "a", {.text = "x"}},
	{"-tx", "", {.text = "x"}},
	{"-t=x", "", {.text = "x"}},
	{"-ftx", "", {.flag = true, .text = "x"}},
	{"-ft x", "", {.flag = true, .text = "x"}},
	{"--text -f", "", {.text = "-f"}},
	{"--text a --text b", "", {.text = "b"}},
	{"--choice two", "", {.choice = "two"}},
	{"--wait 30", "", {.duration_ms = 30000}},
	{"--wait 30s", "", {.duration_ms = 30000}},
	{"--wait 250ms", "", {.duration_ms = 250}},
	{"--wait 5m", "", {.duration_ms = 300000}},
	{"--wait 2h", "", {.duration_ms = 7200000}},
	{"--share 7", "", {.percent = 7}},
	{"--share 100%", "", {.percent = 100}},
	{"-o", "", {.other = true}},
	{"-", "-", {0}},
	{"a -- --flag -f", "a --flag -f", {0}},
};

static const struct {
	const char *line;
	const char *error;
} wrong[] = {
	{"--flg", "unknown option '--flg'; did you mean '--flag'?"},
	{"--nothing-like-it", "unknown option '--nothing-like-it'; '--help' lists what there is"},
	{"--othr", "unknown option '--othr'; did you mean '--other'?"},
	{"-x", "unknown option '-x'"},
	{"-fx", "unknown option '-x'"},
	{"--flag=yes", "option '--flag' takes no value, but was given 'yes'"},
	{"--text", "option '--text' lacks its TEXT"},
	{"-t", "option '--text' lacks its TEXT"},
	{"--text=", "option '--text' is empty; it takes TEXT"},
	{"--text ~", "option '--text' is empty; it takes TEXT"},
	{"--choice four", "option '--choice' takes one of: one two three; not 'four'"},
	{"--choice=", "option '--choice' takes one of"},
	{"--wait soon", "option '--wait' takes a duration like 30s or 5m, not 'soon'"},
	{"--wait -1s", "takes a duration"},
	{"--wait 1.5s", "takes a duration"},
	{"--wait s", "takes a duration"},
	{"--wait 99999999999999999999s", "takes a duration"},
	{"--share 101", "option '--share' takes a percentage from 0 to 100, not '101'"},
	{"--share %", "takes a percentage"},
};

static void parses(void)
{
	for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
		struct settings settings = {0};
		struct settings second = {0};
		auto_buffer struct buffer words = {0};
		auto_error struct error err = {0};

		TEST("'%s'", fine[i].line);
		if (!CHECK_OK(parse(fine[i].line, &settings, &second, &words, &err), &err))
			continue;
		CHECK_STR(buffer_cstr(&words), fine[i].words);
		CHECK_INT(settings.flag, fine[i].want.flag);
		CHECK_INT(second.other, fine[i].want.other);
		CHECK_STR(settings.text, fine[i].want.text);
		CHECK_STR(settings.choice, fine[i].want.choice);
		CHECK_INT(settings.duration_ms, fine[i].want.duration_ms);
		CHECK_INT(settings.percent, fine[i].want.percent);
		free((char *)(uintptr_t)settings.text);
		free((char *)(uintptr_t)settings.choice);
	}
}

static void refuses(void)
{
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct settings settings = {0};
		struct settings second = {0};
		auto_buffer struct buffer words = {0};
		auto_error struct error err = {0};

		TEST("'%s' is wrong", wrong[i].line);
		CHECK_ERROR(parse(wrong[i].line, &settings, &second, &words, &err), &err,
			    ERROR_USAGE, wrong[i].error);
	}
}

static void describes(void)
{
	auto_buffer struct buffer out = {0};

	TEST("the help of a table");
	option_describe(rows, &out);
	CHECK_STR(buffer_cstr(&out), "  -f, --flag                  a flag\n"
				     "  -t, --text TEXT             a text\n"
				     "  -c, --choice one|two|three  one of three\n"
				     "      --wait TIME             a duration\n"
				     "      --share PERCENT         a percentage\n");
}

static void distances(void)
{
	static const struct {
		const char *a;
		const char *b;
		size_t want;
	} table[] = {
		{"doctor", "doctor", 0},
		{"docter", "doctor", 1},
		{"doctr", "doctor", 1},
		{"ddoctor", "doctor", 1},
		{"", "plan", 4},
		{"apply", "plan", 4},
		{"0123456789012345678901234567890123456789", "plan", 40},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		TEST("from '%s' to '%s'", table[i].a, table[i].b);
		CHECK_INT(option_distance(slice_of(table[i].a), table[i].b), table[i].want);
	}
}

/* What the parser and --help rely on, of every command that there is. */
static void commands(void)
{
	const struct command *command;

	for (size_t i = 0; (command = command_at(i)); i++) {
		TEST("command '%s'", command->name);
		CHECK(command_find(command->name) == command);
		CHECK(command->run != NULL);
		CHECK(*command->summary && command->summary[strlen(command->summary) - 1] != '.');
		CHECK(command->max_words >= command->min_words);
		CHECK(!command->options || command->settings_size > 0);
		for (const struct option *o = command->options; o && o->name; o++) {
			CHECK(o->offset < command->settings_size);
			CHECK(!o->argument == (o->type == OPTION_FLAG));
			CHECK(!o->choices == (o->type != OPTION_CHOICE));
			for (const struct option *c = session_options; c->name; c++)
				CHECK(strcmp(o->name, c->name) != 0 &&
				      (!o->letter || o->letter != c->letter));
		}
	}
}

int main(void)
{
	parses();
	refuses();
	describes();
	distances();
	commands();
	return test_done();
}
