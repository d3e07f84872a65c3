/* SPDX-License-Identifier: MIT */
#include "cmd/consent.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/log.h"
#include "text/json.h"

static bool consent_named(const char *accept, const char *code)
{
	struct slice rest = slice_of(accept);
	struct slice part;

	while (slice_next(&rest, ',', &part))
		if (slice_is(slice_trim(part), code))
			return true;
	return false;
}

/* What plan/check_*.c asks for; doc/kubectl-renumber.1 says what each means. */
static const char *const consent_known[] = {"cluster-owner", "load-balancers", "pinned-addresses",
					    "without-selector", "network-policies"};

int consent_accept_check(const char *accept, struct error *err)
{
	struct slice rest = slice_of(accept);
	struct slice part;

	if (!accept)
		return 0;
	while (slice_next(&rest, ',', &part)) {
		bool known = false;

		part = slice_trim(part);
		for (size_t i = 0; i < sizeof(consent_known) / sizeof(*consent_known); i++)
			known |= slice_is(part, consent_known[i]);
		if (!known)
			return error_set(err, ERROR_USAGE,
					 "--accept: there is no consent '%.*s'; there are "
					 "cluster-owner, load-balancers, pinned-addresses, "
					 "without-selector, network-policies",
					 (int)part.len, part.ptr);
	}
	return 0;
}

static int consent_refuse(const struct plan *plan, const char *accept, struct error *err)
{
	auto_buffer struct buffer codes = {0};
	const json_t *consent;
	size_t i;

	json_array_foreach(plan->consents, i, consent) {
		const char *code = json_path_text(consent, "code");

		if (code && !(accept && consent_named(accept, code)) &&
		    !consent_named(buffer_cstr(&codes), code))
			buffer_format(&codes, "%s%s", codes.len ? "," : "", code);
	}
	return error_set(
		err, ERROR_REFUSED,
		"the plan needs consents ('plan' says to what), and there is no terminal to "
		"ask at; give --accept %s",
		buffer_cstr(&codes));
}

int consent_check(struct session *session, const struct plan *plan, const char *accept,
		  struct error *err)
{
	const json_t *consent;
	size_t i;

	json_array_foreach(plan->consents, i, consent) {
		const char *code = json_path_text(consent, "code");
		const char *message = json_path_text(consent, "message");
		auto_free char *question = NULL;

		if (!code || !message || (accept && consent_named(accept, code)))
			continue;
		if (!session->settings->yes && !session->stderr_terminal)
			return consent_refuse(plan, accept, err);
		log_warning("%s: %s", code, message);
		if (session->settings->yes)
			continue;
		question = alloc_format("this is known and wanted (--accept %s)", code);
		if (session_consent(session, question, err) < 0)
			return -1;
	}
	return 0;
}
