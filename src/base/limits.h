/* SPDX-License-Identifier: MIT */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/*
 * Every ceiling of the program in one place, each with its reason. A buffer without a ceiling is
 * a way for a hostile server or node to take our memory.
 */

/* One API answer. A list of 500 objects of at most 1.5 MiB (etcd's limit) is the theoretical
 * maximum; 256 MiB has room for every list that was ever seen, and for no attack. */
#define LIMIT_HTTP_BODY ((size_t)256 * 1024 * 1024)

/* One list, and its pages: 150,000 Pods of 10 KiB each make 1.5 GiB in 300 pages. An end for a
 * server that never comes to one. */
#define LIMIT_LIST ((size_t)2 * 1024 * 1024 * 1024)
#define LIMIT_PAGES 20000

/* A file below /etc/kubernetes or a kubeconfig: the largest known are some 100 KiB. */
#define LIMIT_CONFIG_FILE ((size_t)4 * 1024 * 1024)

/* A plan: 10,000 Services at about 1 KiB a step, with room for ten times that. */
#define LIMIT_PLAN_FILE ((size_t)128 * 1024 * 1024)

/* One message of the agent's protocol: a whole node's processes and certificates. */
#define LIMIT_AGENT_MESSAGE ((size_t)32 * 1024 * 1024)

/* What a child process (ssh, a credential plugin) may say before we stop listening. */
#define LIMIT_PROCESS_OUTPUT ((size_t)16 * 1024 * 1024)

/* Text put together for a person or a log line. */
#define LIMIT_TEXT ((size_t)64 * 1024 * 1024)

/* Arrays and objects within each other in one JSON document. Schemas of custom resources are the
 * deepest that a cluster holds, at some 60. */
#define LIMIT_JSON_DEPTH 256

/* Values in one JSON document: an empty array is two bytes of text and some 150 of memory. A recorded
 * cluster of 150,000 Pods has some 10 million; a node's processes are a few thousand. */
#define LIMIT_JSON_VALUES ((size_t)16 * 1024 * 1024)
#define LIMIT_AGENT_VALUES ((size_t)2 * 1024 * 1024)

/* Folders within folders that a recursive walk follows. */
#define LIMIT_DEPTH 64

#endif
