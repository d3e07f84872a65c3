/* SPDX-License-Identifier: MIT */

/* Any bytes are a kubeconfig or an error with a place; never a crash, a leak or a hang. */
#include <stdlib.h>

#include "kube/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice text = {(const char *)data, size};
	auto_kube_config struct kube_config config = {0};
	auto_error struct error err = {0};

	if (kube_config_parse(&config, text, "/nonexistent/config", NULL, &err) == 0 &&
	    !config.server)
		abort();
	return 0;
}
