/* SPDX-License-Identifier: MIT */
#include "agent/dns.h"

#include <errno.h>
#include <openssl/rand.h>
#include <poll.h>
#include <string.h>

#include "agent/dial.h"
#include "agent/protocol.h"
#include "base/buffer.h"
#include "base/clock.h"

/*
 * One question to one server over UDP (RFC 1035): what a Pod does first. Nothing is resolved by the
 * node's own configuration, and nothing is tried twice: one lost packet is what we are here to see.
 */
#define DNS_HEADER 12
#define DNS_PACKET_MAX 4096
#define DNS_TYPE_A 1
#define DNS_CLASS_IN 1

static void dns_put_16(struct buffer *packet, unsigned int number)
{
	buffer_char(packet, (char)(number >> 8));
	buffer_char(packet, (char)(number & 0xff));
}

static unsigned int dns_get_16(struct slice packet, size_t at)
{
	return (unsigned int)((uint8_t)packet.ptr[at] << 8 | (uint8_t)packet.ptr[at + 1]);
}

int dns_query(const char *name, uint16_t number, struct buffer *packet, struct error *err)
{
	struct slice rest = slice_of(name);
	struct slice label;

	if (slice_ends(rest, "."))
		rest.len--;
	if (rest.len == 0 || rest.len > 253)
		return error_set(err, ERROR_PARSE, "'%s' is no DNS name", name);
	dns_put_16(packet, number);
	dns_put_16(packet, 0x0100); /* recursion desired */
	dns_put_16(packet, 1);
	dns_put_16(packet, 0);
	dns_put_16(packet, 0);
	dns_put_16(packet, 0);
	while (slice_next(&rest, '.', &label)) {
		if (label.len == 0 || label.len > 63)
			return error_set(err, ERROR_PARSE, "'%s' is no DNS name", name);
		buffer_char(packet, (char)label.len);
		buffer_slice(packet, label);
	}
	buffer_char(packet, '\0');
	dns_put_16(packet, DNS_TYPE_A);
	dns_put_16(packet, DNS_CLASS_IN);
	return 0;
}

/* Behind the name at `at`; 0 when it does not end within the packet. A pointer ends a name. */
static size_t dns_skip_name(struct slice packet, size_t at)
{
	while (at < packet.len) {
		uint8_t len = (uint8_t)packet.ptr[at];

		if (len == 0)
			return at + 1;
		if ((len & 0xc0) == 0xc0)
			return at + 2 <= packet.len ? at + 2 : 0;
		if (len & 0xc0)
			return 0;
		at += 1 + (size_t)len;
	}
	return 0;
}

/* The record at *at: its address when it is one, and where the next begins. */
static bool dns_record(struct slice packet, size_t *at, json_t *addresses)
{
	struct net_address address;
	size_t fixed = dns_skip_name(packet, *at);
	size_t len;

	if (fixed == 0 || fixed + 10 > packet.len)
		return false;
	len = dns_get_16(packet, fixed + 8);
	if (len > packet.len - fixed - 10)
		return false;
	if (addresses && dns_get_16(packet, fixed) == DNS_TYPE_A && len == 4 &&
	    net_address_from_bytes(packet.ptr + fixed + 10, 4, &address))
		json_array_append_new(addresses, json_string(net_address_text(address).text));
	*at = fixed + 10 + len;
	return true;
}

int dns_parse(struct slice packet, uint16_t number, json_t *addresses, int *ret_rcode,
	      struct error *err)
{
	size_t at = DNS_HEADER;
	unsigned int questions;
	unsigned int answers;

