//! A port that stays free for one purpose, also while nobody listens on it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

/// A port of 127.0.0.1 that nobody is given by chance for as long as this lives.
///
/// It is bound and not listened on. Whoever asks for this very port, and says that addresses may be used again as
/// servers do, can still bind it and listen.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _bound: OwnedFd,
}

impl Port {
    pub(crate) fn reserve() -> Self {
        let bound = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        rustix::io::fcntl_setfd(&bound, rustix::io::FdFlags::CLOEXEC).unwrap();
        sockopt::set_socket_reuseaddr(&bound, true).unwrap();
        bind(&bound, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&bound).unwrap()).unwrap();
        Self { address, _bound: bound }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_reserved_port_is_listened_on_again_and_again_and_otherwise_refuses() {
        let port = Port::reserve();
        for _ in 0..3 {
            let listener = TcpListener::bind(port.address()).unwrap();
            TcpStream::connect(port.address()).unwrap();
            drop(listener);
            assert!(TcpStream::connect(port.address()).is_err());
        }
    }

    #[test]
    fn nobody_is_given_a_reserved_port_by_chance() {
        let port = Port::reserve();
        // As many at once as a process may have files.
        let others: Vec<_> = std::iter::from_fn(|| TcpListener::bind("127.0.0.1:0").ok()).take(500).collect();
        assert!(others.len() > 100);
        assert!(others.iter().all(|other| other.local_addr().unwrap() != port.address()));
    }
}
