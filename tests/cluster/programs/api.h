/* SPDX-License-Identifier: MIT */
#ifndef CLUSTER_API_H
#define CLUSTER_API_H

/*
 * One verified TLS GET of an API server, as a plain in-cluster client makes it:
 * new connection, CA and address checked, bearer token, one answer.
 */

struct api_request {
	const char *host; /* address, or a name that /etc/hosts has */
	const char *port;
	const char *path;
	const char *ca;	   /* PEM file */
	const char *token; /* NULL: anonymous */
	int timeout_ms;	   /* for the whole request */
};

struct api_answer {
	int status;	  /* HTTP status, 0 without an answer */
	int ms;		  /* how long it took */
	char error[1024]; /* in the words of a Go client; empty when answered */
};

/* Returns 0 when an answer with status 200 came, else -1 with error filled in. */
int api_get(const struct api_request *request, struct api_answer *answer);

/* Where a Pod finds what it needs. */
#define API_CA "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
#define API_TOKEN "/var/run/secrets/kubernetes.io/serviceaccount/token"

/* Contents of a small file with a NUL behind, malloced; NULL when it cannot be read. */
char *api_read_file(const char *path);

/* A line on stderr with the time in front. */
void api_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