	if (packet.len < DNS_HEADER || dns_get_16(packet, 0) != number ||
	    !((uint8_t)packet.ptr[2] & 0x80))
		return error_set(err, ERROR_PARSE, "the packet is no answer to the query");
	questions = dns_get_16(packet, 4);
	answers = dns_get_16(packet, 6);
	for (unsigned int i = 0; i < questions; i++) {
		at = dns_skip_name(packet, at);
		if (at == 0 || at + 4 > packet.len)
			return error_set(err, ERROR_PARSE, "the answer is malformed");
		at += 4;
	}
	for (unsigned int i = 0; i < answers; i++)
		if (!dns_record(packet, &at, addresses))
			return error_set(err, ERROR_PARSE, "the answer is malformed");
	*ret_rcode = (uint8_t)packet.ptr[3] & 15;
	return 0;
}

/* Waits for the packet that answers; others are passed over. */
static int dns_receive(int fd, uint16_t number, int64_t end, json_t *addresses, int *ret_rcode,
		       struct error *err)
{
	struct pollfd item = {fd, POLLIN, 0};
	char packet[DNS_PACKET_MAX];
	int64_t left;

	while ((left = end - clock_monotonic_ms()) > 0) {
		ssize_t got;

		if (poll(&item, 1, (int)left) <= 0)
			continue;
		got = recv(fd, packet, sizeof(packet), 0);
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return error_set(err, ERROR_NETWORK, "no answer: %s", strerror(errno));
		if (got >= 2 && dns_get_16((struct slice){packet, (size_t)got}, 0) == number)
			return dns_parse((struct slice){packet, (size_t)got}, number, addresses,
					 ret_rcode, err);
	}
	return error_set(err, ERROR_NETWORK, "no answer in time");
}

static int dns_ask(struct net_address server, uint16_t port, struct slice packet, int64_t end,
		   json_t *addresses, int *ret_rcode, struct error *err)
{
	struct sockaddr_storage to;
	socklen_t len = dial_socket_address(server, port, &to);
	auto_close int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return error_errno(err, "cannot open a socket");
	if (connect(fd, (struct sockaddr *)&to, len) < 0 ||
	    send(fd, packet.ptr, packet.len, 0) != (ssize_t)packet.len)
		return error_set(err, ERROR_NETWORK, "cannot send: %s", strerror(errno));
	return dns_receive(fd, (uint16_t)dns_get_16(packet, 0), end, addresses, ret_rcode, err);
}

static int dns_number(uint16_t *ret, struct error *err)
{
	unsigned char random[2];

	if (RAND_bytes(random, sizeof(random)) != 1)
		return error_set(err, ERROR_IO, "there are no random numbers");
	*ret = (uint16_t)(random[0] << 8 | random[1]);
	return 0;
}

int dns_look(const struct agent *agent, const json_t *request, json_t *reply, struct error *err)
{
	auto_buffer struct buffer packet = {0};
	auto_error struct error problem = {0};
	int64_t start = clock_monotonic_ms();
	json_t *addresses = json_array();
	struct net_address server;
	const char *text;
	const char *name;
	int64_t timeout;
	uint16_t number;
	int64_t port;
	int rcode = 0;
	int result;

	(void)agent;
	json_object_set_new(reply, "addresses", addresses);
	if (protocol_text(request, "server", &text, err) < 0 ||
	    net_address_parse(slice_of(text), &server, err) < 0 ||
	    protocol_text(request, "name", &name, err) < 0 ||
	    protocol_optional_integer(request, "port", 1, 65535, 53, &port, err) < 0 ||
	    protocol_optional_integer(request, "timeoutMs", 10, 30000, 2000, &timeout, err) < 0 ||
	    dns_number(&number, err) < 0 || dns_query(name, number, &packet, err) < 0)
		return -1;
	result = dns_ask(server, (uint16_t)port, buffer_as_slice(&packet), start + timeout,
			 addresses, &rcode, &problem);
	json_object_set_new(reply, "answered", json_boolean(result == 0));
	json_object_set_new(reply, "latencyMs", json_integer(clock_monotonic_ms() - start));
	if (result == 0)
		json_object_set_new(reply, "rcode", json_integer(rcode));
	else
		protocol_set_text(reply, "error", error_text(&problem));
	return 0;
}
