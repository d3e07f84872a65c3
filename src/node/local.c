/* SPDX-License-Identifier: MIT */
#include "node/local.h"

#include <ifaddrs.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "net/address.h"

/* kubeadm names a node by its host name in lower case, with or without the domain. */
static bool local_is_name(const char *name)
{
	char own[HOST_NAME_MAX + 1] = "";
	size_t len;

	if (gethostname(own, sizeof(own) - 1) < 0)
		return false;
	if (strcasecmp(own, name) == 0)
		return true;
	len = strcspn(own, ".");
	return len && strlen(name) == len && strncasecmp(own, name, len) == 0;
}

static bool local_is_address(struct net_address wanted)
{
	struct net_address address;
	struct ifaddrs *all;
	bool found = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
		const void *from = i->ifa_addr;

		if (from && i->ifa_addr->sa_family == AF_INET &&
		    net_address_from_bytes(&((const struct sockaddr_in *)from)->sin_addr, 4,
					   &address))
			found = net_address_equal(address, wanted);
		else if (from && i->ifa_addr->sa_family == AF_INET6 &&
			 net_address_from_bytes(&((const struct sockaddr_in6 *)from)->sin6_addr, 16,
						&address))
			found = net_address_equal(address, wanted);
	}
	freeifaddrs(all);
	return found;
}

bool local_is_this_host(const char *name, const char *address)
{
	struct net_address wanted;

	/* An address that is known decides: two hosts may have one name, say 'localhost'. */
	if (address && net_address_read(slice_of(address), &wanted))
		return local_is_address(wanted);
	return local_is_name(name);
}
