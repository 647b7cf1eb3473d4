//! Says what may stand for an internet address: the address itself, several, or a name.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::{option, vec};

/// What sockets can be bound or connected to: addresses, or names that are looked up.
///
/// An address is itself, also where it stands in a text; a name is looked up on the blocking pool.
/// See [`lookup_host`](crate::net::lookup_host).
///
/// It is implemented for what std's trait of that name is implemented for, and nobody else can
/// implement it.
pub trait ToSocketAddrs: sealed::Target {}

pub(crate) mod sealed {
    //! What no other crate can implement.

    use super::Sought;

    pub trait Target {
        /// Says what is sought. It looks nothing up.
        fn sought(&self) -> Sought;
    }
}

/// What is sought.
pub enum Sought {
    Known(Addresses),
    Name {
        host: String,
        port: u16,
    },
    /// It is neither an address nor a name.
    Nonsense(io::Error),
}

/// Addresses, one after another, in the order in which they should be tried.
#[derive(Clone, Debug)]
pub struct Addresses(Few);

#[derive(Clone, Debug)]
enum Few {
    /// By far the most often, and it needs no memory of its own.
    One(option::IntoIter<SocketAddr>),
    Several(vec::IntoIter<SocketAddr>),
}

impl Addresses {
    pub(super) fn several(addresses: Vec<SocketAddr>) -> Addresses {
        Addresses(Few::Several(addresses.into_iter()))
    }

    /// Tries one after another until one can be had, and returns the last error if none can.
    pub(super) fn first<T>(
        self,
        mut attempt: impl FnMut(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut last = None;
        for address in self {
            match attempt(address) {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(none))
    }
}

/// There was no address to try.
pub(super) fn none() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address")
}

impl From<SocketAddr> for Addresses {
    fn from(address: SocketAddr) -> Addresses {
        Addresses(Few::One(Some(address).into_iter()))
    }
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match &mut self.0 {
            Few::One(one) => one.next(),
            Few::Several(several) => several.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Few::One(one) => one.size_hint(),
            Few::Several(several) => several.size_hint(),
        }
    }
}

impl fmt::Debug for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sought::Known(addresses) => addresses.fmt(f),
            Sought::Name { host, port } => write!(f, "{host}:{port}"),
            Sought::Nonsense(error) => write!(f, "{error}"),
        }
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}

impl<T: ToSocketAddrs + ?Sized> sealed::Target for &T {
    fn sought(&self) -> Sought {
        (**self).sought()
    }
}

/// What can be turned into an address as it is.
macro_rules! addresses {
    ($($address:ty),*) => { $(
        impl ToSocketAddrs for $address {}

        impl sealed::Target for $address {
            fn sought(&self) -> Sought {
                Sought::Known(Addresses::from(SocketAddr::from(*self)))
            }
        }
    )* };
}

addresses!(SocketAddr, SocketAddrV4, SocketAddrV6);
addresses!((IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for &[SocketAddr] {}

impl sealed::Target for &[SocketAddr] {
    fn sought(&self) -> Sought {
        Sought::Known(Addresses::several(self.to_vec()))
    }
}

impl ToSocketAddrs for (&str, u16) {}

impl sealed::Target for (&str, u16) {
    fn sought(&self) -> Sought {
        let (host, port) = *self;
        match host.parse::<IpAddr>() {
            Ok(address) => (address, port).sought(),
            Err(_) => Sought::Name { host: host.to_owned(), port },
        }
    }
}

impl ToSocketAddrs for (String, u16) {}

impl sealed::Target for (String, u16) {
    fn sought(&self) -> Sought {
        (self.0.as_str(), self.1).sought()
    }
}

impl ToSocketAddrs for str {}

impl sealed::Target for str {
    fn sought(&self) -> Sought {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return address.sought();
        }
        let parts = self.rsplit_once(':').map(|(host, port)| (host, port.parse()));
        match parts {
            Some((host, Ok(port))) => Sought::Name { host: host.to_owned(), port },
            Some((_, Err(error))) => nonsense(format!("the port of {self:?}: {error}")),
            None => nonsense(format!("{self:?} names no port")),
        }
    }
}

fn nonsense(what: String) -> Sought {
    Sought::Nonsense(io::Error::new(io::ErrorKind::InvalidInput, what))
}

impl ToSocketAddrs for String {}

impl sealed::Target for String {
    fn sought(&self) -> Sought {
        self.as_str().sought()
    }
}

#[cfg(test)]
mod tests {
    use super::ToSocketAddrs;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

    #[track_caller]
    fn check<A: ToSocketAddrs + ?Sized>(address: &A, want: &str) {
        let sought = match address.sought() {
            super::Sought::Known(addresses) => format!("{:?}", addresses.collect::<Vec<_>>()),
            other => format!("{other:?}"),
        };
        assert!(sought.contains(want), "want {want}, got {sought}");
    }

    #[test]
    fn addresses_stand_for_themselves_and_names_are_kept() {
        let home = SocketAddr::from(([127, 0, 0, 1], 7));
        check(&home, "[127.0.0.1:7]");
        check(&&home, "[127.0.0.1:7]");
        check(&[home, home][..].as_ref(), "[127.0.0.1:7, 127.0.0.1:7]");
        check(&(Ipv4Addr::LOCALHOST, 7), "[127.0.0.1:7]");
        check(&(Ipv6Addr::LOCALHOST, 7), "[[::1]:7]");
        check("127.0.0.1:7", "[127.0.0.1:7]");
        check("[::1]:7", "[[::1]:7]");
        check(&("::1", 7), "[[::1]:7]");
        check(&(String::from("127.0.0.1"), 7), "[127.0.0.1:7]");
        check(&("orders.example", 7), "orders.example:7");
        check("orders.example:7", "orders.example:7");
        check(&String::from("orders.example:7"), "orders.example:7");
    }

    #[test]
    fn what_is_neither_says_why() {
        check("orders.example", "\"orders.example\" names no port");
        check("orders.example:http", "the port of \"orders.example:http\": invalid digit");
        check("orders.example:70000", "number too large");
    }
}
