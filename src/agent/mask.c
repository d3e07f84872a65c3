/* SPDX-License-Identifier: MIT */
#include "agent/mask.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/*
 * The scanner goes from ':' to ':' and from '=' to '=': the name before it decides, the value behind
 * it is masked. In YAML the value may go on in lines that are indented deeper than the name.
 */
struct mask {
	char *text;
	size_t len;
	bool changed;
};

static bool mask_ends(const char *name, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len >= n && strncasecmp(name + len - n, end, n) == 0;
}

bool mask_is_secret_name(const char *name, size_t len)
{
	static const char *const ends[] = {
		"token",    "password",	  "passwd",    "key-data",    "secret",	    "passphrase",
		"apikey",   "accesskey",  "secretkey", "privatekey",  "client_key", "clientkey",
		"etcd_key", "access_key", "api_key",   "private_key", "_pass",
	};

	/* Not as an ending: --anonymous-auth=false is no secret. */
	if (len == 4 && strncasecmp(name, "auth", 4) == 0)
		return true;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (mask_ends(name, len, ends[i]))
			return true;
	return false;
}

/* Letters, digits and what is not part of the syntax are overwritten. */
static void mask_range(struct mask *m, size_t from, size_t to)
{
	for (size_t i = from; i < to && i < m->len; i++) {
		if (m->text[i] == '\n' || m->text[i] == '\r' || m->text[i] == 'x')
			continue;
		m->text[i] = 'x';
		m->changed = true;
	}
}

static size_t mask_line_end(const struct mask *m, size_t at)
{
	const char *end = at < m->len ? memchr(m->text + at, '\n', m->len - at) : NULL;

	return end ? (size_t)(end - m->text) : m->len;
}

static bool mask_is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* Behind the closing quote, or the end of the text. Line ends within are left by mask_range. */
static size_t mask_quoted(struct mask *m, size_t at)
{
	char quote = m->text[at];
	size_t i = at + 1;

	while (i < m->len) {
		/* '' within '…' is one quote */
		bool doubled = quote == '\'' && i + 1 < m->len && m->text[i + 1] == quote;

		if (m->text[i] == quote && !doubled)
			break;
		i += m->text[i] == quote || (quote == '"' && m->text[i] == '\\') ? 2 : 1;
	}
	if (i > m->len)
		i = m->len;
	mask_range(m, at + 1, i);
	return i < m->len ? i + 1 : i;
}

/* Lines deeper than the column of the name belong to the value. Their indentation stays. */
static size_t mask_deeper_lines(struct mask *m, size_t line_end, size_t column)
{
	size_t at = line_end;

	while (at < m->len) {
		size_t start = at + 1;
		size_t end = mask_line_end(m, start);
		size_t text = start;

		while (text < end && m->text[text] == ' ')
			text++;
		if (text < end && text - start <= column)
			break;
		mask_range(m, text, end);
		at = end;
	}
	return at;
}

/* Where a plain value within {…} or […] ends, when there is one open before it on its line. */
static size_t mask_flow_end(const struct mask *m, size_t line, size_t at, size_t end)
{
	bool flow = false;

	for (size_t i = line; i < at; i++)
		if (m->text[i] == '{' || m->text[i] == '[')
			flow = true;
	for (size_t i = at; flow && i < end; i++)
		if (m->text[i] == '}' || m->text[i] == ']' || m->text[i] == ',')
			return i;
	return end;
}

static bool mask_is_block_header(const struct mask *m, size_t at, size_t end)
{
	if (m->text[at] != '|' && m->text[at] != '>')
		return false;
	for (size_t i = at + 1; i < end && m->text[i] != ' ' && m->text[i] != '\r'; i++)
		if (!isdigit((unsigned char)m->text[i]) && m->text[i] != '-' && m->text[i] != '+')
			return false;
	return true;
}

