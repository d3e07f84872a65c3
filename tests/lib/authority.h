/* SPDX-License-Identifier: MIT */
#ifndef LIB_AUTHORITY_H
#define LIB_AUTHORITY_H

#include <stdbool.h>

#include "pki/key.h"

/*
 * Certificates for tests, made when they run: no key stands in the repository.
 */

/* Writes FOLDER/BASE.crt and FOLDER/BASE.key of a self-signed CA as kubeadm makes them, valid from
 * `from_s` to `to_s`. Ends the test program when that fails. */
void authority_make(const char *folder, const char *base, const char *name,
		    enum pki_key_algorithm algorithm, int64_t from_s, int64_t to_s);

/* A pki folder as after kubeadm init on node "cp1" at 10.1.15.121 with the Service address
 * 10.96.0.1: three CAs and all certificates, keys of this algorithm. */
void authority_make_pki(const char *folder, enum pki_key_algorithm algorithm, int64_t now_s);

/* Writes a file; ends the test program when that fails. */
void authority_write(const char *folder, const char *name, const char *text, unsigned int mode);

#endif
