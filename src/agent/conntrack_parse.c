/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#include "agent/conntrack.h"
#include "net/cidr.h"

#define CONNTRACK_TCP_ESTABLISHED 3 /* enum tcp_conntrack of the kernel */

/* The payload of the next attribute, and its type without flags. False at the end, and where the
 * lengths do not fit. */
static bool attribute_next(struct slice *rest, uint16_t *ret_type, struct slice *ret)
{
	struct nlattr head;
	size_t padded;

	if (rest->len < sizeof(head))
		return false;
	memcpy(&head, rest->ptr, sizeof(head));
	if (head.nla_len < sizeof(head) || head.nla_len > rest->len)
		return false;
	*ret_type = head.nla_type & (uint16_t) ~(NLA_F_NESTED | NLA_F_NET_BYTEORDER);
	*ret = (struct slice){rest->ptr + sizeof(head), head.nla_len - sizeof(head)};
	padded = ((size_t)head.nla_len + NLA_ALIGNTO - 1) / NLA_ALIGNTO * NLA_ALIGNTO;
	if (padded > rest->len)
		padded = rest->len;
	rest->ptr += padded;
	rest->len -= padded;
	return true;
}

static bool attribute_find(struct slice list, uint16_t type, struct slice *ret)
{
	uint16_t found;

	while (attribute_next(&list, &found, ret))
		if (found == type)
			return true;
	return false;
}

/* A number in network order; `missing` where it is not there or of another size. */
static uint32_t attribute_number(struct slice list, uint16_t type, size_t size, uint32_t missing)
{
	const unsigned char *bytes;
	struct slice value;
	uint32_t number = 0;

	if (!attribute_find(list, type, &value) || value.len != size)
		return missing;
	bytes = (const unsigned char *)value.ptr;
	for (size_t i = 0; i < size; i++)
		number = number << 8 | bytes[i];
	return number;
}

static bool attribute_address(struct slice list, uint16_t v4, uint16_t v6, struct net_address *ret)
{
	struct slice value;

	if (!attribute_find(list, v4, &value) && !attribute_find(list, v6, &value))
		return false;
	return net_address_from_bytes(value.ptr, value.len, ret);
}

static bool conntrack_parse_tuple(struct slice tuple, struct conntrack_entry *entry)
{
	struct slice ip;
	struct slice protocol;

	if (!attribute_find(tuple, CTA_TUPLE_IP, &ip) ||
	    !attribute_find(tuple, CTA_TUPLE_PROTO, &protocol) ||
	    !attribute_address(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC, &entry->source) ||
	    !attribute_address(ip, CTA_IP_V4_DST, CTA_IP_V6_DST, &entry->destination))
		return false;
	entry->protocol = (uint8_t)attribute_number(protocol, CTA_PROTO_NUM, 1, 0);
	entry->port = (uint16_t)attribute_number(protocol, CTA_PROTO_DST_PORT, 2, 0);
	return true;
}

bool conntrack_parse_message(const void *bytes, size_t len, struct conntrack_entry *ret)
{
	struct conntrack_entry entry = {0};
	struct nlmsghdr head;
	struct slice list;
	struct slice nested;
	size_t fixed = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));

	if (len < fixed)
		return false;
	memcpy(&head, bytes, sizeof(head));
	if (head.nlmsg_len < fixed || head.nlmsg_len > len ||
	    head.nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK)
		return false;
	list = (struct slice){(const char *)bytes + fixed, head.nlmsg_len - fixed};
	if (!attribute_find(list, CTA_TUPLE_ORIG, &nested) ||
	    !conntrack_parse_tuple(nested, &entry))
		return false;
	entry.id = attribute_number(list, CTA_ID, 4, 0);
	entry.expires_s = attribute_number(list, CTA_TIMEOUT, 4, 0);
	if (attribute_find(list, CTA_PROTOINFO, &nested) &&
	    attribute_find(nested, CTA_PROTOINFO_TCP, &nested))
		entry.established = attribute_number(nested, CTA_PROTOINFO_TCP_STATE, 1, 0) ==
				    CONNTRACK_TCP_ESTABLISHED;
	*ret = entry;
	return true;
}