/* Masks the value that begins at `at`; gives where to go on. `name` is where its name begins. */
static size_t mask_value(struct mask *m, size_t name, size_t at)
{
	size_t end = mask_line_end(m, at);
	size_t line = name;
	size_t stop;

	while (line > 0 && m->text[line - 1] != '\n')
		line--;
	while (at < end && (m->text[at] == ' ' || m->text[at] == '\t' || m->text[at] == '\r'))
		at++;
	if (at < end && (m->text[at] == '"' || m->text[at] == '\''))
		return mask_quoted(m, at);
	if (at < end && (m->text[at] == '{' || m->text[at] == '['))
		return at + 1; /* a structure: its members are looked at one by one */
	if (at < end && !mask_is_block_header(m, at, end)) {
		stop = mask_flow_end(m, line, at, end);
		mask_range(m, at, stop);
		if (stop < end)
			return stop;
	} else if (at >= end) {
		/* JSON with the value on the next line, or a nested YAML value. */
		size_t next = end;

		while (next < m->len && isspace((unsigned char)m->text[next]))
			next++;
		if (next < m->len && (m->text[next] == '"' || m->text[next] == '\''))
			return mask_quoted(m, next);
		if (next < m->len && (m->text[next] == '{' || m->text[next] == '['))
			return next;
	}
	return mask_deeper_lines(m, end, name - line);
}

/* The name before the separator at `at`: its range without quotes. False when there is none. */
static bool mask_name(const struct mask *m, size_t at, size_t *ret_from, size_t *ret_to)
{
	size_t to = at;
	size_t from;

	while (to > 0 && (m->text[to - 1] == ' ' || m->text[to - 1] == '\t'))
		to--;
	if (to > 0 && (m->text[to - 1] == '"' || m->text[to - 1] == '\''))
		to--;
	from = to;
	while (from > 0 && mask_is_name_char(m->text[from - 1]))
		from--;
	*ret_from = from;
	*ret_to = to;
	return from < to;
}

/* The entry of a list of variables: - name: DB_PASSWORD, value: …; `from` is where "value" begins. */
static bool mask_is_secret_variable(const struct mask *m, size_t from, size_t to)
{
	size_t end = from;
	size_t start;

	if (to - from != 5 || memcmp(m->text + from, "value", 5) != 0)
		return false;
	while (end > 0 &&
	       (isspace((unsigned char)m->text[end - 1]) || strchr("\"',", m->text[end - 1])))
		end--;
	start = end;
	while (start > 0 && mask_is_name_char(m->text[start - 1]))
		start--;
	return mask_is_secret_name(m->text + start, end - start);
}

/* "://user:password@": the password. Gives where to go on. */
static size_t mask_url(struct mask *m, size_t at)
{
	size_t colon = 0;

	for (size_t i = at + 3; i < m->len && !isspace((unsigned char)m->text[i]) &&
				m->text[i] != '/' && m->text[i] != '"';
	     i++) {
		if (m->text[i] == ':' && !colon)
			colon = i;
		if (m->text[i] == '@' && colon) {
			mask_range(m, colon + 1, i);
			return i;
		}
	}
	return at + 3;
}

static bool mask_is_token_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* A JSON web token begins with the base64 of '{"'. */
static void mask_web_tokens(struct mask *m)
{
	for (size_t i = 0; i + 20 < m->len; i++) {
		size_t end = i;
		size_t dots = 0;

		if (memcmp(m->text + i, "eyJ", 3) != 0)
			continue;
		while (end < m->len && mask_is_token_char(m->text[end]))
			dots += m->text[end++] == '.';
		if (dots >= 2)
			mask_range(m, i, end);
		i = end;
	}
}

bool mask_text(char *text, size_t len)
{
	struct mask m = {text, len, false};
	size_t at = 0;

	while (at < len) {
		size_t from;
		size_t to;

		if (text[at] == ':' && len - at > 3 && memcmp(text + at, "://", 3) == 0) {
			at = mask_url(&m, at);
			continue;
		}
		if ((text[at] == ':' || text[at] == '=') && mask_name(&m, at, &from, &to) &&
		    (mask_is_secret_name(text + from, to - from) ||
		     mask_is_secret_variable(&m, from, to))) {
			at = mask_value(&m, from, at + 1);
			continue;
		}
		at++;
	}
	mask_web_tokens(&m);
	return m.changed;
}

bool mask_has_private_key(const char *text, size_t len)
{
	return memmem(text, len, "PRIVATE KEY-----", 16) != NULL;
}

bool mask_argument(char *argument)
{
	size_t len = strlen(argument);
	char *equals = strchr(argument, '=');
	struct mask m = {argument, len, false};

	if (argument[0] == '-' && equals &&
	    mask_is_secret_name(argument, (size_t)(equals - argument)))
		mask_range(&m, (size_t)(equals + 1 - argument), len);
	for (char *url = strstr(argument, "://"); url; url = strstr(url + 3, "://"))
		mask_url(&m, (size_t)(url - argument));
	mask_web_tokens(&m);
	return m.changed;
}
