/* SPDX-License-Identifier: MIT */
#ifndef AGENT_MASK_H
#define AGENT_MASK_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Takes secrets out of the text of a configuration file before it leaves the node, byte for byte,
 * so that every offset in the rest stays true and YAML and JSON stay what they are.
 *
 * Overwritten by 'x' are: values of keys that hold secrets in kubeconfigs, CNI configurations and
 * encryption configurations (token, password, client-key-data, secret, …) in YAML and in JSON; values
 * of environment variables so named; the password in a URL; and whatever looks like a JSON web
 * token. Too much may be masked, never too little. True when something was.
 */
bool mask_text(char *text, size_t len);

/* True when the text holds a PEM private key; such a file does not leave the node at all. */
bool mask_has_private_key(const char *text, size_t len);

/* The same rules for one argument of a process, "--name=value". */
bool mask_argument(char *argument);

/* True for the name of a key, flag or variable that holds a secret. */
bool mask_is_secret_name(const char *name, size_t len);

#endif
