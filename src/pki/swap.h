/* SPDX-License-Identifier: MIT */
#ifndef PKI_SWAP_H
#define PKI_SWAP_H

#include "base/error.h"
#include "pki/issue.h"

/*
 * Puts a new pair in the place of FOLDER/BASE.crt and FOLDER/BASE.key. The old pair is kept in
 * `backup` (created 0700, same relative names; a file that did not exist leaves BASE.crt.absent).
 * A backup that is there already is never overwritten: it holds the state before the run.
 *
 * Both new files are written beside, with mode 0600 and 0644 and the owner of the old ones, and
 * synced; then key and certificate are renamed back to back, so that a server that polls the pair
 * meets a mismatching one for some microseconds at most (kube-apiserver refuses such a pair, keeps
 * what it has and looks again within a minute). Then the folder is synced. After a crash between
 * the renames pki_swap again, or pki_swap_restore, sets it right.
 */
must_check int pki_swap(const char *folder, const struct pki_profile *profile,
			const struct pki_pair *pair, const char *backup, struct error *err);

/* Puts the pair in `backup` back the same way; files that did not exist are removed.
 * ERROR_NOT_FOUND when nothing was backed up for this profile. */
must_check int pki_swap_restore(const char *folder, const struct pki_profile *profile,
				const char *backup, struct error *err);

#endif
