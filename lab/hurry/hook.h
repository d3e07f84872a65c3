/* SPDX-License-Identifier: MIT */
#ifndef LAB_HURRY_HOOK_H
#define LAB_HURRY_HOOK_H

#include "lab/hurry/page.h"

/*
 * Functions of libc that stand in for the real ones: in a library that is preloaded into the tool,
 * or, with HURRY_WRAPPED, linked into a build of the agent by the linker's --wrap.
 */
#ifdef HURRY_WRAPPED
#define HOOK(type, name, ...)            \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)
#define REAL(name) __real_##name
#define HURRY_OF HURRY_AGENT
#else
#define HOOK(type, name, ...)                                            \
	static __attribute__((unused)) type (*hook_##name)(__VA_ARGS__); \
	__attribute__((visibility("default"))) type name(__VA_ARGS__)
#define REAL(name) (hook_find((void **)(void *)&hook_##name, #name), hook_##name)
#define HURRY_OF HURRY_TOOL
#endif

/* The real function of the name; dlsym gives no function pointers to ISO C. */
void hook_find(void **ret, const char *name);

/* The page; NULL without a lab whose clock is shared. */
struct hurry_page *hook_page(void);
/* The folder that it is in. */
const char *hook_folder(void);

#endif
