/* SPDX-License-Identifier: MIT */
#include "pki/pem.h"

#include "base/alloc.h"

/*
 * One pass over the lines; the base64 of a block is decoded as it is read, so that a bad character
 * is reported where it stands.
 */
static const signed char pem_values[256] = {
	['A'] = 1,  ['B'] = 2,	['C'] = 3,  ['D'] = 4,	['E'] = 5,  ['F'] = 6,	['G'] = 7,
	['H'] = 8,  ['I'] = 9,	['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
	['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
	['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
	['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
	['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
	['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
	['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
	['/'] = 64,
};

struct pem_decoder {
	char *out; /* room for 3/4 of the text and a NUL */
	size_t len;
	unsigned int bits;    /* characters of the present group of four, 6 bits each */
	unsigned int count;   /* how many */
	unsigned int padding; /* '=' seen */
};

/* The number of characters that are right: text.len when all are. */
static size_t pem_decode(struct pem_decoder *d, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c == '=') {
			if (d->count < 2 || d->count + d->padding >= 4)
				return i;
			d->padding++;
			continue;
		}
		if (!pem_values[c] || d->padding)
			return i;
		d->bits = d->bits << 6 | (unsigned int)(pem_values[c] - 1);
		if (++d->count < 4)
			continue;
		d->out[d->len++] = (char)(d->bits >> 16);
		d->out[d->len++] = (char)(d->bits >> 8);
		d->out[d->len++] = (char)d->bits;
		d->bits = 0;
		d->count = 0;
	}
	return text.len;
}

/* False when the last group is not whole. */
static bool pem_decode_end(struct pem_decoder *d)
{
	if (d->count == 0 && d->padding == 0)
		return true;
	if (d->count + d->padding != 4)
		return false;
	d->bits <<= 6 * d->padding;
	d->out[d->len++] = (char)(d->bits >> 16);
	if (d->padding == 1)
		d->out[d->len++] = (char)(d->bits >> 8);
	return true;
}

static bool pem_line(struct pki_pem_reader *reader, struct slice *ret)
{
	if (!slice_next(&reader->rest, '\n', ret))
		return false;
	reader->line++;
	return true;
}

/* "-----BEGIN x-----" or "-----END x-----" */
static bool pem_boundary(struct slice line, const char *start, struct slice *ret_label)
{
	size_t len = strlen(start);

	line = slice_trim(line);
	if (!slice_starts(line, start) || !slice_ends(line, "-----") || line.len < len + 5)
		return false;
	*ret_label = (struct slice){line.ptr + len, line.len - len - 5};
	return true;
}

static int pem_body(struct pki_pem_reader *reader, struct pki_pem_block *block,
		    struct pem_decoder *d, struct error *err)
{
	struct slice line;
	struct slice label;
	bool headers = true;

	while (pem_line(reader, &line)) {
		struct slice text = slice_trim(line);
		size_t good;

		if (pem_boundary(line, "-----END ", &label)) {
			if (!slice_equal(label, block->label))
				return error_set(
					err, ERROR_PARSE,
					"%s:%zu:1: END of another block than the BEGIN in line %zu",
					reader->name, reader->line, block->line);
			if (!pem_decode_end(d))
				return error_set(err, ERROR_PARSE, "%s:%zu:1: base64 is cut short",
						 reader->name, reader->line);
			return 0;
		}
		if (headers && text.len && memchr(text.ptr, ':', text.len)) {
			if (slice_starts(text, "Proc-Type:") && slice_ends(text, "ENCRYPTED"))
				block->encrypted = true;
			continue;
		}
		headers = false;
		good = pem_decode(d, text);
		if (good < text.len)
			return error_set(err, ERROR_PARSE, "%s:%zu:%zu: not a base64 character",
					 reader->name, reader->line,
					 (size_t)(text.ptr - line.ptr) + good + 1);
	}
	return error_set(err, ERROR_PARSE, "%s:%zu:1: the block that begins here has no END",
			 reader->name, block->line);
}

int pki_pem_next(struct pki_pem_reader *reader, struct pki_pem_block *block, bool *ret_found,
		 struct error *err)
{
	struct slice line;

	while (pem_line(reader, &line)) {
		auto_pki_pem struct pki_pem_block found = {0};
		struct pem_decoder d = {0};
		int status;

		if (!pem_boundary(line, "-----BEGIN ", &found.label))
			continue;
		found.line = reader->line;
		found.encrypted = slice_starts(found.label, "ENCRYPTED ");
		d.out = alloc_bytes(reader->rest.len / 4 * 3 + 4);
		status = pem_body(reader, &found, &d, err);
		found.bytes.ptr = d.out;
		found.bytes.len = d.len;
		d.out[d.len] = '\0';
		if (status < 0)
			return -1;
		pki_pem_release(block);
		*block = found;
		found = (struct pki_pem_block){0};
		*ret_found = true;
		return 0;
	}
	*ret_found = false;
	return 0;
}

void pki_pem_release(struct pki_pem_block *block)
{
	secret_release(&block->bytes);
	*block = (struct pki_pem_block){0};
}

int pki_pem_find(struct slice text, const char *name, const char *label, struct pki_pem_block *ret,
		 struct error *err)
{
	struct pki_pem_reader reader = {.rest = text, .name = name};
	auto_pki_pem struct pki_pem_block block = {0};
	bool found = false;

	for (;;) {
		if (pki_pem_next(&reader, &block, &found, err) < 0)
			return -1;
		if (!found)
			return error_set(err, ERROR_PARSE, "%s:1:1: no '%s' in it", name, label);
		if (slice_is(block.label, label))
			break;
	}
	pki_pem_release(ret);
	*ret = block;
	block = (struct pki_pem_block){0};
	return 0;
}

void pki_pem_append(struct buffer *out, const char *label, struct slice der)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)der.ptr;

	buffer_format(out, "-----BEGIN %s-----\n", label);
	for (size_t i = 0; i < der.len; i += 3) {
		size_t n = der.len - i < 3 ? der.len - i : 3;
		unsigned int bits = (unsigned int)p[i] << 16;
		char four[4];

		if (n > 1)
			bits |= (unsigned int)p[i + 1] << 8;
		if (n > 2)
			bits |= p[i + 2];
		four[0] = digits[bits >> 18];
		four[1] = digits[bits >> 12 & 63];
		four[2] = n > 1 ? digits[bits >> 6 & 63] : '=';
		four[3] = n > 2 ? digits[bits & 63] : '=';
		buffer_append(out, four, sizeof(four));
		if (i % 48 == 45 || i + 3 >= der.len)
			buffer_char(out, '\n');
	}
	buffer_format(out, "-----END %s-----\n", label);
}

bool pki_base64_decode(struct slice text, struct secret *ret)
{
	struct pem_decoder d = {.out = alloc_bytes(text.len / 4 * 3 + 4)};
	struct slice rest = text;
	struct slice line;
	auto_secret struct secret found = {0};
	bool good = true;

	while (good && slice_next(&rest, '\n', &line)) {
		line = slice_trim(line);
		good = pem_decode(&d, line) == line.len;
	}
	good = good && pem_decode_end(&d);
	d.out[d.len] = '\0';
	found = (struct secret){d.out, d.len};
	if (!good)
		return false;
	secret_release(ret);
	*ret = found;
	found = (struct secret){0};
	return true;
}
