/* SPDX-License-Identifier: MIT */
#ifndef TEXT_TAKE_BACK_H
#define TEXT_TAKE_BACK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Changes to values of a JSON tree, taken back in what the tree is now. `before` and `written` are
 * the tree, or the parts of it that count, before and after the changes; what differs between them
 * was changed, and what is in `now` beside is somebody else's and stays.
 *
 * A changed value that is as written becomes what it was; one that is so already stays. False when one is
 * neither: somebody changed it since (then `now` is of no use).
 */
bool take_back(json_t *now, const json_t *before, const json_t *written);

#endif
