/* SPDX-License-Identifier: MIT */
#ifndef LAB_NOTICE_H
#define LAB_NOTICE_H

#include <stdint.h>

/*
 * Whether anything in folders was changed (inotify(7)), so that nobody reads again and again what is
 * as it was: kubelets look at their manifests every half of a second.
 */
struct notice;

struct notice *notice_new(void);
void notice_free(struct notice *notice);

/* Folders that are not there are seen as changed for ever. */
void notice_add(struct notice *notice, const char *folder);

/* Another number than the last time when something has changed since, or may have. Not 0. NULL: it
 * always may. */
uint64_t notice_version(struct notice *notice);

#endif
