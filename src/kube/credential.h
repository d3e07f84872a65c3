/* SPDX-License-Identifier: MIT */
#ifndef KUBE_CREDENTIAL_H
#define KUBE_CREDENTIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"
#include "kube/config.h"

/*
 * What a request proves its identity with right now. {0} has asked nobody yet. Token files are
 * read again each minute; a plugin is asked again when what it gave has expired or was rejected.
 */
struct kube_credential {
	struct secret token;
	struct secret certificate;
	struct secret key;
	unsigned generation; /* changes when certificate and key change: connect anew */
	bool loaded;
	bool expires;
	int64_t expires_s; /* wall clock */
	int64_t read_ms;   /* monotonic; when the token file was read */
};

/* Makes the credential valid for now. `rejected`: the server answered 401 to what is there. A
 * plugin that fails is an ERROR_API with its last line of stderr and its install hint. */
must_check int kube_credential_refresh(struct kube_credential *credential,
				       const struct kube_config *config, bool rejected,
				       struct error *err);

/* True when asking again after a 401 may help. */
bool kube_credential_can_renew(const struct kube_config *config);

/* Whether the key belongs to the certificate, as far as it can be told without using it.
 * ERROR_PARSE when one of them cannot be read or they are no pair. */
must_check int kube_credential_check_pair(const struct secret *certificate,
					  const struct secret *key, struct error *err);

/* When the client certificate expires (wall clock); false when there is none. */
bool kube_credential_expiry(const struct secret *certificate, int64_t *ret_s);

void kube_credential_release(struct kube_credential *credential);

#endif