/* ---- text ---- */

/* The next word; words are parted by blanks. */
static bool word_next(struct slice *rest, struct slice *ret)
{
	while (rest->len && (*rest->ptr == ' ' || *rest->ptr == '\t')) {
		rest->ptr++;
		rest->len--;
	}
	if (!rest->len)
		return false;
	*ret = (struct slice){rest->ptr, 0};
	while (rest->len && *rest->ptr != ' ' && *rest->ptr != '\t') {
		rest->ptr++;
		rest->len--;
		ret->len++;
	}
	return true;
}

static uint64_t line_hash(struct slice text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (uint8_t)text.ptr[i]) * UINT64_C(1099511628211);
	return hash;
}

static bool value_of(struct slice word, const char *name, struct slice *ret)
{
	size_t len = strlen(name);

	if (!slice_starts(word, name))
		return false;
	*ret = (struct slice){word.ptr + len, word.len - len};
	return true;
}

/* "ipv4 2 tcp 6 86390 ESTABLISHED src=… dst=… sport=… dport=… src=…": the first of each is how the
 * client opened it. */
bool conntrack_parse_line(struct slice line, struct conntrack_entry *ret)
{
	struct conntrack_entry entry = {0};
	struct slice rest = line;
	struct slice word;
	struct slice value;
	const char *tuple = NULL;
	uint64_t number;

	for (int field = 0; word_next(&rest, &word); field++) {
		if (field == 3 && slice_to_u64(word, 255, &number))
			entry.protocol = (uint8_t)number;
		else if (field == 4 && slice_to_u64(word, UINT32_MAX, &number))
			entry.expires_s = (uint32_t)number;
		else if (field == 5)
			entry.established = slice_is(word, "ESTABLISHED");
		if (value_of(word, "src=", &value) && !net_address_is_set(entry.source)) {
			tuple = word.ptr;
			if (!net_address_read(value, &entry.source))
				return false;
		} else if (value_of(word, "dst=", &value) &&
			   !net_address_is_set(entry.destination)) {
			if (!net_address_read(value, &entry.destination))
				return false;
		} else if (tuple && value_of(word, "dport=", &value)) {
			if (!slice_to_u64(value, UINT16_MAX, &number))
				return false;
			entry.port = (uint16_t)number;
			entry.id = line_hash(
				(struct slice){tuple, (size_t)(word.ptr + word.len - tuple)});
			break;
		}
	}
	if (!entry.protocol || !net_address_is_set(entry.source) ||
	    !net_address_is_set(entry.destination))
		return false;
	if (!entry.id && tuple)
		entry.id = line_hash((struct slice){tuple, (size_t)(line.ptr + line.len - tuple)});
	*ret = entry;
	return true;
}

/* "[12:720] -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp …" */
bool conntrack_parse_rule(struct slice line, struct net_address *ret_destination,
			  uint64_t *ret_packets)
{
	struct slice rest = line;
	struct slice word;
	struct slice packets;
	struct net_cidr cidr;
	auto_error struct error ignored = {0};
	uint64_t number;

	if (!word_next(&rest, &word) || word.len < 3 || *word.ptr != '[')
		return false;
	word.ptr++;
	word.len--;
	if (!slice_next(&word, ':', &packets) || !slice_to_u64(packets, UINT64_MAX, &number) ||
	    !word_next(&rest, &word) || !slice_is(word, "-A"))
		return false;
	while (word_next(&rest, &word)) {
		if (!slice_is(word, "-d"))
			continue;
		if (!word_next(&rest, &word) || net_cidr_parse(word, &cidr, &ignored) < 0 ||
		    cidr.bits != net_address_size(cidr.base) * 8)
			return false;
		*ret_destination = cidr.base;
		*ret_packets = number;
		return true;
	}
	return false;
}

/* The kernel counts in whole seconds, and dumps take their time. */
#define CONNTRACK_SLACK_S 2

bool conntrack_was_used(uint32_t before, uint32_t now, int64_t elapsed_ms)
{
	return (int64_t)now > (int64_t)before - elapsed_ms / 1000 + CONNTRACK_SLACK_S;
}
