/* SPDX-License-Identifier: MIT */
#include "lab/dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "lab/proxy.h"
#include "text/json.h"

enum { DNS_PACKET = 512, DNS_HEADER = 12 };

struct dns {
	struct lab_node *node;
	char *address;
	unsigned int port;
	uint16_t local;
	int fd;
	struct dns *next;
};

/* "web.shop.svc.cluster.local": namespace/name of the Service; NULL for anything else. */
static json_t *dns_find(struct lab *lab, const char *name)
{
	struct slice rest = slice_of(name);
	struct slice service;
	struct slice space;
	auto_free char *service_text = NULL;
	auto_free char *space_text = NULL;

	if (!slice_next(&rest, '.', &service) || !slice_next(&rest, '.', &space) ||
	    !slice_is(rest, "svc.cluster.local"))
		return NULL;
	service_text = slice_dup(service);
	space_text = slice_dup(space);
	return store_find(lab->store, "services", space_text, service_text);
}

/* The name in the question, with dots; its end in *ret_end. NULL when it is malformed. */
static char *dns_name(const unsigned char *packet, size_t len, size_t *ret_end)
{
	auto_buffer struct buffer name = {0};
	size_t at = DNS_HEADER;

	while (at < len && packet[at]) {
		size_t label = packet[at];

		if (label > 63 || at + 1 + label > len)
			return NULL;
		if (name.len)
			buffer_char(&name, '.');
		buffer_append(&name, packet + at + 1, label);
		at += 1 + label;
	}
	if (at + 5 > len)
		return NULL;
	*ret_end = at + 5;
	return buffer_detach(&name);
}

static size_t dns_answer(struct lab *lab, unsigned char *packet, size_t len)
{
	size_t end = 0;
	auto_free char *name = len > DNS_HEADER ? dns_name(packet, len, &end) : NULL;
	const json_t *service = name ? dns_find(lab, name) : NULL;
	const char *address = json_path_text(service, "spec.clusterIP");
	static const unsigned char record[] = {0xc0, DNS_HEADER, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4};
	struct in_addr value;

	if (!name)
		return 0;
	packet[2] = 0x85;
	packet[3] = service ? 0x80 : 0x83; /* no such name */
	memset(packet + 6, 0, 6);
	if (!address || inet_pton(AF_INET, address, &value) != 1)
		return end;
	packet[7] = 1;
	memcpy(packet + end, record, sizeof(record));
	memcpy(packet + end + sizeof(record), &value, 4);
	return end + sizeof(record) + 4;
}

static void dns_ready(void *data, uint32_t events)
{
	struct dns *dns = data;
	unsigned char packet[DNS_PACKET + 64];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	auto_free char *place = NULL;
	ssize_t got = recvfrom(dns->fd, packet, DNS_PACKET, MSG_DONTWAIT, (struct sockaddr *)&from,
			       &from_len);
	size_t len;

	(void)events;
	if (got <= 0)
		return;
	/* without a Pod behind the address nobody says anything */
	place = proxy_path(dns->node, dns->address, dns->port, "UDP");
	len = place ? dns_answer(dns->node->lab, packet, (size_t)got) : 0;
	if (len)
		sendto(dns->fd, packet, len, MSG_DONTWAIT, (struct sockaddr *)&from, from_len);
}

int dns_service(struct lab_node *node, const char *address, unsigned int port, uint16_t *ret_port,
		struct error *err)
{
	struct lab *lab = node->lab;
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	struct dns *dns;

	for (dns = lab->dns; dns; dns = dns->next) {
		if (dns->node == node && dns->port == port && strcmp(dns->address, address) == 0) {
			*ret_port = dns->local;
			return 0;
		}
	}
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	dns = ALLOC_NEW(struct dns);
	*dns = (struct dns){node, alloc_text(address), port, 0, -1, lab->dns};
	lab->dns = dns;
	dns->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (dns->fd < 0 || bind(dns->fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    getsockname(dns->fd, (struct sockaddr *)&at, &len) < 0)
		return error_errno(err, "cannot listen for DNS");
	dns->local = ntohs(at.sin_port);
	loop_watch(lab->loop, dns->fd, EPOLLIN, dns_ready, dns);
	*ret_port = dns->local;
	return 0;
}

void dns_free(struct dns *dns)
{
	while (dns) {
		struct dns *next = dns->next;

		if (dns->fd >= 0) {
			loop_forget(dns->node->lab->loop, dns->fd);
			close(dns->fd);
		}
		free(dns->address);
		free(dns);
		dns = next;
	}
}
