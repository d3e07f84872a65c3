/* SPDX-License-Identifier: MIT */
#include "cmd/option.h"

#include <string.h>

#include "base/alloc.h"

bool option_duration(const char *text, int64_t *ret_ms)
{
	static const struct {
		const char *suffix;
		uint64_t factor;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"", 1000}};
	struct slice whole = slice_of(text);
	uint64_t value;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		struct slice number = whole;

		if (!slice_ends(whole, units[i].suffix))
			continue;
		number.len -= strlen(units[i].suffix);
		/* a thousand hours: more is a typing error, and the product stays in range */
		if (!slice_to_u64(number, 3600000, &value))
			continue;
		*ret_ms = (int64_t)(value * units[i].factor);
		return true;
	}
	return false;
}

static bool option_is_choice(const char *choices, const char *text)
{
	struct slice rest = slice_of(choices);
	struct slice choice;

	while (slice_next(&rest, ' ', &choice))
		if (slice_is(choice, text))
			return true;
	return false;
}

static int option_store_percent(unsigned int *place, const char *name, const char *text,
				struct error *err)
{
	struct slice number = slice_of(text);
	uint64_t value;

	if (slice_ends(number, "%"))
		number.len--;
	if (!slice_to_u64(number, 100, &value))
		return error_set(err, ERROR_USAGE,
				 "option '--%s' takes a percentage from 0 to 100, not '%s'", name,
				 text);
	*place = (unsigned int)value;
	return 0;
}

static int option_store(const struct option *option, void *settings, const char *value,
			struct error *err)
{
	char *place = (char *)settings + option->offset;

	switch (option->type) {
	case OPTION_FLAG:
		*(bool *)place = true;
		return 0;
	case OPTION_CHOICE:
		if (!option_is_choice(option->choices, value))
			return error_set(err, ERROR_USAGE,
					 "option '--%s' takes one of: %s; not '%s'", option->name,
					 option->choices, value);
		*(const char **)(void *)place = value;
		return 0;
	case OPTION_TEXT:
		if (!*value)
			return error_set(err, ERROR_USAGE, "option '--%s' is empty; it takes %s",
					 option->name, option->argument);
		*(const char **)(void *)place = value;
		return 0;
	case OPTION_DURATION:
		if (!option_duration(value, (int64_t *)(void *)place))
			return error_set(err, ERROR_USAGE,
					 "option '--%s' takes a duration like 30s or 5m, not '%s'",
					 option->name, value);
		return 0;
	case OPTION_PERCENT:
		return option_store_percent((unsigned int *)(void *)place, option->name, value,
					    err);
	}
	return 0;
}

