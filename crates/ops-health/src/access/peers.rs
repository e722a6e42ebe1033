//! Callers told by where they come from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use http::HeaderMap;
use http::request::Parts;
use ops_core::{Error, ErrorKind, Result};

/// The address of the peer that a request came from, as the socket tells it.
///
/// A server without axum puts it into the extensions of the request; with axum,
/// `into_make_service_with_connect_info::<SocketAddr>()` is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// A network of addresses, such as `10.0.0.0/8` or `fd00::/8`; one address is a network, too.
///
/// ```
/// use ops_health::Network;
///
/// let network: Network = "10.0.0.0/8".parse()?;
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!(network.contains("::ffff:10.1.2.3".parse().unwrap()));
/// assert!(!network.contains("11.1.2.3".parse().unwrap()));
/// # Ok::<(), ops_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The addresses of this machine.
    pub const LOOPBACK: [Self; 2] = [
        Self {
            address: IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 0)),
            prefix: 8,
        },
        Self {
            address: IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            prefix: 128,
        },
    ];

    /// Whether the address belongs to the network. An IPv4 address within IPv6 counts as
    /// the former.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => same_prefix(
                u128::from(network.to_bits()) << 96,
                u128::from(address.to_bits()) << 96,
                self.prefix,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                same_prefix(network.to_bits(), address.to_bits(), self.prefix)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, bits: u8) -> bool {
    let shift = 128_u32.saturating_sub(u32::from(bits));
    // All bits may differ in a network of length zero.
    (a ^ b).checked_shr(shift).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let invalid = || {
            Error::new(
                ErrorKind::InvalidInput,
                format!("{text:?} is no network such as 10.0.0.0/8"),
            )
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(prefix) => prefix.parse().map_err(|_| invalid())?,
        };
        (prefix <= longest)
            .then_some(Self { address, prefix })
            .ok_or_else(invalid)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The networks whose callers may see details, and those whose word on others is taken.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    pub(crate) allowed: Vec<Network>,
    pub(crate) proxies: Vec<Network>,
}

impl Peers {
    pub(super) fn allow(&self, request: &Parts) -> bool {
        !self.allowed.is_empty()
            && self
                .caller(request)
                .is_some_and(|address| is_in(&self.allowed, address))
    }

    /// Who calls. Behind proxies that are trusted, the last address in `X-Forwarded-For`
    /// that is none of them: what stands before was written by the caller.
    fn caller(&self, request: &Parts) -> Option<IpAddr> {
        let peer = peer_of(request)?;
        if !is_in(&self.proxies, peer) {
            return Some(peer);
        }
        let mut last = peer;
        for hop in forwarded(&request.headers).iter().rev() {
            // A hop that cannot be read could be anybody.
            last = hop.trim().parse().ok()?;
            if !is_in(&self.proxies, last) {
                break;
            }
        }
        Some(last)
    }
}

fn is_in(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

fn peer_of(request: &Parts) -> Option<IpAddr> {
    if let Some(Peer(address)) = request.extensions.get() {
        return Some(address.ip());
    }
    #[cfg(feature = "axum")]
    if let Some(axum::extract::ConnectInfo(address)) = request
        .extensions
        .get::<axum::extract::ConnectInfo<SocketAddr>>()
    {
        return Some(address.ip());
    }
    None
}

fn forwarded(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        // A header that is no text hides nothing: it is read as a hop that cannot be.
        .flat_map(|value| value.to_str().unwrap_or("?").split(','))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(peer: &str, forwarded: &[&str]) -> Parts {
        let mut request = http::Request::builder();
        for value in forwarded {
            request = request.header("x-forwarded-for", *value);
        }
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(Peer(peer.parse().unwrap()));
        parts
    }

    fn peers(allowed: &str, proxies: &[&str]) -> Peers {
        Peers {
            allowed: vec![allowed.parse().unwrap()],
            proxies: proxies.iter().map(|p| p.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn networks_are_compared_by_their_prefix_alone() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.6"),
            ("192.168.1.128/25", "192.168.1.128", "192.168.1.127"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network}");
            assert!(!network.contains(outside.parse().unwrap()), "{network}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.1".parse().unwrap()));
        assert!(!all.contains("2001:db8::1".parse().unwrap()));
        for text in [
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "a",
            "10.0.0.0/",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_forwarded_header_of_a_stranger_counts_for_nothing() {
        let peers = peers("10.0.0.0/8", &[]);
        assert!(peers.allow(&request("10.0.0.1:1", &[])));
        assert!(!peers.allow(&request("203.0.113.9:1", &["10.0.0.1"])));
        assert!(!peers.allow(&http::Request::new(()).into_parts().0));
    }

    #[test]
    fn behind_a_trusted_proxy_the_last_hop_that_is_no_proxy_counts() {
        let peers = peers("198.51.100.7", &["10.0.0.0/8"]);
        let through = |hops: &[&str]| peers.allow(&request("10.0.0.1:1", hops));
        assert!(through(&["198.51.100.7"]));
        assert!(through(&["1.2.3.4, 198.51.100.7, 10.0.0.2"]));
        assert!(through(&["1.2.3.4", "198.51.100.7"]));
        assert!(!through(&["198.51.100.7, 1.2.3.4"]));
        assert!(!through(&["198.51.100.7, unknown"]));
        assert!(!through(&[]));
    }
}