size_t option_distance(struct slice a, const char *b)
{
	size_t row[40];
	size_t len = strlen(b);

	if (len >= 40 || a.len >= 40)
		return 40;
	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= len; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a.ptr[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[len];
}

static int option_unknown(struct slice name, const struct option_table *tables, size_t table_count,
			  struct error *err)
{
	const char *near = NULL;
	size_t best = 3;

	for (size_t t = 0; t < table_count; t++) {
		for (const struct option *o = tables[t].options; o && o->name; o++) {
			size_t distance = option_distance(name, o->name);

			if (distance < best) {
				best = distance;
				near = o->name;
			}
		}
	}
	if (near)
		return error_set(err, ERROR_USAGE, "unknown option '--%.*s'; did you mean '--%s'?",
				 (int)name.len, name.ptr, near);
	return error_set(err, ERROR_USAGE, "unknown option '--%.*s'; '--help' lists what there is",
			 (int)name.len, name.ptr);
}

struct option_reader {
	int argc;
	const char *const *argv;
	int next;
	const struct option_table *tables;
	size_t table_count;
};

static const struct option *option_find(const struct option_reader *r, struct slice name,
					char letter, void **ret_settings)
{
	for (size_t t = 0; t < r->table_count; t++) {
		for (const struct option *o = r->tables[t].options; o && o->name; o++) {
			if (letter ? o->letter != letter : !slice_is(name, o->name))
				continue;
			*ret_settings = r->tables[t].settings;
			return o;
		}
	}
	return NULL;
}

/* `inline_value` is what stood behind "=" or a letter; NULL: take the next word. */
static int option_take(struct option_reader *r, const struct option *option, void *settings,
		       const char *inline_value, struct error *err)
{
	if (option->type == OPTION_FLAG) {
		if (inline_value)
			return error_set(err, ERROR_USAGE,
					 "option '--%s' takes no value, but was given '%s'",
					 option->name, inline_value);
		return option_store(option, settings, NULL, err);
	}
	if (!inline_value) {
		if (r->next >= r->argc)
			return error_set(err, ERROR_USAGE, "option '--%s' lacks its %s",
					 option->name, option->argument);
		inline_value = r->argv[r->next++];
	}
	return option_store(option, settings, inline_value, err);
}

static int option_read_long(struct option_reader *r, const char *word, struct error *err)
{
	const char *equals = strchr(word, '=');
	struct slice name = {word + 2, equals ? (size_t)(equals - word) - 2 : strlen(word) - 2};
	void *settings = NULL;
	const struct option *option = option_find(r, name, 0, &settings);

	if (!option)
		return option_unknown(name, r->tables, r->table_count, err);
	return option_take(r, option, settings, equals ? equals + 1 : NULL, err);
}

/* "-v", "-o json", "-ojson". */
static int option_read_short(struct option_reader *r, const char *word, struct error *err)
{
	void *settings = NULL;
	const struct option *option;

	for (const char *letter = word + 1; *letter; letter++) {
		option = option_find(r, (struct slice){0}, *letter, &settings);
		if (!option)
			return error_set(err, ERROR_USAGE,
					 "unknown option '-%c'; '--help' lists what there is",
					 *letter);
		if (option->type != OPTION_FLAG) {
			const char *value = letter[1] == '=' ? letter + 2 : letter + 1;

			return option_take(r, option, settings, letter[1] ? value : NULL, err);
		}
		if (option_take(r, option, settings, NULL, err) < 0)
			return -1;
	}
	return 0;
}

int option_parse(int argc, const char *const argv[], const struct option_table *tables,
		 size_t table_count, const char **ret_words, size_t *ret_count, struct error *err)
{
	struct option_reader r = {argc, argv, 1, tables, table_count};
	bool only_words = false;
	size_t count = 0;

	while (r.next < argc) {
		const char *word = argv[r.next++];
		int result = 0;

		if (only_words || word[0] != '-' || !word[1])
			ret_words[count++] = word;
		else if (strcmp(word, "--") == 0)
			only_words = true;
		else if (word[1] == '-')
			result = option_read_long(&r, word, err);
		else
			result = option_read_short(&r, word, err);
		if (result < 0)
			return -1;
	}
	ret_words[count] = NULL;
	*ret_count = count;
	return 0;
}

/* Columns on a terminal; "…" is one of them, of three bytes. */
static int option_width(struct slice text)
{
	int width = 0;

	for (size_t i = 0; i < text.len; i++)
		width += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return width;
}

void option_describe(const struct option *options, struct buffer *out)
{
	enum { COLUMN = 30 };

	for (const struct option *o = options; o && o->name; o++) {
		auto_buffer struct buffer left = {0};
		int width;

		if (o->letter)
			buffer_format(&left, "  -%c, --%s", o->letter, o->name);
		else
			buffer_format(&left, "      --%s", o->name);
		if (o->type == OPTION_CHOICE) {
			auto_free char *choices = alloc_text(o->choices);

			for (char *c = choices; *c; c++)
				if (*c == ' ')
					*c = '|';
			buffer_format(&left, " %s",
				      left.len + strlen(choices) > 60 ? o->argument : choices);
		} else if (o->argument) {
			buffer_format(&left, " %s", o->argument);
		}
		width = option_width(buffer_as_slice(&left));
		if (width < COLUMN)
			buffer_format(out, "%s%*s%s\n", buffer_cstr(&left), COLUMN - width, "",
				      o->help);
		else
			buffer_format(out, "%s\n%*s%s\n", buffer_cstr(&left), COLUMN, "", o->help);
	}
}
